//! Tokens that no upstream reported: when they are counted, what is said of them, and that they can be turned off.

use crate::support::client::post;
use crate::support::gauge::{DONE, FINISH, Gauge, STREAM_HEAD, USAGE, delta, event, json, stream};
use crate::support::otlp::{Attributes as _, Span};

/// Five tokens of text in one message; what frames it comes on top.
const ASK: &str =
    r#"{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"How deep is it?"}]}"#;
const PROMPT: i64 = 5 + 4 + 3;
/// Five tokens, cut where no token ends.
const ANSWER: [&str; 4] = [
    r#"{"content":"Thr"}"#,
    r#"{"content":"ee met"}"#,
    r#"{"content":"res at mi"}"#,
    r#"{"content":"dnight."}"#,
];
const TOKENS: i64 = 5;

fn ask() -> Vec<u8> {
    post("/v1/chat/completions", ASK)
}

/// Where the counts of a span come from, and what they are.
fn usage(span: &Span) -> (Option<&str>, Option<i64>, Option<i64>) {
    (
        span.text("streamgauge.usage.source"),
        span.int("gen_ai.usage.input_tokens"),
        span.int("gen_ai.usage.output_tokens"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_without_usage_is_counted_over_the_borders_of_its_chunks() {
    let gauge = Gauge::start().await;
    let deltas = ANSWER.map(delta);
    let events = deltas.iter().map(String::as_str).chain([FINISH, DONE]);
    gauge.call(ask(), stream(events)).await;
    let (inference, _) = gauge.spans().await;
    assert_eq!(
        usage(&inference),
        (Some("estimated"), Some(PROMPT), Some(TOKENS))
    );
    assert_eq!(inference.attribute("llm.response.usage.total_tokens"), None);
    assert_eq!(
        inference.attribute("streamgauge.time_per_output_token"),
        None
    );
    gauge.settled(1).await;
    for name in [
        "gen_ai.client.token.usage",
        "gen_ai.client.inference.usage.output_tokens",
        "llm.tokens.total",
        "llm.tokens.completion",
    ] {
        let marked = [("streamgauge.usage.source", "estimated")];
        gauge.collector.point(name, &marked).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_its_client_leaves_counts_what_came() {
    let gauge = Gauge::start().await;
    let (mut caller, mut served) = gauge.open(ask()).await;
    served.write(STREAM_HEAD).await;
    served.write(event(&delta(r#"{"content":"Three"}"#))).await;
    caller.read_head().await;
    caller.read_chunk().await;
    caller.close().await;
    served.closed().await;
    let (inference, _) = gauge.spans().await;
    assert_eq!(
        usage(&inference),
        (Some("estimated"), Some(PROMPT), Some(1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_an_old_server_is_counted_with_its_tool_calls() {
    let gauge = Gauge::start().await;
    let answer = r#"{"choices":[{"index":0,"message":{"content":null,"tool_calls":[{"id":"c","function":{"name":"gauge","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"#;
    gauge.call(ask(), json(200, answer)).await;
    let (inference, _) = gauge.spans().await;
    assert_eq!(
        usage(&inference),
        (Some("estimated"), Some(PROMPT), Some(3))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_wire_reports_is_never_estimated() {
    let half = r#"{"choices":[],"usage":{"prompt_tokens":9}}"#;
    for (report, expected) in [
        (USAGE, (Some("reported"), Some(9), Some(4))),
        (half, (Some("reported_partial"), Some(9), None)),
    ] {
        let gauge = Gauge::start().await;
        let said = delta(r#"{"content":"Three"}"#);
        gauge
            .call(ask(), stream([said.as_str(), FINISH, report, DONE]))
            .await;
        let (inference, _) = gauge.spans().await;
        assert_eq!(usage(&inference), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_cannot_be_counted_and_an_error_has_nothing_to_count() {
    let gauge = Gauge::start().await;
    let image = r#"{"model":"gpt-4o","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:,"}}]}]}"#;
    let answer =
        r#"{"choices":[{"index":0,"message":{"content":"Three"},"finish_reason":"stop"}]}"#;
    gauge
        .call(post("/v1/chat/completions", image), json(200, answer))
        .await;
    let (inference, _) = gauge.spans().await;
    assert_eq!(usage(&inference), (Some("estimated"), None, Some(1)));

    let gauge = Gauge::start().await;
    gauge
        .call(ask(), json(500, r#"{"error":{"message":"no"}}"#))
        .await;
    let (inference, _) = gauge.spans().await;
    assert_eq!(usage(&inference), (Some("missing"), None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_counted_where_it_is_turned_off() {
    let off = |program: crate::support::process::Program| {
        program.env("STREAMGAUGE_TELEMETRY_ESTIMATE_TOKENS", "false")
    };
    let gauge = Gauge::with(off).await;
    let said = delta(r#"{"content":"Three"}"#);
    gauge
        .call(ask(), stream([said.as_str(), FINISH, DONE]))
        .await;
    let (inference, _) = gauge.spans().await;
    assert_eq!(usage(&inference), (Some("missing"), None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_counted_at_the_end_is_exported() {
    let gauge = Gauge::start().await;
    let said = delta(&format!(r#"{{"content":"{}"}}"#, "river ".repeat(20_000)));
    gauge
        .call(ask(), stream([said.as_str(), FINISH, DONE]))
        .await;
    let Gauge {
        mut server,
        collector,
        upstream: _upstream,
    } = gauge;
    server.process.terminate().await;
    assert!(server.process.exit().await.success());
    let spans = collector.spans(2).await;
    let counted = spans
        .iter()
        .find_map(|span| span.int("gen_ai.usage.output_tokens"));
    // Long texts are counted piece by piece, and a cut may cost a token.
    assert!((20_001..20_020).contains(&counted.unwrap()), "{counted:?}");
}
