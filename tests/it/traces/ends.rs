//! How calls end: for each way what both spans say of it, their status, and what is no error.

use opentelemetry_proto::tonic::trace::v1::status::StatusCode::{self, Error, Unset};

use crate::support::client::{connect, post, send};
use crate::support::gauge::{
    DONE, FINISH, Gauge, STREAM_HEAD, USAGE, chat, delta, event, json, stream,
};
use crate::support::http1::Closed;
use crate::support::otlp::{Attributes as _, Span};
use crate::support::upstream::Upstream;

const HELLO: &str = r#"{"content":"hello"}"#;

/// What a span says of its end: status code and description, `error.type`, HTTP status.
type Outcome<'s> = (StatusCode, &'s str, Option<&'s str>, Option<i64>);

fn outcome(span: &Span) -> Outcome<'_> {
    let description = span
        .proto
        .status
        .as_ref()
        .map_or("", |status| &status.message);
    (
        span.status(),
        description,
        span.text("error.type"),
        span.int("http.response.status_code"),
    )
}

/// Checks `streamgauge.end` of both spans.
fn ended(spans: &(Span, Span), end: &str) {
    for span in [&spans.0, &spans.1] {
        assert_eq!(span.text("streamgauge.end"), Some(end), "{}", span.name());
    }
}

fn finish_reasons(span: &Span) -> Option<Vec<&str>> {
    span.texts("gen_ai.response.finish_reasons")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_4xx_is_an_error_of_the_call_and_not_of_the_server() {
    let gauge = Gauge::start().await;
    let error = r#"{"error":{"message":"slow down","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#;
    gauge.call(chat(), json(429, error)).await;
    let spans = gauge.spans().await;
    ended(&spans, "http_error");
    assert_eq!(
        outcome(&spans.0),
        (Error, "slow down", Some("rate_limit_exceeded"), None)
    );
    assert_eq!(outcome(&spans.1), (Unset, "", None, Some(429)));
    assert_eq!(finish_reasons(&spans.0), None);
    assert_eq!(spans.0.text("streamgauge.usage.source"), None);
    assert_eq!(spans.0.attribute("gen_ai.usage.input_tokens"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_type_of_an_error_stands_in_where_its_code_is_a_number() {
    let gauge = Gauge::start().await;
    let error = r#"{"error":{"message":"no","type":"BadRequestError","param":null,"code":400}}"#;
    gauge.call(chat(), json(400, error)).await;
    let (inference, server) = gauge.spans().await;
    assert_eq!(
        outcome(&inference),
        (Error, "no", Some("BadRequestError"), None)
    );
    assert_eq!(outcome(&server), (Unset, "", None, Some(400)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_page_is_known_by_its_status() {
    let gauge = Gauge::start().await;
    gauge.call(chat(), json(500, "<html>oops</html>")).await;
    let (inference, server) = gauge.spans().await;
    assert_eq!(outcome(&inference), (Error, "", Some("500"), None));
    assert_eq!(outcome(&server), (Error, "", Some("500"), Some(500)));
    assert_eq!(inference.attribute("streamgauge.problems.malformed"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_event_inside_a_200_fails_the_call_and_not_the_transport() {
    let gauge = Gauge::start().await;
    let error = r#"{"error":{"message":"overloaded","type":"server_error","code":null}}"#;
    let events = [&delta(HELLO), error, DONE];
    gauge.call(chat(), stream(events)).await;
    let spans = gauge.spans().await;
    ended(&spans, "error_event");
    assert_eq!(
        outcome(&spans.0),
        (Error, "overloaded", Some("server_error"), None)
    );
    assert_eq!(outcome(&spans.1), (Unset, "", None, Some(200)));
    assert_eq!(finish_reasons(&spans.0), Some(vec!["error"]));
    assert_eq!(spans.0.int("streamgauge.chunks"), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_is_an_error_of_both_and_keeps_what_came() {
    let gauge = Gauge::start().await;
    let (mut caller, mut served) = gauge.open(chat()).await;
    served.write(STREAM_HEAD).await;
    served.write(event(&delta(HELLO))).await;
    served.write(event(USAGE)).await;
    served.reset();
    let (_, closed) = caller.read_to_end().await;
    assert!(matches!(closed, Closed::Reset | Closed::Eof));
    let spans = gauge.spans().await;
    ended(&spans, "cut");
    for (span, status) in [(&spans.0, None), (&spans.1, Some(200))] {
        let (code, description, kind, found) = outcome(span);
        assert_eq!(
            (code, kind, found),
            (Error, Some("stream_truncated"), status)
        );
        assert!(
            description.contains("broke during the response"),
            "{description}"
        );
    }
    assert_eq!(finish_reasons(&spans.0), Some(vec!["error"]));
    assert_eq!(spans.0.int("llm.response.full_length"), Some(5));
    assert_eq!(spans.0.int("gen_ai.usage.output_tokens"), Some(4));
    assert_eq!(
        spans.0.text("streamgauge.usage.source"),
        Some("reported_partial")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_just_stops_is_cut() {
    let hello = delta(HELLO);
    for events in [vec![hello.as_str()], vec![]] {
        let gauge = Gauge::start().await;
        gauge.call(chat(), stream(events)).await;
        let spans = gauge.spans().await;
        ended(&spans, "cut");
        let (code, _, kind, _) = outcome(&spans.0);
        assert_eq!((code, kind), (Error, Some("stream_truncated")));
        assert_eq!(outcome(&spans.1), (Unset, "", None, Some(200)));
        assert_eq!(spans.1.text("streamgauge.integrity"), Some("equal"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finish_without_done_and_a_done_without_finish_are_told_apart() {
    for (events, end, reasons) in [
        (
            vec![delta(HELLO), FINISH.into(), USAGE.into()],
            "finish_without_done",
            "stop",
        ),
        (
            vec![delta(HELLO), USAGE.into(), DONE.into()],
            "done_without_finish",
            "error",
        ),
    ] {
        let gauge = Gauge::start().await;
        gauge
            .call(chat(), stream(events.iter().map(String::as_str)))
            .await;
        let spans = gauge.spans().await;
        ended(&spans, end);
        assert_eq!(outcome(&spans.0), (Unset, "", None, None));
        assert_eq!(finish_reasons(&spans.0), Some(vec![reasons]));
        assert_eq!(spans.0.text("streamgauge.usage.source"), Some("reported"));
    }
}

/// A proxy with these limits of time for its upstream.
async fn limited(name: &str, timeouts: &str) -> Gauge {
    let file = format!("{}/{name}.toml", env!("CARGO_TARGET_TMPDIR"));
    let upstream = "[[upstream]]\nname = \"default\"\nurl = \"http://overridden\"\n";
    std::fs::write(&file, format!("{upstream}timeouts = {{ {timeouts} }}\n")).unwrap();
    Gauge::with(|program| program.args(["-c", &file])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_says_nothing_times_out() {
    let gauge = limited("first-byte", "first_byte = \"50ms\"").await;
    let (mut caller, _served) = gauge.open(chat()).await;
    assert_eq!(caller.read_response().await.status(), 504);
    let spans = gauge.spans().await;
    ended(&spans, "timeout");
    let (code, description, kind, status) = outcome(&spans.1);
    assert_eq!((code, kind, status), (Error, Some("timeout"), Some(504)));
    assert_eq!(
        description,
        "upstream default sent no response head within 50ms; if it needs longer, raise upstream.timeouts.first_byte"
    );
    assert_eq!(outcome(&spans.0).2, Some("timeout"));
    assert_eq!(finish_reasons(&spans.0), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_falls_silent_times_out_and_its_running_count_is_partial() {
    let gauge = limited("idle", "idle = \"50ms\"").await;
    let (mut caller, mut served) = gauge.open(chat()).await;
    served.write(STREAM_HEAD).await;
    let running = delta(HELLO).replace(
        "}]}",
        r#"}],"usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10}}"#,
    );
    served.write(event(&running)).await;
    caller.read_to_end().await;
    let spans = gauge.spans().await;
    ended(&spans, "timeout");
    for (span, status) in [(&spans.0, None), (&spans.1, Some(200))] {
        let (code, _, kind, found) = outcome(span);
        assert_eq!((code, kind, found), (Error, Some("timeout"), status));
    }
    assert_eq!(spans.0.int("gen_ai.usage.output_tokens"), Some(1));
    assert_eq!(
        spans.0.text("streamgauge.usage.source"),
        Some("reported_partial")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_nobody_is_at_refuses() {
    let mut gauge = Gauge::start().await;
    // A listener of another port closes that of the proxy's upstream.
    gauge.upstream = Upstream::start().await;
    let got = send(gauge.server.proxy, chat()).await;
    assert_eq!(
        (got.status(), got.header("x-streamgauge-error")),
        (502, Some("connection_refused"))
    );
    let spans = gauge.spans().await;
    ended(&spans, "refused");
    for (span, status) in [(&spans.0, None), (&spans.1, Some(502))] {
        let (code, description, kind, found) = outcome(span);
        assert_eq!(
            (code, kind, found),
            (Error, Some("connection_refused"), status)
        );
        assert!(
            description.starts_with("upstream default refused"),
            "{description}"
        );
    }
    assert_eq!(spans.0.attribute("streamgauge.time_to_response_head"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_before_the_head_is_cut() {
    let gauge = Gauge::start().await;
    let (mut caller, served) = gauge.open(chat()).await;
    served.reset();
    assert_eq!(caller.read_response().await.status(), 502);
    let spans = gauge.spans().await;
    ended(&spans, "cut");
    assert_eq!(outcome(&spans.0).2, Some("connection_broken"));
    assert_eq!(outcome(&spans.1).3, Some(502));
}

/// Checks that neither span calls it an error that the client left.
fn left(spans: &(Span, Span), status: Option<i64>) {
    ended(spans, "client_left");
    assert_eq!(outcome(&spans.0), (Unset, "", None, None));
    assert_eq!(outcome(&spans.1), (Unset, "", None, status));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_a_stream_is_no_error() {
    let gauge = Gauge::start().await;
    let (mut caller, mut served) = gauge.open(chat()).await;
    served.write(STREAM_HEAD).await;
    served.write(event(&delta(HELLO))).await;
    caller.read_head().await;
    caller.read_chunk().await;
    caller.close().await;
    served.closed().await;
    let spans = gauge.spans().await;
    left(&spans, Some(200));
    assert_eq!(finish_reasons(&spans.0), Some(vec!["error"]));
    assert_eq!(spans.0.int("streamgauge.chunks"), Some(1));
    assert_eq!(spans.0.text("streamgauge.usage.source"), Some("estimated"));
    assert_eq!(spans.1.text("streamgauge.integrity"), Some("prefix"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_before_any_output_has_no_reason_to_end_and_no_output() {
    let gauge = Gauge::start().await;
    let (mut caller, mut served) = gauge.open(chat()).await;
    served.write(STREAM_HEAD).await;
    served
        .write(event(&delta(r#"{"role":"assistant","content":""}"#)))
        .await;
    caller.read_head().await;
    caller.read_chunk().await;
    caller.close().await;
    served.closed().await;
    let spans = gauge.spans().await;
    left(&spans, Some(200));
    let inference = &spans.0;
    assert_eq!(finish_reasons(inference), None);
    assert_eq!(inference.text("llm.response.finish_reason"), None);
    let input = "streamgauge.usage.estimated.input_tokens";
    assert!(inference.int(input) > Some(0), "the prompt was sent");
    let output = "streamgauge.usage.estimated.output_tokens";
    assert_eq!(inference.int(output), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_before_the_head_has_no_status() {
    let gauge = Gauge::start().await;
    let (caller, mut served) = gauge.open(chat()).await;
    caller.close().await;
    served.closed().await;
    let spans = gauge.spans().await;
    left(&spans, None);
    assert_eq!(finish_reasons(&spans.0), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_its_own_upload_is_no_error_either() {
    let gauge = Gauge::start().await;
    // No dialect reads this body, so it is passed on as it comes.
    let upload = "POST /v1/files HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf";
    let mut caller = connect(gauge.server.proxy).await;
    caller.write(upload).await;
    let mut served = gauge.upstream.accept().await;
    served.read_through(b"half").await;
    caller.close().await;
    served.closed().await;
    let span = gauge.server_span().await;
    assert_eq!(span.text("streamgauge.end"), Some("client_left"));
    assert_eq!(outcome(&span), (Unset, "", None, None));
    assert_eq!(span.int("http.request.body.size"), Some(4), "what came");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_before_its_request_is_read_is_no_error_either() {
    let gauge = Gauge::start().await;
    let whole = post("/v1/chat/completions", r#"{"model":"m"}"#);
    let mut caller = connect(gauge.server.proxy).await;
    caller.write(&whole[..whole.len() - 3]).await;
    caller.close().await;
    let span = gauge.server_span().await;
    assert_eq!(span.text("streamgauge.end"), Some("client_left"));
    assert_eq!(outcome(&span), (Unset, "", None, None));
    assert_eq!(span.int("http.request.body.size"), Some(10), "what came");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_which_nothing_came_has_no_size_and_an_empty_one_has() {
    let gauge = Gauge::start().await;
    let head = "POST /v1/files HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n";
    let mut caller = connect(gauge.server.proxy).await;
    caller.write(head).await;
    caller.close().await;
    let span = gauge.server_span().await;
    assert_eq!(span.int("http.request.body.size"), None);

    let gauge = Gauge::start().await;
    let get = "GET /v1/models HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    gauge.call(get, json(200, "{}")).await;
    let span = gauge.server_span().await;
    assert_eq!(span.int("http.request.body.size"), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_closes_after_the_last_event_has_not_left() {
    for (last, end) in [(DONE, "done"), (FINISH, "finish_without_done")] {
        let gauge = Gauge::start().await;
        let (mut caller, mut served) = gauge.open(chat()).await;
        served.write(STREAM_HEAD).await;
        let events = [&delta(HELLO), FINISH, USAGE, last];
        for data in events {
            served.write(event(data)).await;
        }
        caller.read_head().await;
        let mut got = String::new();
        let whole: String = events.map(|data| format!("data: {data}\n\n")).concat();
        while got.len() < whole.len() {
            got += std::str::from_utf8(&caller.read_chunk().await.data).unwrap();
        }
        assert_eq!(got, whole);
        caller.close().await;
        served.closed().await;
        let spans = gauge.spans().await;
        ended(&spans, end);
        assert_eq!(outcome(&spans.0), (Unset, "", None, None));
        assert_eq!(spans.0.text("streamgauge.usage.source"), Some("reported"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_we_turn_away_is_rejected_by_us() {
    let gauge = Gauge::start().await;
    let got = send(
        gauge.server.proxy,
        "CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n",
    )
    .await;
    assert_eq!(got.status(), 405);
    let span = gauge.server_span().await;
    assert_eq!(span.text("streamgauge.end"), Some("rejected"));
    let kind = Some("method_not_allowed");
    assert_eq!(outcome(&span), (Unset, "", kind, Some(405)));
}
