//! Work for clients that have left: counted, and where a route wants it, read to its end.

use serde_json::json;

use crate::support::admin::until;
use crate::support::client::post;
use crate::support::gauge::{json as answer, with_headers};
use crate::support::http1::{Connection, chunk};
use crate::support::otlp::{Attributes as _, Span};
use crate::support::scene::{EDITED, END, STREAM, Scene, TOKEN, UNEDITED, USAGE, chat};

const DRAIN: &str = "[[route]]\nupstream = 'default'\non_client_left = 'drain'\n";

/// A whole answer that reports usage.
const WHOLE: &str = r#"{"id":"a","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"length"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}"#;

/// A call whose stream has begun and whose client has left it.
async fn left(scene: &Scene, request: &str) -> Connection {
    let (client, mut served) = scene.call(&chat(request)).await;
    leave_midway(client, &mut served).await;
    served
}

/// A client gets the first token of its answer and leaves.
async fn leave_midway(mut client: Connection, served: &mut Connection) {
    served
        .write([STREAM.as_bytes(), &chunk(TOKEN)].concat())
        .await;
    client.read_through(TOKEN.as_bytes()).await;
    leave(client).await;
}

/// A client leaves. It only closes its sending side, so that it sees when that was noticed: its connection is closed in turn.
async fn leave(mut client: Connection) {
    client.finish().await;
    client.read_to_end().await;
}

/// The two spans, of which the inference is the second.
async fn spans_of_left(scene: &Scene) -> (Span, Span) {
    let row = scene.server.finished(1).await.remove(0);
    assert_eq!(
        (&row["end"], &row["error"]),
        (&json!("client_left"), &json!(null))
    );
    let (server, inference) = scene.spans().await;
    for span in [&server, &inference] {
        assert_eq!(span.text("streamgauge.end"), Some("client_left"));
        assert_eq!(span.text("error.type"), None);
    }
    (server, inference)
}

async fn counted(scene: &Scene, name: &str, labels: &[(&str, &str)]) -> f64 {
    let what = format!("{name} {labels:?}");
    until(&what, async || {
        scene
            .server
            .metric(name, labels)
            .await
            .filter(|count| *count > 0.0)
    })
    .await
}

#[tokio::test]
async fn a_drained_answer_is_read_to_its_end_and_its_usage_is_reported() {
    for request in [EDITED, UNEDITED] {
        let scene = Scene::configured(DRAIN).await;
        let mut served = left(&scene, request).await;
        for event in [TOKEN, END, USAGE, "data: [DONE]\n\n", ""] {
            served.write(chunk(event)).await;
        }
        let (server, inference) = spans_of_left(&scene).await;
        assert_eq!(inference.text("streamgauge.usage.source"), Some("reported"));
        assert_eq!(inference.int("gen_ai.usage.input_tokens"), Some(3));
        assert_eq!(inference.int("gen_ai.usage.output_tokens"), Some(1));
        assert_eq!(
            server.text("streamgauge.abandoned.upstream"),
            Some("drained")
        );
        let came = [TOKEN, END, USAGE, "data: [DONE]\n\n"].concat().len() as i64;
        assert_eq!(server.int("streamgauge.abandoned.bytes"), Some(came));
        let whole = came + TOKEN.len() as i64;
        assert_eq!(server.int("streamgauge.response.bytes"), Some(whole));
        assert_eq!(server.text("streamgauge.integrity"), Some("prefix"));
        assert!(inference.proto.end_time_unix_nano > server.proto.end_time_unix_nano);
        let of = |source| [("model", "m"), ("streamgauge_usage_source", source)];
        let name = "streamgauge_abandoned_input_tokens_total";
        assert_eq!(counted(&scene, name, &of("reported")).await, 3.0);
        assert_eq!(scene.server.metric(name, &of("estimated")).await, None);
        let drained = [("streamgauge_abandoned_upstream", "drained")];
        let name = "streamgauge_abandoned_duration_seconds_count";
        assert_eq!(counted(&scene, name, &drained).await, 1.0);

        // The connection was read to the end of the answer, and so serves the next call.
        let mut client = scene.client().await;
        client.write(chat(request)).await;
        served.read_request().await;
        served.write(answer(200, WHOLE)).await;
        assert_eq!(client.read_response().await.status(), 200);
    }
}

#[tokio::test]
async fn an_answer_that_has_not_begun_is_drained_too() {
    let scene = Scene::configured(DRAIN).await;
    let (client, mut served) = scene
        .call(&post(
            "/v1/chat/completions",
            r#"{"model":"m","messages":[]}"#,
        ))
        .await;
    leave(client).await;
    served.write(answer(200, WHOLE)).await;
    let (server, inference) = spans_of_left(&scene).await;
    assert_eq!(inference.text("streamgauge.usage.source"), Some("reported"));
    assert_eq!(inference.int("gen_ai.usage.output_tokens"), Some(1));
    assert_eq!(
        server.text("streamgauge.abandoned.upstream"),
        Some("drained")
    );
    assert_eq!(server.int("http.response.status_code"), None);
    assert_eq!(server.text("streamgauge.integrity"), None);
    counted(
        &scene,
        "streamgauge_answers_cut_by_length_total",
        &[("model", "m")],
    )
    .await;
}

#[tokio::test]
async fn a_session_that_opens_behind_its_client_is_closed_and_was_not_stopped() {
    let scene = Scene::configured(DRAIN).await;
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    let ask = format!(
        "GET /v1/realtime?model=m HTTP/1.1\r\nHost: me\r\n{upgrade}Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\r\n"
    );
    let (client, mut served) = scene.call(ask.as_bytes()).await;
    leave(client).await;
    served
        .write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk=\r\n\r\n",
        )
        .await;
    served.closed().await;
    let row = scene.server.finished(1).await.remove(0);
    assert_eq!(row["end"], "client_left");
    let spans = scene.collector.spans(1).await;
    assert_eq!(
        spans[0].text("streamgauge.abandoned.upstream"),
        Some("drained")
    );
}

#[tokio::test]
async fn what_is_drained_before_it_has_begun_is_estimated_where_nobody_reports_it() {
    let config = format!("{DRAIN}[usage]\ninject = false\n");
    let scene = Scene::configured(&config).await;
    let (client, mut served) = scene.call(&chat(EDITED)).await;
    leave(client).await;
    served
        .write([STREAM.as_bytes(), &chunk(TOKEN), &chunk(END), &chunk("")].concat())
        .await;
    let (_, inference) = spans_of_left(&scene).await;
    assert_eq!(
        inference.text("streamgauge.usage.source"),
        Some("estimated")
    );
    let estimated = inference.int("streamgauge.usage.estimated.output_tokens");
    assert_eq!(estimated, Some(1));
}

#[tokio::test]
async fn a_refusal_that_nobody_waits_for_lacks_no_usage() {
    let scene = Scene::configured(DRAIN).await;
    let (client, mut served) = scene.call(&chat(EDITED)).await;
    leave(client).await;
    served
        .write(answer(429, r#"{"error":{"message":"slow down"}}"#))
        .await;
    let (_, inference) = spans_of_left(&scene).await;
    assert_eq!(inference.text("streamgauge.usage.source"), None);
}

#[tokio::test]
async fn a_request_that_has_not_come_whole_is_not_drained() {
    let scene = Scene::configured(DRAIN).await;
    let mut client = scene.client().await;
    client
        .write("POST /v1/files HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nfirst part")
        .await;
    let mut served = scene.upstream.accept().await;
    served.read_head().await;
    assert_eq!(served.read_exact(10).await, b"first part");
    client.close().await;
    served.closed().await;
    assert_eq!(scene.server.finished(1).await[0]["end"], "client_left");
}

#[tokio::test]
async fn draining_ends_at_its_limits_and_then_cancels() {
    for limit in ["time = '50ms'", "bytes = 100"] {
        let scene = Scene::configured(&format!("{DRAIN}drain = {{ {limit} }}\n")).await;
        let mut served = left(&scene, UNEDITED).await;
        served.write(chunk(TOKEN.repeat(2))).await;
        served.closed().await;
        let (server, inference) = spans_of_left(&scene).await;
        assert_eq!(
            server.text("streamgauge.abandoned.upstream"),
            Some("limit_reached"),
            "{limit}"
        );
        // What was seen is counted; the answer was not whole.
        assert_eq!(
            inference.text("streamgauge.usage.source"),
            Some("estimated")
        );
    }
}

#[tokio::test]
async fn as_many_are_drained_as_may_be_and_a_further_one_is_cancelled() {
    let scene = Scene::configured(&format!("{DRAIN}[limits]\ndrained_calls = 1\n")).await;
    let mut drained = left(&scene, UNEDITED).await;
    left(&scene, UNEDITED).await.closed().await;
    // One that has not begun, too.
    let (client, mut served) = scene.call(&chat(UNEDITED)).await;
    leave(client).await;
    served.closed().await;
    let fate = |fate| [("streamgauge_abandoned_upstream", fate)];
    let name = "streamgauge_abandoned_duration_seconds_count";
    scene
        .server
        .metric_where(name, &fate("not_drained"), |count| count == 2.0)
        .await;
    drained
        .write([chunk(END), b"0\r\n\r\n".to_vec()].concat())
        .await;
    assert_eq!(counted(&scene, name, &fate("drained")).await, 1.0);
    // Its place is free again, and its connection.
    let mut client = scene.client().await;
    client.write(chat(UNEDITED)).await;
    drained.read_request().await;
    leave_midway(client, &mut drained).await;
    drained
        .write([chunk(END), b"0\r\n\r\n".to_vec()].concat())
        .await;
    scene
        .server
        .metric_where(name, &fate("drained"), |count| count == 2.0)
        .await;
    let rows = scene.server.finished(4).await;
    assert!(rows.iter().all(|row| row["end"] == "client_left"));
}

#[tokio::test]
async fn an_upstream_that_breaks_while_it_is_drained_is_no_error_of_the_call() {
    let scene = Scene::configured(DRAIN).await;
    let served = left(&scene, UNEDITED).await;
    served.close().await;
    let (server, _) = spans_of_left(&scene).await;
    assert_eq!(
        server.text("streamgauge.abandoned.upstream"),
        Some("broken")
    );
}

#[tokio::test]
async fn a_cancelled_upstream_is_closed_at_once_and_what_was_generated_is_counted() {
    let scene = Scene::start().await;
    let mut served = left(&scene, UNEDITED).await;
    served.closed().await;
    let (server, inference) = spans_of_left(&scene).await;
    assert_eq!(
        server.text("streamgauge.abandoned.upstream"),
        Some("cancelled")
    );
    assert_eq!(server.int("streamgauge.abandoned.bytes"), Some(0));
    let took = server.double("streamgauge.abandoned.duration").unwrap();
    assert!((0.0..1.0).contains(&took), "{took}");
    assert_eq!(
        inference.text("streamgauge.usage.source"),
        Some("estimated")
    );
    let labels = [("model", "m"), ("streamgauge_usage_source", "estimated")];
    counted(&scene, "streamgauge_abandoned_output_tokens_total", &labels).await;
}

#[tokio::test]
async fn a_client_that_is_done_has_left_nothing_to_drain() {
    let scene = Scene::configured(DRAIN).await;
    let (mut client, mut served) = scene.call(&chat(UNEDITED)).await;
    let events = [TOKEN, END].concat();
    served
        .write([STREAM.as_bytes(), &chunk(&events)].concat())
        .await;
    client.read_through(b"[DONE]\n\n").await;
    leave(client).await;
    served.write(chunk("")).await;
    let row = scene.server.finished(1).await.remove(0);
    assert_eq!(row["end"], "done");
    let (server, _) = scene.spans().await;
    assert_eq!(server.text("streamgauge.abandoned.upstream"), None);
}

#[tokio::test]
async fn a_process_that_ends_cuts_draining_off_and_says_so() {
    let mut scene = Scene::configured(DRAIN).await;
    let _served = left(&scene, UNEDITED).await;
    scene.server.process.terminate().await;
    scene.server.process.wait().await;
    let (server, _) = scene.spans().await;
    assert_eq!(server.text("streamgauge.end"), Some("client_left"));
}

#[tokio::test]
async fn the_same_request_twice_at_once_is_identical_and_so_a_retry_is_told() {
    let scene = Scene::start().await;
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    let request = post("/v1/chat/completions", body);
    let again = with_headers(&request, "x-stainless-retry-count: 2\r\n");
    let (mut one, mut served_one) = scene.call(&request).await;
    let (mut other, mut served_other) = scene.call(&again).await;
    served_one.write(answer(200, WHOLE)).await;
    assert_eq!(one.read_response().await.status(), 200);
    served_other.write(answer(200, WHOLE)).await;
    assert_eq!(other.read_response().await.status(), 200);
    assert_eq!(
        counted(
            &scene,
            "streamgauge_requests_identical_total",
            &[("model", "m")]
        )
        .await,
        1.0
    );
    assert_eq!(
        counted(&scene, "streamgauge_client_retries_total", &[]).await,
        1.0
    );
    let spans = scene.collector.spans(4).await;
    let told: Vec<_> = spans
        .iter()
        .filter_map(|span| span.int("streamgauge.client.retry_count"))
        .collect();
    assert_eq!(told, [2]);
}
