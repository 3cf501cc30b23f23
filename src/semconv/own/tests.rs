//! What the vocabulary says of whole exchanges, line by line.

use super::super::sample::{self, Recorded, inference_lines, server_lines};
use super::*;

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
        "streamgauge.overhead.duration {streamgauge.upstream.name=main} 0.002",
        "streamgauge.request.bytes {streamgauge.upstream.name=main} 0",
        "streamgauge.response.bytes {streamgauge.upstream.name=main} 0",
        "streamgauge.events {streamgauge.upstream.name=main} 8",
        "streamgauge.chunks {streamgauge.upstream.name=main} 5",
        "streamgauge.stalls {streamgauge.upstream.name=main} 1",
        "streamgauge.gap.max {streamgauge.upstream.name=main} 2.0",
        "streamgauge.exchanges {streamgauge.upstream.name=main streamgauge.end=done streamgauge.usage.source=reported streamgauge.partial=false} 1",
        "streamgauge.time_to_first {streamgauge.upstream.name=main first=byte} 0.04",
        "streamgauge.time_to_first {streamgauge.upstream.name=main first=event} 0.04",
        "streamgauge.time_to_first {streamgauge.upstream.name=main first=token} 0.05",
        "streamgauge.time_to_first {streamgauge.upstream.name=main first=reasoning} 0.05",
        "streamgauge.time_to_first {streamgauge.upstream.name=main first=content} 0.06",
        "streamgauge.time_to_first {streamgauge.upstream.name=main first=tool_call} 0.07",
        "streamgauge.integrity {streamgauge.upstream.name=main result=equal} 1",
    ];
    assert_eq!(samples(&sample::streamed()), expected);
}

#[test]
fn other_calls_have_no_stream_metrics() {
    let expected = [
        "streamgauge.overhead.duration {streamgauge.upstream.name=main} 0.002",
        "streamgauge.request.bytes {streamgauge.upstream.name=main} 0",
        "streamgauge.response.bytes {streamgauge.upstream.name=main} 0",
        "streamgauge.exchanges {streamgauge.upstream.name=main streamgauge.end=done streamgauge.partial=false} 1",
        "streamgauge.integrity {streamgauge.upstream.name=main result=equal} 1",
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
    let problems =
        "streamgauge.observation.problems {streamgauge.upstream.name=main kind=missed_frames} 3";
    assert!(samples.contains(&problems.to_owned()));
    assert!(samples.iter().any(|line| line.starts_with("streamgauge.exchanges ") && line.contains("partial=true")));
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
        "streamgauge.quirks {streamgauge.upstream.name=main quirk=A-03} 1",
        "streamgauge.quirks {streamgauge.upstream.name=main quirk=C-07} 1",
    ];
    assert_eq!(counted, expected);
}
