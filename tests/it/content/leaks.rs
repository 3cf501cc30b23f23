//! Planted credentials and personal data, on every way that they can take, under every policy: they reach the client and the
//! upstream as they are, and nobody else.

use super::store::Folder;
use crate::support::admin::until;
use crate::support::client::{self, get};
use crate::support::gauge::{DONE, FINISH, json, stream};
use crate::support::scene::Scene;

/// What no page, log or export may show a part of.
const PLANTED: [&str; 8] = [
    "anna.leak",
    "leakdomain",
    "4111 1111",
    "DE89 3704",
    "sk-proj-LEAK",
    "LEAKed-pass",
    "219-09-9999",
    "5550199",
];

const EMAIL: &str = "anna.leak@leakdomain.example";
const SAID: &str = "anna.leak@leakdomain.example paid with 4111 1111 1111 1111 from DE89 3704 0044 0532 0130 00, key \
    sk-proj-LEAK0123456789, SSN 219-09-9999, call +49 171 5550199, password: LEAKed-pass1";

const VOCABULARIES: &str =
    "vocabulary = ['gen_ai', 'gen_ai_2025', 'gen_ai_2024', 'llm', 'openinference', 'traceloop']";

/// A request with all of them wherever there is room for a text.
fn request() -> Vec<u8> {
    let arguments = serde_json::json!({ "text": SAID, "more": format!("{{\"in\":\"{SAID}\"}}") });
    let body = serde_json::json!({
        "model": format!("m-{EMAIL}"), "stream": true, "stream_options": { "include_usage": true }, "user": EMAIL,
        "stop": [EMAIL], "service_tier": EMAIL, "reasoning_effort": EMAIL, "metadata": { "who": EMAIL },
        "tools": [{ "type": "function", "function": { "name": "f", "description": SAID, "parameters": { "description": SAID } } }],
        "messages": [
            { "role": "system", "content": SAID },
            { "role": "user", "name": EMAIL, "content": [{ "type": "text", "text": SAID },
                { "type": "image_url", "image_url": { "url": format!("https://a/?who={EMAIL}") } }] },
            { "role": "assistant", "tool_calls": [{ "id": "c1", "type": "function",
                "function": { "name": format!("f-{EMAIL}"), "arguments": arguments.to_string() } }] },
            { "role": "tool", "tool_call_id": "c1", "content": SAID },
        ],
    });
    let body = body.to_string();
    format!(
        "POST /v1/chat/completions?who=anna.leak%40leakdomain.example HTTP/1.1\r\nhost: a.test\r\nuser-agent: app ({EMAIL})\r\n\
         x-who: {EMAIL}\r\nbaggage: session.id={EMAIL}\r\ntracestate: a={EMAIL}\r\n\
         traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// An answer that says all of them, in pieces of a few characters.
fn answer() -> Vec<u8> {
    let chunk = |delta: serde_json::Value| {
        serde_json::json!({
            "id": format!("id-{EMAIL}"), "model": format!("m-{EMAIL}"), "system_fingerprint": EMAIL,
            "choices": [{ "index": 0, "delta": delta, "finish_reason": null }],
        })
        .to_string()
    };
    let letters: Vec<char> = SAID.chars().collect();
    let pieces = letters
        .chunks(7)
        .map(|piece| piece.iter().collect::<String>());
    let mut events: Vec<String> = pieces
        .map(|piece| chunk(serde_json::json!({ "content": piece })))
        .collect();
    events.push(chunk(serde_json::json!({ "reasoning_content": SAID })));
    events.push(chunk(serde_json::json!({ "tool_calls": [{ "index": 0, "id": "c2", "type": "function",
        "function": { "name": format!("f-{EMAIL}"), "arguments": serde_json::json!({ "password": "LEAKed-pass1" }).to_string() } }] })));
    events.extend([FINISH.to_owned(), DONE.to_owned()]);
    stream(events.iter().map(String::as_str))
}

/// Everything that is exported, shown and logged, at the end of the process.
async fn everything(mut scene: Scene, spans: usize) -> String {
    let mut shown = String::new();
    for path in [
        "/metrics",
        "/api/exchanges",
        "/api/exchanges/1",
        "/api/conversations",
        "/api/gauge",
        "/",
    ] {
        shown += get(scene.server.admin, path).await.text();
    }
    scene.collector.spans(spans).await;
    scene.server.process.terminate().await;
    assert!(scene.server.process.exit().await.success());
    shown += &scene.server.process.stderr().text();
    shown += &scene.server.process.stdout().text();
    shown + &format!("{:?}", scene.collector.received())
}

fn assert_clean(shown: &str, policy: &str) {
    for planted in PLANTED {
        let at = shown.find(planted);
        let around = at.map(|at| {
            let end = shown.len().min(at + 40);
            String::from_utf8_lossy(&shown.as_bytes()[at.saturating_sub(200)..end])
        });
        assert_eq!(around, None, "{policy}: {planted}");
    }
}

async fn check(policy: &str) {
    let folder = Folder::new(&format!("leaks-{policy}"));
    let config = format!(
        "content = '{policy}'\n[telemetry]\n{VOCABULARIES}\nattributes = ['header:x-who=who']\n[redact]\nalways = true\n\
         [log]\naccess = 'all'\nlevel = 'trace'\n[store]\nurl = '{}'",
        folder.path().display()
    );
    let scene = Scene::with(&config, |program| {
        program
            .env("OTEL_BLRP_SCHEDULE_DELAY", "5")
            .env("OTEL_METRIC_EXPORT_INTERVAL", "50")
    })
    .await;
    let mut client = scene.client().await;
    client.write(request()).await;
    let mut served = scene.upstream.accept().await;
    let seen = served.read_request().await;
    assert!(
        seen.text().contains(EMAIL),
        "the upstream gets what was said"
    );
    let in_flight = async || {
        let facts = scene.server.api("in-flight").await;
        Some(facts["exchanges"][0]["model"].as_str()?.to_owned())
    };
    assert_eq!(until("the model in flight", in_flight).await, "[EMAIL]");
    served.write(answer()).await;
    assert!(client.read_response().await.text().contains("anna.le"));

    let error = serde_json::json!({ "error": { "message": SAID, "type": EMAIL, "code": EMAIL } });
    let (mut client, mut served) = scene.call(&request()).await;
    served.write(json(400, &error.to_string())).await;
    assert!(client.read_response().await.text().contains(EMAIL));

    let (mut client, mut served) = scene.call(&request()).await;
    served.write(stream([&*error.to_string()])).await;
    assert!(client.read_response().await.text().contains(EMAIL));

    let body = serde_json::json!({ "model": "m", "instructions": SAID, "input": SAID }).to_string();
    let (mut client, mut served) = scene.call(&client::post("/v1/responses", &body)).await;
    let item = serde_json::json!({ "type": "message", "role": "assistant", "content": [{ "type": "output_text", "text": SAID }] });
    let whole =
        serde_json::json!({ "id": "r", "status": "completed", "model": "m", "output": [item] });
    served.write(json(200, &whole.to_string())).await;
    assert!(client.read_response().await.text().contains(EMAIL));

    let path = format!("GET /files/{EMAIL} HTTP/1.1\r\nhost: a.test\r\n\r\n");
    let (mut client, mut served) = scene.call(path.as_bytes()).await;
    served.write(json(404, &error.to_string())).await;
    client.read_response().await;

    scene.server.finished(5).await;
    let mut shown = everything(scene, 9).await;
    let objects = folder.objects();
    assert_eq!(!objects.is_empty(), policy.contains("store"));
    for (_, object) in objects {
        shown += &String::from_utf8(object).unwrap();
    }
    assert_clean(&shown, policy);
    // Of an error there is always a message. Keys in one are hidden before.
    let of_errors = [
        "[EMAIL]", "[CARD]", "[IBAN]", "[SSN]", "[PHONE]", "[SECRET]",
    ];
    let of_content = Some("[KEY]").filter(|_| policy != "off");
    for mark in of_errors.into_iter().chain(of_content) {
        assert!(shown.contains(mark), "{policy}: {mark}");
    }
}

#[tokio::test]
async fn nothing_that_is_planted_shows_with_content_off() {
    check("off").await;
}

#[tokio::test]
async fn nothing_that_is_planted_shows_with_content_in_attributes_and_events() {
    check("attributes+events").await;
}

#[tokio::test]
async fn nothing_that_is_planted_shows_with_content_in_the_store() {
    check("store").await;
}

#[tokio::test]
async fn nothing_that_is_planted_shows_with_content_everywhere() {
    check("attributes+events+store").await;
}

/// A word of everything that is said in a session, which no redaction takes out.
const WORD: &str = "zebrafish";

/// Who sends an event of a session.
enum By {
    Client,
    Server,
}

/// What goes before the answer in a session, with all that is planted wherever an event has room for a text.
fn before_the_answer(said: &str) -> Vec<(By, serde_json::Value)> {
    let tool = serde_json::json!({ "type": "function", "name": format!("f-{EMAIL}"), "description": said,
        "parameters": { "description": said } });
    let content = [
        serde_json::json!({ "type": "input_text", "text": said }),
        serde_json::json!({ "type": "input_audio", "audio": said, "transcript": said }),
        serde_json::json!({ "type": said, "text": [said] }),
    ];
    let item =
        serde_json::json!({ "id": "u1", "type": "message", "role": "user", "content": content });
    let result = serde_json::json!({ "id": "o1", "type": "function_call_output", "call_id": EMAIL, "output": said });
    let format = serde_json::json!({ "format": { "type": EMAIL } });
    let settings = serde_json::json!({ "model": format!("m-{EMAIL}"), "instructions": said, "tools": [tool],
        "audio": { "input": format, "output": format } });
    let event = |kind: &str, name: &str, value: serde_json::Value| serde_json::json!({ "type": kind, name: value });
    let heard = serde_json::json!({ "type": "conversation.item.input_audio_transcription.completed",
        "item_id": "u1", "content_index": 1, "transcript": said });
    vec![
        (By::Server, event("session.created", "session", settings)),
        (
            By::Client,
            event("conversation.item.create", "item", item.clone()),
        ),
        (By::Server, event("conversation.item.added", "item", item)),
        (By::Server, event("conversation.item.added", "item", result)),
        (By::Client, serde_json::json!({ "type": "response.create" })),
        (
            By::Server,
            event(
                "response.created",
                "response",
                serde_json::json!({ "id": "r1" }),
            ),
        ),
        (By::Server, heard),
    ]
}

/// A session with all that is planted, the answer in pieces of a few characters.
async fn session_with_leaks(scene: &Scene) {
    let said = format!("{WORD} {SAID}");
    let mut session = super::realtime::open(scene).await;
    for (by, event) in before_the_answer(&said) {
        match by {
            By::Client => session.client(&event.to_string()).await,
            By::Server => session.server(&event.to_string()).await,
        }
    }
    let arguments = serde_json::json!({ "text": said, "password": "LEAKed-pass1" }).to_string();
    let call = serde_json::json!({ "id": "f1", "type": "function_call", "call_id": EMAIL,
        "name": format!("f-{EMAIL}"), "arguments": arguments });
    let event = serde_json::json!({ "type": "response.output_item.done", "response_id": "r1", "item": call });
    session.server(&event.to_string()).await;
    let letters: Vec<char> = said.chars().collect();
    for kind in [
        "output_text",
        "output_audio_transcript",
        "refusal",
        "reasoning_text",
    ] {
        for piece in letters.chunks(7) {
            let delta: String = piece.iter().collect();
            let event = serde_json::json!({ "type": format!("response.{kind}.delta"), "response_id": "r1", "delta": delta });
            session.server(&event.to_string()).await;
        }
    }
    let error = serde_json::json!({ "type": EMAIL, "code": EMAIL, "message": said });
    let failed = serde_json::json!({ "type": "response.done", "response": { "id": "r1", "status": "failed",
        "status_details": { "error": error } } });
    session.server(&failed.to_string()).await;
    session.client_closes(1000).await;
}

#[tokio::test]
async fn nothing_that_is_planted_in_a_session_shows_under_any_policy() {
    for policy in ["off", "attributes+events", "store"] {
        let folder = Folder::new(&format!("leaks-session-{policy}"));
        let config = format!(
            "content = '{policy}'\n[telemetry]\n{VOCABULARIES}\nerror_messages = 'off'\n[redact]\nalways = true\n\
             [log]\naccess = 'all'\nlevel = 'trace'\n[store]\nurl = '{}'",
            folder.path().display()
        );
        let scene = Scene::with(&config, |program| {
            program.env("OTEL_BLRP_SCHEDULE_DELAY", "5")
        })
        .await;
        session_with_leaks(&scene).await;
        scene.server.finished(2).await;
        let mut shown = everything(scene, 2).await;
        for (_, object) in folder.objects() {
            shown += &String::from_utf8(object).unwrap();
        }
        assert_clean(&shown, policy);
        assert_eq!(shown.contains(WORD), policy != "off", "{policy}");
        assert_eq!(shown.contains("[IBAN]"), policy != "off", "{policy}");
    }
}

#[cfg(feature = "fault-injection")]
#[tokio::test]
async fn a_panic_of_a_stage_or_a_sink_quotes_nothing() {
    let folder = Folder::new("leaks-panic");
    let config = format!(
        "content = 'store'\n[redact]\nalways = true\n[log]\nlevel = 'trace'\n[store]\nurl = '{}'",
        folder.path().display()
    );
    let scene = Scene::configured(&config).await;
    for place in ["fail-in-a-stage", "fail-in-a-sink"] {
        let body = serde_json::json!({ "model": place, "messages": [{ "role": "user", "content": SAID }] });
        let post = client::post("/v1/chat/completions", &body.to_string());
        let (mut client, mut served) = scene.call(&post).await;
        served.write(answer()).await;
        client.read_response().await;
    }
    for kind in ["stage", "sink"] {
        let labels = [("kind", kind)];
        let name = "streamgauge_telemetry_dropped_total";
        let failed = async || (scene.server.metric(name, &labels).await == Some(1.0)).then_some(());
        until("the failure to be counted", failed).await;
    }
    let shown = everything(scene, 4).await;
    assert_clean(&shown, "panics");
    // A backtrace, where one is asked for and there is debug information, names the place once more.
    let panics = shown
        .lines()
        .filter(|line| line.contains("a thread panicked"));
    let places = panics.map(|line| line.contains("src/pipeline/fault.rs"));
    assert_eq!(places.collect::<Vec<_>>(), [true, false]);
}

#[tokio::test]
async fn an_error_of_the_upstream_is_cleaned_by_default_and_can_be_left_out() {
    for (config, expected) in [
        ("", "[EMAIL] says no"),
        ("[telemetry]\nerror_messages = 'off'", ""),
    ] {
        let scene = Scene::configured(config).await;
        let body = r#"{"model":"m","messages":[]}"#;
        let (mut client, mut served) = scene
            .call(&client::post("/v1/chat/completions", body))
            .await;
        let error = format!(r#"{{"error":{{"message":"{EMAIL} says no","type":"bad"}}}}"#);
        served.write(json(400, &error)).await;
        assert_eq!(client.read_response().await.text(), error);
        let (_, inference) = scene.spans().await;
        assert_eq!(inference.proto.status.unwrap().message, expected);
        assert_clean(&everything(scene, 2).await, config);
    }
}
