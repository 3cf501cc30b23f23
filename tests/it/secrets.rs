//! A key that an upstream repeats, wherever it does, is passed on to the client and to nobody else.

use crate::support::admin::until;
use crate::support::client::get;
use crate::support::file::File;
use crate::support::scene::Scene;

/// A key of ours, and one of the client's; neither looks like a provider's.
const OURS: &str = "hush-own-key-4711";
const CLIENTS: &str = "hush-client-key-0815";

/// A proxy that has a key of its own, with the simplest of upstreams.
async fn scene() -> (Scene, File) {
    let key = File::new("own.key", OURS);
    let upstream = crate::support::upstream::Upstream::start().await;
    let config = format!(
        "[[upstream]]\nname = \"main\"\nurl = \"{}\"\nkey = {{ file = \"{}\" }}\n",
        upstream.base_url(),
        key.name()
    );
    let scene = Scene::before(upstream, &config, |program| {
        program
            .env("STREAMGAUGE_LOG_LEVEL", "trace")
            .env("OTEL_METRIC_EXPORT_INTERVAL", "50")
    })
    .await;
    (scene, key)
}

/// Everything that is exported and shown, at the end of the process.
async fn everything(mut scene: Scene, spans: usize) -> String {
    let mut shown = String::new();
    for path in [
        "/metrics",
        "/api/exchanges",
        "/api/exchanges/1",
        "/api/gauge",
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

#[tokio::test]
async fn a_key_that_is_repeated_anywhere_shows_nowhere() {
    let (scene, _key) = scene().await;
    let body = format!(
        r#"{{"model":"m-{CLIENTS}","stop":["{CLIENTS}"],"messages":[],"reasoning_effort":"{OURS}"}}"#
    );
    let request = format!(
        "POST /v1/chat/completions?user={CLIENTS}&Session-Id=quiet HTTP/1.1\r\nhost: {CLIENTS}.test\r\nauthorization: Bearer {CLIENTS}\r\n\
         user-agent: a/{CLIENTS}\r\ntracestate: a={CLIENTS}\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut client = scene.client().await;
    client.write(request).await;
    let mut served = scene.upstream.accept().await;
    let seen = served.read_request().await;
    assert!(seen.header_lines().iter().any(|line| line.contains(OURS)));
    // While it is in flight.
    let in_flight = async || {
        let facts = scene.server.api("in-flight").await;
        let model = facts["exchanges"][0]["model"].as_str()?.to_owned();
        Some(model)
    };
    assert_eq!(until("the model in flight", in_flight).await, "m-REDACTED");

    let long = format!("{}{OURS}", "x".repeat(245));
    let choice = format!(
        r#"{{"index":0,"finish_reason":"stop-{OURS}","{CLIENTS}":1,"message":{{"content":"a","{OURS}":{{"{CLIENTS}":1}},
        "tool_calls":[{{"id":"{OURS}","type":"function","function":{{"name":"{CLIENTS}","arguments":"{{}}"}}}}]}}}}"#
    );
    let answer = format!(
        r#"{{"id":"id-{OURS}","model":"m-{OURS}","system_fingerprint":"{CLIENTS}","service_tier":"{OURS}","{OURS}":"","choices":[{choice}],
        "usage":{{"prompt_tokens":1,"completion_tokens":1,"{CLIENTS}":2}}}}"#
    );
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: {OURS}\r\ncf-ray: {long}\r\ncontent-length: {}\r\n\r\n",
        answer.len()
    );
    served.write(format!("{head}{answer}")).await;
    assert_eq!(client.read_response().await.text(), answer);
    scene.server.finished(1).await;

    let shown = everything(scene, 2).await;
    for telling in [
        "m-REDACTED",
        "id-REDACTED",
        "stop-REDACTED",
        "Session-Id=REDACTED",
    ] {
        assert!(shown.contains(telling), "{telling} is there to be seen");
    }
    // No part of one either, as a cut would leave.
    for secret in ["hush-own", "hush-client", "quiet"] {
        let at = shown.find(secret);
        assert_eq!(at.map(|at| &shown[at.saturating_sub(200)..at + 40]), None);
    }
}

#[tokio::test]
async fn a_key_that_an_error_quotes_is_no_label_either() {
    let (scene, _key) = scene().await;
    let request = crate::support::scene::chat(r#"{"model":"m","messages":[]}"#);
    let (mut client, mut served) = scene.call(&request).await;
    let error = format!(r#"{{"error":{{"code":"bad-{OURS}","type":"t","message":"no {OURS}"}}}}"#);
    let length = error.len();
    served
        .write(format!(
            "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{error}"
        ))
        .await;
    assert_eq!(client.read_response().await.text(), error);
    let rows = scene.server.finished(1).await;
    assert_eq!(rows[0]["error"], "bad-REDACTED");
    assert!(!everything(scene, 2).await.contains("hush"));
}
