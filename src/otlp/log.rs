//! A log record with what was said in an exchange: `gen_ai.client.inference.operation.details`. Written as
//! `opentelemetry/proto/logs/v1/logs.proto` has it, as one element of `ScopeLogs.log_records`.

use std::time::{Duration, SystemTime};

use opentelemetry_proto::tonic::logs::v1::SeverityNumber;
use serde_json::Value as Json;

use super::envelope::ITEM;
use super::protobuf;
use crate::exchange::{Content, Exchange};
use crate::semconv::gen_ai::{DETAILS_EVENT, ERROR_TYPE, GenAi};
use crate::semconv::{Attributes, Value, Vocabulary as _, content};

/// Field numbers of a log record.
const ATTRIBUTES: u32 = 6;

/// The record of an exchange with this content: the attributes of its inference span, and the content in its structure.
#[must_use]
pub fn details(exchange: &Exchange, content: &Content) -> Vec<u8> {
    let mut record = Vec::new();
    protobuf::message(&mut record, ITEM, |out| {
        let ended = exchange.started_at + exchange.times.end;
        let ended = ended.duration_since(SystemTime::UNIX_EPOCH);
        let ended = nanos(ended.unwrap_or_default());
        protobuf::fixed_64(out, 1, ended);
        protobuf::number(out, 2, SeverityNumber::Debug as u64);
        protobuf::bytes(out, 3, b"DEBUG");
        write_attributes(exchange, content, out);
        if let Some(trace) = &exchange.trace {
            protobuf::fixed_32(out, 8, u32::from(trace.flags()));
            protobuf::bytes(out, 9, &trace.trace_id.to_be_bytes());
            protobuf::bytes(out, 10, &trace.client_span_id.to_be_bytes());
        }
        protobuf::fixed_64(out, 11, ended);
        protobuf::bytes(out, 12, DETAILS_EVENT.as_bytes());
    });
    record
}

fn write_attributes(exchange: &Exchange, shown: &Content, out: &mut Vec<u8>) {
    // What a span has of content is text.
    let mut write = |key: &str, value: &Value<'_>| {
        if !content::is_key(key) {
            protobuf::pair(out, ATTRIBUTES, key, value);
        }
    };
    let mut keys = Vec::new();
    let mut attributes = Attributes::new(&mut keys, &mut write);
    GenAi.inference(exchange, &mut attributes);
    let failure = exchange.failure.as_ref();
    attributes.put_once(ERROR_TYPE, failure.map(|failure| &failure.kind));
    let missing = shown.missing.iter().map(|missing| missing.as_str());
    attributes.put_list(content::MISSING, missing);
    for (key, value) in content::structured(shown) {
        write_structured(key, &value, out);
    }
}

/// A `KeyValue` of any structure.
fn write_structured(key: &str, value: &Json, out: &mut Vec<u8>) {
    protobuf::message(out, ATTRIBUTES, |out| {
        protobuf::bytes(out, 1, key.as_bytes());
        protobuf::message(out, 2, |out| write_json(value, out));
    });
}

/// The content of an `AnyValue`.
fn write_json(value: &Json, out: &mut Vec<u8>) {
    let number = |number: &serde_json::Number| match number.as_i64() {
        Some(number) => Value::Int(number),
        None => Value::Float(number.as_f64().unwrap_or_default()),
    };
    match value {
        Json::Null => {}
        Json::Bool(flag) => protobuf::any_value(out, &Value::Bool(*flag)),
        Json::Number(any) => protobuf::any_value(out, &number(any)),
        Json::String(text) => protobuf::any_value(out, &text.into()),
        Json::Array(values) => protobuf::message(out, 5, |out| {
            for value in values {
                protobuf::message(out, 1, |out| write_json(value, out));
            }
        }),
        Json::Object(members) => protobuf::message(out, 6, |out| {
            for (name, value) in members {
                protobuf::message(out, 1, |out| {
                    protobuf::bytes(out, 1, name.as_bytes());
                    protobuf::message(out, 2, |out| write_json(value, out));
                });
            }
        }),
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::AnyValue;
    use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ScopeLogs};
    use prost::Message as _;
    use serde_json::json;

    use super::*;
    use crate::exchange::{ContentMessage, ContentPart, ContentPolicy, Missing, Speaker};
    use crate::semconv::sample;

    /// A value as the protocol's own types read it.
    fn read(value: Option<AnyValue>) -> Json {
        match value.and_then(|value| value.value) {
            Some(Any::StringValue(text)) => text.into(),
            Some(Any::BoolValue(flag)) => flag.into(),
            Some(Any::IntValue(number)) => number.into(),
            Some(Any::DoubleValue(number)) => number.into(),
            Some(Any::ArrayValue(list)) => {
                list.values.into_iter().map(|it| read(Some(it))).collect()
            }
            Some(Any::KvlistValue(list)) => {
                let members = list.values.into_iter();
                let members = members.map(|member| (member.key, read(member.value)));
                Json::Object(members.collect())
            }
            _ => Json::Null,
        }
    }

    fn written(exchange: &Exchange, content: &Content) -> LogRecord {
        let scope = ScopeLogs::decode(&*details(exchange, content)).unwrap();
        scope.log_records.into_iter().next().unwrap()
    }

    #[test]
    fn a_record_has_the_spans_attributes_and_content_in_its_structure() {
        let mut exchange = sample::streamed();
        let content = Content {
            policy: ContentPolicy {
                attributes: true,
                events: true,
                store: false,
            },
            shown_bytes: 100,
            output: vec![ContentMessage {
                speaker: Speaker::Assistant,
                name: None,
                parts: vec![ContentPart::ToolCall {
                    id: None,
                    name: "f".to_owned(),
                    arguments: r#"{"a":[1,2.5,null,true,0,false]}"#.to_owned(),
                }],
                finish_reason: Some("tool_calls".to_owned()),
            }],
            missing: vec![Missing::Request],
            ..Content::default()
        };
        exchange.content = Some(Box::new(content.clone()));
        let record = written(&exchange, &content);
        assert_eq!(record.event_name, DETAILS_EVENT);
        assert_eq!(record.severity_number(), SeverityNumber::Debug);
        let trace = exchange.trace.as_ref().unwrap();
        assert_eq!(record.trace_id, trace.trace_id.to_be_bytes());
        assert_eq!(record.span_id, trace.client_span_id.to_be_bytes());
        let mut attributes: Vec<_> = record
            .attributes
            .into_iter()
            .map(|attribute| (attribute.key, read(attribute.value)))
            .collect();
        let of = |name: &str| {
            let mut named = attributes.iter().filter(|(key, _)| key == name);
            let found = named.next().map(|(_, value)| value.clone());
            assert!(named.next().is_none(), "{name} is there once");
            found
        };
        assert_eq!(of("gen_ai.request.model"), Some(json!("gpt-4o")));
        assert_eq!(of(content::MISSING), Some(json!(["request"])));
        let arguments = json!({ "a": [1, 2.5, null, true, 0, false] });
        let part = json!({ "type": "tool_call", "name": "f", "arguments": arguments });
        let message =
            json!([{ "role": "assistant", "parts": [part], "finish_reason": "tool_calls" }]);
        assert_eq!(of("gen_ai.output.messages"), Some(message));
        attributes.retain(|(key, _)| !key.starts_with("gen_ai.output.messages"));
        assert!(attributes.len() > 10);
    }
}
