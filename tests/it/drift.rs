//! Something else answers behind a model's name, over the wire.

use opentelemetry_proto::tonic::common::v1::any_value::Value;

use crate::support::client::post;
use crate::support::gauge::{CLIENT, Gauge, json};
use crate::support::otlp::{Attributes as _, Span};

fn ask() -> Vec<u8> {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    post("/v1/chat/completions", body)
}

fn answer(model: &str, fingerprint: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"id":"c-1","model":"{model}","system_fingerprint":"{fingerprint}","choices":[{{"index":0,"message":{{"role":"assistant","content":"hi"}},"finish_reason":"stop"}}],
        "usage":{{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}}}"#
    );
    json(200, &body)
}

fn changes(span: &Span) -> Option<String> {
    let event = span.event("model_change")?;
    let shown = event.attributes.iter().map(|attribute| {
        let key = attribute.key.rsplit('.').next().unwrap();
        let value = attribute
            .value
            .as_ref()
            .and_then(|value| value.value.clone());
        match value {
            Some(Value::StringValue(text)) => format!("{key}={text}"),
            other => panic!("{key}: {other:?}"),
        }
    });
    Some(shown.collect::<Vec<_>>().join(" "))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_new_value_is_told_once_and_the_last_is_current() {
    let gauge =
        Gauge::with(|program| program.env("OTEL_RESOURCE_ATTRIBUTES", "model.version=2026-11-30"))
            .await;
    for (model, fingerprint) in [
        ("m-1", "fp_1"),
        ("m-1", "fp_2"),
        ("m-1", "fp_1"),
        ("m-1", "fp_2"),
        ("m-2", "fp_2"),
    ] {
        gauge.call(ask(), answer(model, fingerprint)).await;
    }
    let received = gauge.received(10).await;
    let mut spans = received.spans;
    spans.retain(|span| span.proto.kind == CLIENT);
    spans.sort_by_key(|span| span.proto.start_time_unix_nano);
    let told: Vec<_> = spans.iter().map(changes).collect();
    let expected = [
        None,
        Some("what=fingerprint before=fp_1 after=fp_2".to_owned()),
        None,
        None,
        Some("what=model before=m-1 after=m-2".to_owned()),
    ];
    assert_eq!(told, expected);
    let version = spans[0].resource.text("model.version");
    assert_eq!(version, Some("2026-11-30"));

    let page = gauge.scrape("text/plain").await;
    let sample = |start: &str| {
        let found = page.text().lines().filter(|line| line.starts_with(start));
        found.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        sample("streamgauge_model_changes_total"),
        [r#"streamgauge_model_changes_total{model="m",upstream="default"} 2"#]
    );
    let current = |model: &str, fingerprint: &str, value: u8| {
        format!(
            r#"streamgauge_model_info{{gen_ai_response_model="{model}",model="m",openai_response_system_fingerprint="{fingerprint}",upstream="default"}} {value}"#
        )
    };
    let mut info = sample("streamgauge_model_info");
    info.sort();
    let expected = [
        current("m-1", "fp_1", 0),
        current("m-1", "fp_2", 0),
        current("m-2", "fp_2", 1),
    ];
    assert_eq!(info, expected);
}
