//! A request that goes out twice, because the upstream refused the usage edit.

use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::status::StatusCode::{Error, Unset};

use crate::support::client::{connect, post};
use crate::support::gauge::{CLIENT, DONE, FINISH, Gauge, USAGE, delta, json, lines, stream};
use crate::support::http1::Message;
use crate::support::otlp::{Attributes as _, Span};

/// A stream that does not ask for its usage.
fn silent() -> Vec<u8> {
    let body = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    post("/v1/chat/completions?api-key=secret&v=1", body)
}

/// Sends a request that the upstream answers twice; returns what it saw each time and what the client got.
async fn twice(gauge: &Gauge, answers: [Vec<u8>; 2]) -> ([Message; 2], Message) {
    let serve = async {
        let mut seen = Vec::new();
        for answer in answers {
            let mut served = gauge.upstream.accept().await;
            seen.push(served.read_request().await);
            served.write(answer).await;
        }
        seen.try_into().unwrap()
    };
    let call = async {
        let mut caller = connect(gauge.server.proxy).await;
        caller.write(silent()).await;
        caller.read_response().await
    };
    tokio::join!(serve, call)
}

/// The spans of both attempts, in the order in which they were sent.
async fn attempts(gauge: &Gauge) -> (Vec<Span>, Span) {
    let received = gauge.received(4).await;
    let inference = received.span("chat m").unwrap().clone();
    let children = received.children(&inference);
    let mut attempts: Vec<Span> = children.into_iter().cloned().collect();
    attempts.sort_by_key(|span| span.proto.start_time_unix_nano);
    (attempts, inference)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_attempt_is_a_client_span_under_the_inference() {
    let gauge = Gauge::start().await;
    let refusal = r#"{"error":{"message":"stream_options is not known","type":"BadRequestError"}}"#;
    let hello = delta(r#"{"content":"hello"}"#);
    let answers = [json(400, refusal), stream([hello.as_str(), FINISH, DONE])];
    let (seen, got) = twice(&gauge, answers).await;
    assert!(seen[0].text().contains("include_usage"));
    assert!(!seen[1].text().contains("include_usage"));
    assert_eq!(got.status(), 200);

    let (attempts, inference) = attempts(&gauge).await;
    let port = gauge.upstream.address().port();
    let expected = |more: &[&str]| {
        let mut lines: Vec<String> = more.iter().map(|line| (*line).to_owned()).collect();
        lines.push("http.request.method=POST".to_owned());
        lines.push("server.address=127.0.0.1".to_owned());
        lines.push(format!("server.port={port}"));
        lines.push("streamgauge.upstream.name=default".to_owned());
        lines.push(format!(
            "url.full=http://127.0.0.1:{port}/v1/chat/completions?api-key=REDACTED&v=1"
        ));
        lines.sort();
        lines
    };
    assert_eq!(attempts.len(), 2);
    for span in &attempts {
        assert_eq!((span.name(), span.proto.kind), ("POST", CLIENT));
        assert_eq!(span.trace_id(), inference.trace_id());
    }
    let [refused, answered] = [&attempts[0], &attempts[1]];
    assert_eq!((refused.status(), answered.status()), (Error, Unset));
    assert_eq!(
        lines(refused),
        expected(&[
            "error.type=400",
            "http.response.status_code=400",
            "streamgauge.attempt.number=1",
            "streamgauge.attempt.why=first"
        ])
    );
    assert_eq!(
        lines(answered),
        expected(&[
            "http.request.resend_count=1",
            "http.response.status_code=200",
            "streamgauge.attempt.number=2",
            "streamgauge.attempt.why=usage_refused"
        ])
    );
    assert_eq!(inference.int("streamgauge.attempts"), Some(2));
    assert_eq!(inference.int("streamgauge.attempt.answering"), Some(2));
    let within = |inner: &Span, outer: &Span| {
        outer.proto.start_time_unix_nano <= inner.proto.start_time_unix_nano
            && inner.proto.end_time_unix_nano <= outer.proto.end_time_unix_nano
    };
    assert!(within(refused, &inference) && within(answered, &inference));
    assert!(refused.proto.end_time_unix_nano <= answered.proto.start_time_unix_nano);
    // The upstream's own spans belong under the inference, whichever attempt they are of.
    for request in &seen {
        let parent = format!("00-{}-{}-03", inference.trace_id(), inference.span_id());
        assert_eq!(request.header("traceparent"), Some(parent.as_str()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_repeat_brought_is_what_the_inference_says() {
    let gauge = Gauge::start().await;
    let hello = delta(r#"{"content":"hello"}"#);
    let answers = [
        json(422, r#"{"detail":"extra inputs are not permitted"}"#),
        stream([hello.as_str(), FINISH, DONE]),
    ];
    twice(&gauge, answers).await;
    let (_, inference) = attempts(&gauge).await;
    assert_eq!(
        (inference.status(), inference.text("error.type")),
        (Unset, None)
    );
    assert_eq!(
        inference.text("streamgauge.usage.source"),
        Some("estimated")
    );
    assert_eq!(inference.attribute("streamgauge.usage.injected"), None);
    assert_eq!(inference.int("llm.response.full_length"), Some(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_wrong_in_itself_fails_in_its_second_answer() {
    let gauge = Gauge::start().await;
    let error = r#"{"error":{"message":"bad request","type":"x","code":"not_good"}}"#;
    let (_, got) = twice(&gauge, [json(400, error), json(400, error)]).await;
    assert_eq!((got.status(), got.text()), (400, error));
    let (attempts, inference) = attempts(&gauge).await;
    let kinds: Vec<_> = attempts
        .iter()
        .map(|span| span.text("error.type"))
        .collect();
    assert_eq!(kinds, [Some("400"), Some("not_good")]);
    assert_eq!(inference.text("error.type"), Some("not_good"));
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_say_what_became_of_each_attempt() {
    let gauge = Gauge::start().await;
    let hello = delta(r#"{"content":"hello"}"#);
    let answers = [json(400, "{}"), stream([hello.as_str(), FINISH, DONE])];
    twice(&gauge, answers).await;
    gauge.settled(1).await;
    let count = async |name: &str, labels: &[(&str, &str)]| gauge.server.metric(name, labels).await;
    let client = "http_client_request_duration_seconds_count";
    let (refused, answered) = (
        ("http_response_status_code", "400"),
        ("http_response_status_code", "200"),
    );
    let error = ("error_type", "400");
    assert_eq!(count(client, &[refused, error]).await, Some(1.0));
    assert_eq!(count(client, &[answered]).await, Some(1.0));
    assert_eq!(count(client, &[error]).await, Some(1.0));
    let resend = [
        ("upstream", "default"),
        ("why", "usage_refused"),
        ("answered", "true"),
    ];
    assert_eq!(count("streamgauge_resends_total", &resend).await, Some(1.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_an_upstream_took_to_refuse_is_not_the_proxys() {
    const THINKING: Duration = Duration::from_millis(500);
    let gauge = Gauge::start().await;
    let serve = async {
        let mut served = gauge.upstream.accept().await;
        served.read_request().await;
        tokio::time::sleep(THINKING).await;
        served.write(json(400, "{}")).await;
        let mut served = gauge.upstream.accept().await;
        served.read_request().await;
        served.write(stream([FINISH, DONE])).await;
    };
    let call = async {
        let mut caller = connect(gauge.server.proxy).await;
        caller.write(silent()).await;
        caller.read_response().await
    };
    tokio::join!(serve, call);
    let received = gauge.received(4).await;
    let server = received.span("POST /v1/chat/completions").unwrap();
    let ours = server.double("streamgauge.overhead.duration").unwrap();
    assert!(ours < THINKING.as_secs_f64(), "{ours} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_attempt_is_no_span_of_its_own_and_its_usage_is_marked_as_asked_for_by_us() {
    let gauge = Gauge::start().await;
    let hello = delta(r#"{"content":"hello"}"#);
    let call = gauge
        .call(silent(), stream([hello.as_str(), FINISH, USAGE, DONE]))
        .await;
    assert!(!call.got.text().contains("usage"));
    let (inference, server) = gauge.spans().await;
    assert_eq!(gauge.collector.received().spans.len(), 2);
    assert_eq!(inference.boolean("streamgauge.usage.injected"), Some(true));
    assert_eq!(inference.int("gen_ai.usage.output_tokens"), Some(4));
    assert_eq!(server.text("streamgauge.integrity"), Some("usage_removed"));
}
