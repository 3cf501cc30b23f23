//! What the vocabulary says of whole exchanges, line by line.

use super::super::sample::{self, Recorded, inference_lines, server_lines};
use super::*;
use crate::exchange::{End, Failure};

fn samples(exchange: &Exchange) -> Vec<String> {
    Recorded::lines(&Own, exchange)
}

#[test]
fn a_streamed_call_has_every_attribute() {
    let expected = [
        "streamgauge.end=done",
        "streamgauge.upstream.name=main",
        "streamgauge.usage.source=reported",
        "streamgauge.usage.injected=true",
        "streamgauge.time_to_response_head=0.03",
        "streamgauge.time_to_first_byte=0.04",
        "streamgauge.time_to_first_event=0.04",
        "streamgauge.time_to_first_token=0.05",
        "streamgauge.time_to_first_reasoning=0.05",
        "streamgauge.time_to_first_content=0.06",
        "streamgauge.time_to_first_tool_call=0.07",
        "streamgauge.time_per_output_token=0.51",
        "streamgauge.events=8",
        "streamgauge.chunks=5",
        "streamgauge.gap.max=2.0",
        "streamgauge.gap.p99=2.0",
        "streamgauge.stalls=1",
        "streamgauge.reasoning.length=5",
        "streamgauge.tool_calls=1",
    ];
    assert_eq!(inference_lines(&Own, &sample::streamed()), expected);
}

#[test]
fn a_unary_call_has_no_stream_facts() {
    let expected = [
        "streamgauge.end=done",
        "streamgauge.upstream.name=main",
        "streamgauge.usage.source=reported",
        "streamgauge.time_to_response_head=0.03",
        "streamgauge.time_to_first_byte=0.04",
    ];
    assert_eq!(inference_lines(&Own, &sample::unary()), expected);
}

#[test]
fn the_server_span_says_how_it_ended() {
    let expected = [
        "streamgauge.end=client_left",
        "streamgauge.upstream.name=main",
        "streamgauge.overhead.duration=0.002",
        "streamgauge.response.bytes=0",
        "streamgauge.integrity=prefix",
    ];
    assert_eq!(server_lines(&Own, &sample::client_left()), expected);
}

#[test]
fn a_streamed_call_gives_every_metric() {
    let expected = [
        "streamgauge.overhead.duration {upstream=main} 0.002",
        "streamgauge.request.bytes {upstream=main} 0",
        "streamgauge.response.bytes {upstream=main} 0",
        "streamgauge.events {upstream=main} 8",
        "streamgauge.chunks {upstream=main} 5",
        "streamgauge.stalls {upstream=main} 1",
        "streamgauge.gap.max {upstream=main} 2.0",
        "streamgauge.exchanges {upstream=main model=gpt-4o http.route=/v1/chat/completions streamgauge.end=done} 1",
        "streamgauge.usage.calls {upstream=main streamgauge.usage.source=reported} 1",
        "streamgauge.time_to_first {upstream=main first=byte} 0.04",
        "streamgauge.time_to_first {upstream=main first=event} 0.04",
        "streamgauge.time_to_first {upstream=main first=token} 0.05",
        "streamgauge.time_to_first {upstream=main first=reasoning} 0.05",
        "streamgauge.time_to_first {upstream=main first=content} 0.06",
        "streamgauge.time_to_first {upstream=main first=tool_call} 0.07",
        "streamgauge.integrity {upstream=main result=equal} 1",
    ];
    assert_eq!(samples(&sample::streamed()), expected);
}

#[test]
fn other_calls_have_no_stream_metrics() {
    let expected = [
        "streamgauge.overhead.duration {upstream=main} 0.002",
        "streamgauge.request.bytes {upstream=main} 0",
        "streamgauge.response.bytes {upstream=main} 0",
        "streamgauge.exchanges {upstream=main streamgauge.end=done} 1",
        "streamgauge.integrity {upstream=main result=equal} 1",
    ];
    assert_eq!(samples(&sample::plain()), expected);
}

#[test]
fn what_was_not_seen_makes_an_exchange_partial() {
    let mut exchange = sample::streamed();
    exchange.problems.missed_frames = 3;
    let span = inference_lines(&Own, &exchange);
    assert_eq!(
        span[span.len() - 2..],
        [
            "streamgauge.problems.missed_frames=3",
            "streamgauge.partial=true"
        ]
    );
    let samples = samples(&exchange);
    let problems = "streamgauge.observation.problems {upstream=main kind=missed_frames} 3";
    assert!(samples.contains(&problems.to_owned()));
    assert!(samples.contains(&"streamgauge.exchanges.partial {upstream=main} 1".to_owned()));
}

#[test]
fn what_failed_is_counted_by_kind_and_what_was_rejected_by_reason() {
    let counted = |exchange: &Exchange| -> Vec<String> {
        let lines = samples(exchange).into_iter();
        lines
            .filter(|line| line.contains(".failures {") || line.contains(".rejected {"))
            .collect()
    };
    let ended = |end, status, kind: &str| {
        let mut exchange = sample::unary();
        exchange.end = end;
        exchange.http.status = Some(status);
        exchange.failure = Some(Failure {
            kind: kind.into(),
            message: String::new(),
        });
        exchange
    };
    for (end, status, word, kind) in [
        (
            End::Refused,
            502,
            "connection_refused",
            "connection_refused",
        ),
        (End::Unfinished, 200, "stream_truncated", "stream_truncated"),
        (End::ErrorEvent, 200, "overloaded", "error_event"),
        (End::HttpError, 401, "invalid_api_key", "4xx"),
        (End::HttpError, 429, "rate_limit_exceeded", "429"),
        (End::HttpError, 503, "503", "5xx"),
    ] {
        let expected = format!("streamgauge.upstream.failures {{upstream=main kind={kind}}} 1");
        assert_eq!(counted(&ended(end, status, word)), [expected]);
        assert!(KINDS.contains(&kind), "{kind}");
    }
    assert_eq!(
        counted(&ended(End::Rejected, 408, "body_timeout")),
        ["streamgauge.requests.rejected {reason=body_timeout} 1"]
    );
    assert_eq!(counted(&ended(End::Timeout, 200, "shutdown")), [""; 0]);
    assert_eq!(counted(&sample::unary()), [""; 0]);
}

#[test]
fn quirks_are_counted_each_and_listed_on_the_span() {
    let mut exchange = sample::unary();
    exchange.quirks = [Quirk::NoSpace, Quirk::UsageInChoice].into_iter().collect();
    let spans = inference_lines(&Own, &exchange);
    assert!(spans.contains(&r#"streamgauge.quirks=["A-03", "C-07"]"#.to_owned()));
    let counted: Vec<_> = samples(&exchange)
        .into_iter()
        .filter(|line| line.starts_with("streamgauge.quirks "))
        .collect();
    let expected = [
        "streamgauge.quirks {upstream=main quirk=A-03} 1",
        "streamgauge.quirks {upstream=main quirk=C-07} 1",
    ];
    assert_eq!(counted, expected);
}

#[test]
fn which_of_several_attempts_was_answered_is_said() {
    let exchange = sample::repeated();
    for lines in [
        server_lines(&Own, &exchange),
        inference_lines(&Own, &exchange),
    ] {
        for line in ["streamgauge.attempts=2", "streamgauge.attempt.answering=2"] {
            assert!(lines.contains(&line.to_owned()), "{line} in {lines:?}");
        }
    }
    let of_attempt = |at| sample::attribute_lines(|span| attempt(&exchange, at, span));
    assert_eq!(
        [of_attempt(0), of_attempt(1)],
        [
            [
                "streamgauge.upstream.name=main",
                "streamgauge.attempt.number=1",
                "streamgauge.attempt.why=first"
            ],
            [
                "streamgauge.upstream.name=main",
                "streamgauge.attempt.number=2",
                "streamgauge.attempt.why=usage_refused"
            ]
        ]
    );
}

#[test]
fn attempts_after_the_first_are_counted_by_reason_and_by_whether_they_were_answered() {
    let resends = |exchange: &Exchange| -> Vec<String> {
        let lines = samples(exchange).into_iter();
        lines.filter(|line| line.contains("resends")).collect()
    };
    let mut exchange = sample::repeated();
    let counted = |answered| {
        format!("streamgauge.resends {{upstream=main why=usage_refused answered={answered}}} 1")
    };
    assert_eq!(resends(&exchange), [counted(true)]);
    exchange.attempts[1].status = None;
    exchange.attempts[1].error = Some("connection_refused");
    assert_eq!(resends(&exchange), [counted(false)]);
    exchange.attempts.pop();
    assert_eq!(resends(&exchange), [""; 0]);
}

#[test]
fn what_was_not_sent_has_no_overhead() {
    let mut exchange = sample::plain();
    exchange.attempts.clear();
    let about = |lines: Vec<String>| lines.iter().any(|line| line.contains("overhead"));
    assert!(!about(server_lines(&Own, &exchange)));
    assert!(!about(samples(&exchange)));
}
