//! What was said goes where the policy says, in the shape of the conventions, and without what the redaction knows.

mod figures;
mod leaks;
mod realtime;
mod store;

use std::io::Write as _;
use std::process::{Command, Stdio};

use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use serde_json::{Value, json};

use crate::support::client;
use crate::support::collector::Mode;
use crate::support::file::File;
use crate::support::gauge::{self, DONE, FINISH, USAGE, delta, stream};
use crate::support::otlp::{Attributes as _, Span};
use crate::support::scene::Scene;

/// A chat with a tool that was called.
const ASKED: &str = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},
    "tools":[{"type":"function","function":{"name":"mail","description":"sends","parameters":{"type":"object"}}}],
    "messages":[{"role":"system","content":"be brief"},{"role":"user","content":"write to anna@example.com"},
    {"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"mail","arguments":"{\"to\":\"anna@example.com\"}"}}]},
    {"role":"tool","tool_call_id":"c1","content":"sent to anna@example.com"}]}"#;

/// The answer, an address in two pieces.
fn answer() -> Vec<u8> {
    stream(events().iter().map(String::as_str))
}

fn events() -> [String; 5] {
    [
        delta(r#"{"role":"assistant","content":"anna@exa"}"#),
        delta(r#"{"content":"mple.com has it"}"#),
        FINISH.to_owned(),
        USAGE.to_owned(),
        DONE.to_owned(),
    ]
}

/// The messages of the call, as the conventions have them.
fn messages() -> [Value; 3] {
    let text = |text: &str| json!({ "type": "text", "content": text });
    let call = json!({ "type": "tool_call", "id": "c1", "name": "mail", "arguments": { "to": "[EMAIL]" } });
    let result = json!({ "type": "tool_call_response", "id": "c1", "response": "sent to [EMAIL]" });
    [
        json!([
            { "role": "system", "parts": [text("be brief")] },
            { "role": "user", "parts": [text("write to [EMAIL]")] },
            { "role": "assistant", "parts": [call] },
            { "role": "tool", "parts": [result] },
        ]),
        json!([{ "role": "assistant", "parts": [text("[EMAIL] has it")], "finish_reason": "stop" }]),
        json!([{ "type": "function", "name": "mail", "description": "sends", "parameters": { "type": "object" } }]),
    ]
}

const KEYS: [&str; 3] = [
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.tool.definitions",
];

/// A server with this configuration after a call.
async fn after_call(config: &str, path: &str) -> Scene {
    let scene = Scene::with(config, |program| {
        program.env("OTEL_BLRP_SCHEDULE_DELAY", "5")
    })
    .await;
    let (mut client, mut served) = scene.call(&client::post(path, ASKED)).await;
    let answer = answer();
    served.write(&answer).await;
    let got = client.read_response().await;
    assert!(
        got.text().contains("anna@exa"),
        "the client gets what was said"
    );
    scene
}

fn json_of(span: &Span, key: &str) -> Option<Value> {
    Some(serde_json::from_str(span.text(key)?).unwrap())
}

/// A structured value as JSON.
fn structured(value: &AnyValue) -> Value {
    match &value.value {
        Some(Any::StringValue(text)) => text.as_str().into(),
        Some(Any::IntValue(number)) => (*number).into(),
        Some(Any::ArrayValue(list)) => list.values.iter().map(structured).collect(),
        Some(Any::KvlistValue(list)) => {
            let members = list.values.iter();
            let members =
                members.map(|it| (it.key.clone(), structured(it.value.as_ref().unwrap())));
            Value::Object(members.collect())
        }
        other => panic!("{other:?}"),
    }
}

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn content_is_off_by_default() {
    let scene = after_call("", CHAT).await;
    let (server, inference) = scene.spans().await;
    for span in [server, inference] {
        assert!(KEYS.iter().all(|key| span.attribute(key).is_none()));
    }
    assert!(!format!("{:?}", scene.collector.received()).contains("be brief"));
}

#[tokio::test]
async fn attributes_have_the_messages_in_every_vocabulary_that_knows_some() {
    let config =
        "content = 'attributes'\n[telemetry]\nvocabulary = ['gen_ai_2025', 'openinference']";
    let scene = after_call(config, CHAT).await;
    let (_, span) = scene.spans().await;
    for (key, expected) in KEYS.into_iter().zip(messages()) {
        assert_eq!(json_of(&span, key), Some(expected), "{key}");
    }
    for (key, expected) in [
        ("llm.input_messages.1.message.content", "write to [EMAIL]"),
        ("llm.input_messages.3.message.tool_call_id", "c1"),
        (
            "llm.input_messages.2.message.tool_calls.0.tool_call.function.arguments",
            r#"{"to":"[EMAIL]"}"#,
        ),
        ("llm.output_messages.0.message.role", "assistant"),
        ("output.value", "[EMAIL] has it"),
        ("output.mime_type", "text/plain"),
        ("input.mime_type", "application/json"),
    ] {
        assert_eq!(span.text(key), Some(expected), "{key}");
    }
    assert_eq!(span.texts("streamgauge.content.missing"), None);
    assert!(scene.collector.received().records.is_empty());
}

#[tokio::test]
async fn inputs_of_embeddings_are_content_and_vectors_are_not() {
    let config = "content = 'attributes'\n[telemetry]\nvocabulary = ['gen_ai', 'openinference']";
    for (path, body, answer) in [
        (
            "/v1/embeddings",
            r#"{"model":"m","input":["for anna@example.com","two"]}"#,
            r#"{"object":"list","data":[{"index":0,"embedding":[0.25,0.5]}],"model":"m"}"#,
        ),
        (
            "/api/embed",
            r#"{"model":"m","input":["for anna@example.com","two"]}"#,
            r#"{"model":"m","embeddings":[[0.25,0.5]]}"#,
        ),
    ] {
        let scene = Scene::configured(config).await;
        let (mut client, mut served) = scene.call(&client::post(path, body)).await;
        served.write(gauge::json(200, answer)).await;
        assert_eq!(client.read_response().await.text(), answer);
        let (_, span) = scene.spans().await;
        let said =
            |text: &str| json!({ "role": "user", "parts": [{ "type": "text", "content": text }] });
        let expected = json!([said("for [EMAIL]"), said("two")]);
        assert_eq!(json_of(&span, KEYS[0]), Some(expected), "{path}");
        assert_eq!(span.text(KEYS[1]), None, "{path}");
        assert_eq!(span.texts("streamgauge.content.missing"), None, "{path}");
    }
}

#[tokio::test]
async fn events_have_the_messages_in_their_structure() {
    let mut scene = after_call("content = 'events'", CHAT).await;
    let received = scene
        .collector
        .wait_for("a log record", |received| !received.records.is_empty())
        .await;
    let record = &received.records[0];
    assert_eq!(
        record.event_name,
        "gen_ai.client.inference.operation.details"
    );
    assert_eq!(record.text("gen_ai.request.model"), Some("m"));
    for (key, expected) in KEYS.into_iter().zip(messages()) {
        let mut attributes = record.attributes.iter();
        let found = attributes.find(|attribute| attribute.key == key);
        let value = found.and_then(|found| found.value.as_ref());
        assert_eq!(value.map(structured), Some(expected), "{key}");
    }
    let (_, span) = scene.spans().await;
    assert_eq!(record.span_id, span.proto.span_id);
    assert_eq!(record.trace_id, span.proto.trace_id);
    assert!(KEYS.iter().all(|key| span.attribute(key).is_none()));
    scene.server.process.terminate().await;
    assert!(scene.server.process.exit().await.success());
}

#[tokio::test]
async fn events_go_by_grpc_too() {
    let scene = Scene::with("content = 'events'", |program| {
        program
            .env("OTEL_BLRP_SCHEDULE_DELAY", "5")
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    })
    .await;
    let (mut client, mut served) = scene.call(&client::post(CHAT, ASKED)).await;
    served.write(answer()).await;
    client.read_response().await;
    let is_there = |received: &crate::support::otlp::Received| !received.records.is_empty();
    let received = scene.collector.wait_for("a log record", is_there).await;
    let mut paths = received.requests.iter().map(|request| &*request.path);
    assert!(paths.any(|path| path.ends_with("LogsService/Export")));
}

#[tokio::test]
async fn what_waits_is_exported_at_the_end_and_what_is_lost_is_counted() {
    let wait = |program: crate::support::process::Program| {
        program
            .env("OTEL_BLRP_SCHEDULE_DELAY", "600000")
            .env("OTEL_METRIC_EXPORT_INTERVAL", "50")
    };
    let call = async |scene: &Scene| {
        let (mut client, mut served) = scene.call(&client::post(CHAT, ASKED)).await;
        served.write(answer()).await;
        client.read_response().await;
    };
    let mut scene = Scene::with("content = 'events'", wait).await;
    call(&scene).await;
    scene.server.finished(1).await;
    scene.server.process.terminate().await;
    assert!(scene.server.process.exit().await.success());
    assert_eq!(scene.collector.received().records.len(), 1);

    let refused = Scene::with("content = 'events'", |program| {
        program
            .env("OTEL_BLRP_SCHEDULE_DELAY", "5")
            .env("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "50")
    })
    .await;
    refused.collector.set_mode(Mode::Refuse);
    call(&refused).await;
    let lost = async || {
        let text = client::get(refused.server.admin, "/metrics")
            .await
            .text()
            .to_owned();
        let is_one = |line: &str| line.contains("kind=\"event\"") && line.ends_with(" 1");
        text.lines()
            .filter(|line| line.starts_with("streamgauge_telemetry_dropped_total"))
            .any(is_one)
            .then_some(())
    };
    crate::support::admin::until("the lost event to be counted", lost).await;
}

#[tokio::test]
async fn an_upstream_and_a_route_have_their_own_policy() {
    let upstream = crate::support::upstream::Upstream::start().await;
    let config = format!(
        "[[upstream]]\nname = 'a'\nurl = '{}'\ncontent = 'attributes'\n\
         [[route]]\npath = '/quiet'\nupstream = 'a'\ncontent = 'off'\n[[route]]\nupstream = 'a'",
        upstream.base_url()
    );
    let scene = Scene::before(upstream, &config, |program| program).await;
    for path in ["/quiet/v1/chat/completions", CHAT] {
        let (mut client, mut served) = scene.call(&client::post(path, ASKED)).await;
        served.write(answer()).await;
        client.read_response().await;
    }
    let spans = scene.collector.spans(4).await;
    let with_content = spans
        .iter()
        .filter(|span| span.attribute(KEYS[0]).is_some());
    assert_eq!(with_content.count(), 1);
}

#[tokio::test]
async fn a_long_text_is_cut_or_withheld_with_a_mark() {
    let config =
        "content = 'attributes'\n[telemetry]\ncontent_bytes = 20\n[redact]\nmax_bytes = 30";
    let scene = Scene::configured(config).await;
    let long = "x".repeat(31);
    let body = format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":"{long}"}},{{"role":"user","content":"0123456789012345678901234"}}]}}"#
    );
    let (mut client, mut served) = scene.call(&client::post(CHAT, &body)).await;
    let answer = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}]}"#;
    served.write(gauge::json(200, answer)).await;
    client.read_response().await;
    let (_, span) = scene.spans().await;
    let shown = json_of(&span, KEYS[0]).unwrap();
    let part = |at: usize| shown[at]["parts"][0]["content"].as_str().unwrap();
    assert_eq!(part(0), "[cut: 1 messages before this]");
    assert_eq!(part(1), "01234567890123456789[cut: 20 of 25 bytes]");
    assert!(!span.text(KEYS[0]).unwrap().contains("xxx"));
}

/// What `streamgauge redact` prints of a text: to standard output and to standard error.
fn redacted(arguments: &[&str], text: &str) -> (String, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
        .arg("redact")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    program
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = program.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (out, err)
}

#[test]
fn what_a_policy_withholds_is_told_with_the_reason() {
    let mut text = r#"{"to":"anna@example.com"}"#.to_owned();
    for _ in 0..9 {
        text = serde_json::json!({ "by": "ben@example.com", "in": text }).to_string();
    }
    let (out, err) = redacted(&[], &text);
    assert!(!out.contains("anna"), "{out}");
    assert!(out.contains("[withheld: "), "{out}");
    let reason =
        "withheld: JSON that lies too deep in the strings of other JSON to be looked through";
    assert_eq!(err.lines().last(), Some(reason), "{err}");
    let config = File::new("short.toml", "[redact]\nmax_bytes = '10B'");
    let (_, err) = redacted(&["-c", config.name()], &text);
    assert_eq!(err, "withheld: longer than redact.max_bytes\n");
}

#[test]
fn a_policy_can_be_tried_on_a_text() {
    let config = File::new(
        "redact.toml",
        "[redact]\ndetectors = ['email']\npatterns = { STAFF_ID = 'E-\\d+' }",
    );
    let text = r#"{"to":"anna@example.com","by":"E-4711","at":"203.0.113.7"}"#;
    let (out, err) = redacted(&["-c", config.name()], text);
    assert_eq!(
        out,
        r#"{"to":"[EMAIL]","by":"[STAFF_ID]","at":"203.0.113.7"}"#
    );
    assert_eq!(err, "[STAFF_ID] 1\n[EMAIL] 1\n");
    let (out, err) = redacted(&["-"], "nothing here");
    assert_eq!((&*out, &*err), ("nothing here", "nothing found\n"));
}
