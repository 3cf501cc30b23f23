//! What was said in realtime sessions: of each response what it was given to read and what it said, wherever the policy says.

use serde_json::{Value, json};

use super::store::{Folder, stored};
use super::{KEYS, json_of, structured};
use crate::support::gauge::{CLIENT, SERVER};
use crate::support::otlp::{Attributes as _, Span};
use crate::support::scene::Scene;
use crate::support::websocket::Session;

const SYSTEM: &str = "gen_ai.system_instructions";

pub(super) async fn open(scene: &Scene) -> Session {
    let target = "/v1/realtime?model=gpt-realtime";
    Session::between(scene.server.proxy, &scene.upstream, target, "").await
}

async fn server(session: &mut Session, event: Value) {
    session.server(&event.to_string()).await;
}

async fn client(session: &mut Session, event: Value) {
    session.client(&event.to_string()).await;
}

/// The client adds an item, and the server says that it has.
async fn add_item(session: &mut Session, item: &Value) {
    let create = json!({ "type": "conversation.item.create", "item": item });
    client(session, create).await;
    let added = json!({ "type": "conversation.item.added", "item": item });
    server(session, added).await;
}

/// The client asks for a response, and the server begins it.
async fn begin(session: &mut Session, id: &str) {
    client(session, json!({ "type": "response.create" })).await;
    let created = json!({ "type": "response.created", "response": { "id": id } });
    server(session, created).await;
}

/// Two responses: one to a text, with a call of a tool; one to the call's result and to speech, spoken.
async fn talk(session: &mut Session) {
    let tool = json!({ "type": "function", "name": "mail", "description": "sends", "parameters": { "type": "object" } });
    let settings = json!({ "model": "gpt-realtime", "instructions": "be brief", "tools": [tool] });
    let created = json!({ "type": "session.created", "session": settings });
    server(session, created).await;
    let content = json!([{ "type": "input_text", "text": "write to anna@example.com" }]);
    let item = json!({ "id": "u1", "type": "message", "role": "user", "content": content });
    add_item(session, &item).await;
    begin(session, "r1").await;
    call_a_tool(session).await;
    server(session, done("r1")).await;

    let result = json!({ "id": "o1", "type": "function_call_output", "call_id": "c1", "output": "sent to anna@example.com" });
    add_item(session, &result).await;
    let append = json!({ "type": "input_audio_buffer.append", "audio": "AAEC" });
    client(session, append).await;
    client(session, json!({ "type": "input_audio_buffer.commit" })).await;
    let committed = json!({ "type": "input_audio_buffer.committed", "item_id": "u2" });
    server(session, committed).await;
    begin(session, "r2").await;
    speak(session).await;
    server(session, done("r2")).await;
}

/// The first response calls a tool, its arguments in two pieces.
async fn call_a_tool(session: &mut Session) {
    let mut call = json!({ "id": "f1", "type": "function_call", "call_id": "c1", "name": "mail", "arguments": "" });
    let event = json!({ "type": "response.output_item.added", "response_id": "r1", "item": call });
    server(session, event).await;
    for delta in [r#"{"to":"anna@"#, r#"example.com"}"#] {
        let event = json!({ "type": "response.function_call_arguments.delta", "response_id": "r1",
            "item_id": "f1", "delta": delta });
        server(session, event).await;
    }
    call["arguments"] = json!(r#"{"to":"anna@example.com"}"#);
    let event = json!({ "type": "response.output_item.done", "response_id": "r1", "item": call });
    server(session, event).await;
}

/// The second response speaks, once it is known what the user has said.
async fn speak(session: &mut Session) {
    let event = json!({ "type": "conversation.item.input_audio_transcription.completed", "item_id": "u2",
        "content_index": 0, "transcript": "did anna@example.com get it?" });
    server(session, event).await;
    for delta in ["Yes, anna@", "example.com has it"] {
        for (kind, delta) in [("output_audio_transcript", delta), ("output_audio", "AAEC")] {
            let event = json!({ "type": format!("response.{kind}.delta"), "response_id": "r2",
                "item_id": "a2", "delta": delta });
            server(session, event).await;
        }
    }
}

fn done(id: &str) -> Value {
    json!({ "type": "response.done", "response": { "id": id, "status": "completed" } })
}

/// What both responses were given to read and what they said, as the conventions have it.
fn messages() -> [[Value; 2]; 2] {
    let text = |text: &str| json!({ "type": "text", "content": text });
    let sound = |bytes: u64, sha256: &str| json!({ "type": "blob", "modality": "audio", "size": bytes, "sha256": sha256 });
    let call = json!({ "type": "tool_call", "id": "c1", "name": "mail", "arguments": { "to": "[EMAIL]" } });
    let result = json!({ "type": "tool_call_response", "id": "c1", "response": "sent to [EMAIL]" });
    let asked = json!({ "role": "user", "parts": [text("write to [EMAIL]")] });
    let spoken = sound(
        3,
        "ae4b3280e56e2faf83f414a6e3dabe9d5fbe18976544c05fed121accb85b53fc",
    );
    let answer = sound(
        6,
        "ddbadcc1c88a1cb459ec8b5784a498abcc01c0e3199e0c7bf2f32d20b03692e9",
    );
    [
        [
            json!([asked]),
            json!([{ "role": "assistant", "parts": [call], "finish_reason": "stop" }]),
        ],
        [
            json!([
                asked,
                { "role": "assistant", "parts": [call] },
                { "role": "tool", "parts": [result] },
                { "role": "user", "parts": [spoken, text("did [EMAIL] get it?")] },
            ]),
            json!([{ "role": "assistant", "parts": [text("Yes, [EMAIL] has it"), answer], "finish_reason": "stop" }]),
        ],
    ]
}

/// The spans of the responses, in the order in which they began, and the session's.
async fn spans(scene: &Scene) -> (Vec<Span>, Span) {
    let mut spans = scene.collector.spans(3).await;
    spans.sort_by_key(|span| (span.proto.kind == SERVER, span.proto.start_time_unix_nano));
    let server = spans.pop().unwrap();
    assert!(spans.iter().all(|span| span.proto.kind == CLIENT));
    (spans, server)
}

#[tokio::test]
async fn each_response_has_what_it_was_given_to_read_and_what_it_said() {
    let config = "content = 'attributes'\n[telemetry]\nvocabulary = ['gen_ai', 'openinference']";
    let scene = Scene::configured(config).await;
    let mut session = open(&scene).await;
    talk(&mut session).await;
    session.client_closes(1000).await;
    let (responses, server) = spans(&scene).await;
    let tools = json!([{ "type": "function", "name": "mail", "description": "sends", "parameters": { "type": "object" } }]);
    for (span, [input, output]) in responses.iter().zip(messages()) {
        assert_eq!(json_of(span, KEYS[0]), Some(input));
        assert_eq!(json_of(span, KEYS[1]), Some(output));
        assert_eq!(json_of(span, KEYS[2]).as_ref(), Some(&tools));
        let system = json!([{ "type": "text", "content": "be brief" }]);
        assert_eq!(json_of(span, SYSTEM), Some(system));
        assert_eq!(span.texts("streamgauge.content.missing"), None);
    }
    let shown = "llm.output_messages.0.message.contents.0.message_content.text";
    assert_eq!(responses[1].text(shown), Some("Yes, [EMAIL] has it"));
    assert!(KEYS.iter().all(|key| server.attribute(key).is_none()));
}

#[tokio::test]
async fn each_response_has_an_event_of_its_own() {
    let scene = Scene::with("content = 'events'", |program| {
        program.env("OTEL_BLRP_SCHEDULE_DELAY", "5")
    })
    .await;
    let mut session = open(&scene).await;
    talk(&mut session).await;
    let received = scene
        .collector
        .wait_for("two log records", |received| received.records.len() == 2)
        .await;
    for (record, expected) in received.records.iter().zip(messages()) {
        for (key, expected) in KEYS.into_iter().zip(expected) {
            let mut attributes = record.attributes.iter();
            let found = attributes.find(|attribute| attribute.key == key);
            let value = found.and_then(|found| found.value.as_ref());
            assert_eq!(value.map(structured), Some(expected), "{key}");
        }
    }
    session.client_closes(1000).await;
    let (responses, _) = spans(&scene).await;
    for (record, span) in received.records.iter().zip(&responses) {
        assert_eq!(record.span_id, span.proto.span_id);
        assert!(KEYS.iter().all(|key| span.attribute(key).is_none()));
    }
}

#[tokio::test]
async fn a_conversation_is_stored_once_and_read_back_by_the_hashes_of_its_responses() {
    let folder = Folder::new("store-realtime");
    let scene = Scene::configured(&folder.config("")).await;
    let mut session = open(&scene).await;
    talk(&mut session).await;
    session.client_closes(1000).await;
    let (responses, _) = spans(&scene).await;
    // The instructions, the tools, four messages of the input, two of the output, and of each response two lists. What was
    // said with a finish reason is the same message as the one that is read later.
    stored(&scene, 11.0).await;
    for (span, [input, output]) in responses.iter().zip(messages()) {
        assert_eq!(span.attribute(KEYS[0]), None);
        let hash = span.text("streamgauge.answer.hash").unwrap();
        let stored: Value = serde_json::from_str(&folder.prompt(hash, &["--json"])).unwrap();
        let told = stored["prompt"]["messages"].as_array().unwrap();
        assert_eq!(told.len(), input.as_array().unwrap().len());
        let last = told.last().unwrap();
        let expected = input.as_array().unwrap().last().unwrap();
        assert_eq!(
            last["parts"].as_array().unwrap().len(),
            expected["parts"].as_array().unwrap().len()
        );
        let text = |message: &Value| {
            message["parts"].as_array().unwrap().last().unwrap()["content"].clone()
        };
        assert_eq!(text(last), text(expected));
        assert_eq!(stored["messages"][0]["role"], "assistant");
        assert_eq!(
            stored["messages"][0]["finish_reason"],
            output[0]["finish_reason"]
        );
    }
    assert_eq!(folder.objects().len(), 11);
}

#[tokio::test]
async fn a_session_on_a_route_without_content_shows_nothing() {
    let scene = Scene::configured("").await;
    let mut session = open(&scene).await;
    talk(&mut session).await;
    session.client_closes(1000).await;
    spans(&scene).await;
    let shown = format!("{:?}", scene.collector.received());
    assert!(!shown.contains("be brief") && !shown.contains("has it"));
}

#[tokio::test]
async fn a_request_over_the_websocket_of_responses_brings_its_own_input() {
    let scene = Scene::configured("content = 'attributes'").await;
    let (proxy, upstream) = (scene.server.proxy, &scene.upstream);
    let mut session = Session::between(proxy, upstream, "/v1/responses", "").await;
    let text =
        |text: &str| json!({ "role": "user", "parts": [{ "type": "text", "content": text }] });
    for id in ["r1", "r2"] {
        let create = json!({ "type": "response.create", "model": "m", "instructions": "be brief",
            "previous_response_id": "r0", "input": format!("question of {id}") });
        client(&mut session, create).await;
        let created = json!({ "type": "response.created", "response": { "id": id } });
        server(&mut session, created).await;
        let delta = json!({ "type": "response.output_text.delta", "delta": "hello" });
        server(&mut session, delta).await;
        let end = json!({ "type": "response.completed", "response": { "id": id, "status": "completed" } });
        server(&mut session, end).await;
    }
    session.client_closes(1000).await;
    let (responses, _) = spans(&scene).await;
    for (span, id) in responses.iter().zip(["r1", "r2"]) {
        let input = json!([text(&format!("question of {id}"))]);
        assert_eq!(json_of(span, KEYS[0]), Some(input));
        let said = json!([{ "type": "text", "content": "hello" }]);
        assert_eq!(json_of(span, KEYS[1]).unwrap()[0]["parts"], said);
        assert!(span.text(SYSTEM).unwrap().contains("be brief"));
    }
}
