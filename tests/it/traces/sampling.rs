//! Tail sampling over the wire: which spans are exported, what their `tracestate` says, and what goes upstream.

use std::collections::BTreeSet;

use crate::support::gauge::{
    CLIENT, DONE, FINISH, Gauge, USAGE, chat, delta, json, stream, with_headers,
};
use crate::support::otlp::{Attributes as _, Span};

const SPAN: &str = "b7ad6b7169203331";

fn answer() -> Vec<u8> {
    let hello = delta(r#"{"content":"hello"}"#);
    stream([hello.as_str(), FINISH, USAGE, DONE])
}

fn refusal() -> Vec<u8> {
    json(429, r#"{"error":{"message":"slow down","type":"busy"}}"#)
}

/// A call in the trace of a client that keeps its span.
fn below(trace_id: &str, state: &str) -> Vec<u8> {
    let lines = format!("traceparent: 00-{trace_id}-{SPAN}-01\r\ntracestate: {state}\r\n");
    with_headers(&chat(), &lines)
}

/// All spans, once so many exchanges are over and the process is.
async fn exported(gauge: &Gauge, exchanges: u64) -> Vec<Span> {
    gauge.settled(exchanges).await;
    gauge.server.process.terminate().await;
    gauge.server.process.message("stopped").await;
    gauge.collector.received().spans
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_and_what_its_client_keeps_has_spans_and_nothing_else_has() {
    let gauge = Gauge::with(|program| program.env("STREAMGAUGE_SAMPLING_SHARE", "0")).await;
    let good = gauge.call(chat(), answer()).await.seen;
    // What goes upstream is settled before anybody knows.
    assert!(good.header("traceparent").unwrap().ends_with("-03"));
    assert_eq!(good.header("tracestate"), None);
    gauge.call(chat(), refusal()).await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let state = "vendor=1,ot=th:c;rv:ffffffffffffff";
    let seen = gauge.call(below(trace, state), answer()).await.seen;
    assert_eq!(seen.header("tracestate"), Some(state));
    gauge.settled(3).await;

    let page = gauge.scrape("application/openmetrics-text").await;
    let page = page.text().to_owned();
    for (decision, count) in [("dropped", 1), ("error", 1), ("parent", 1)] {
        let sample = format!("decision=\"{decision}\",upstream=\"default\"}} {count}");
        assert!(page.contains(&sample), "{sample} is not in {page}");
    }
    let spans = exported(&gauge, 3).await;
    let kept: BTreeSet<String> = spans.iter().map(Span::trace_id).collect();
    assert_eq!((spans.len(), kept.len()), (4, 2));
    for span in &spans {
        let (why, expected) = match span.trace_id() == trace {
            true => ("parent", state),
            false => ("error", "ot=th:0"),
        };
        assert_eq!(span.text("streamgauge.sampling"), Some(why));
        assert_eq!(span.proto.trace_state, expected);
    }
    let exemplars = page
        .lines()
        .filter_map(|line| line.split_once("trace_id=\""));
    let named: BTreeSet<String> = exemplars.map(|(_, id)| id[..32].to_owned()).collect();
    assert_eq!(named, kept, "of the calls that were kept, and of no other");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_keep_the_same_share_of_the_same_traces() {
    let mut kept = Vec::new();
    for _ in 0..2 {
        let gauge = Gauge::with(|program| {
            let program = program.env("STREAMGAUGE_SAMPLING_SHARE", "0.25");
            program.env("STREAMGAUGE_SAMPLING_PARENT", "ignore")
        })
        .await;
        for number in 0..16 {
            let trace = format!("0af7651916cd43dd84{number:x}8eb211c80319c");
            gauge
                .call(below(&format!("{trace:0<32}"), "vendor=1"), answer())
                .await;
        }
        let spans = exported(&gauge, 16).await;
        for span in &spans {
            assert_eq!(span.proto.trace_state, "ot=th:c,vendor=1");
        }
        let inferences = spans.iter().filter(|span| span.proto.kind == CLIENT);
        kept.push(inferences.map(Span::trace_id).collect::<BTreeSet<_>>());
    }
    assert_eq!(kept[0], kept[1]);
    // A quarter: those whose last 56 bits begin with the largest digits.
    let digits: Vec<&str> = kept[0].iter().map(|id| &id[18..19]).collect();
    assert_eq!(digits, ["c", "d", "e", "f"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_that_is_gone_before_is_warned_of_and_no_probability_is_told() {
    let gauge = Gauge::with(|program| {
        program
            .env("STREAMGAUGE_SAMPLING_SHARE", "0")
            .env("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
            .env("OTEL_TRACES_SAMPLER_ARG", "0.999999999")
    })
    .await;
    gauge.call(chat(), refusal()).await;
    let spans = exported(&gauge, 1).await;
    assert_eq!(spans.len(), 2);
    assert!(spans.iter().all(|span| span.proto.trace_state.is_empty()));
    let log = gauge.server.process.stderr();
    assert!(log.text().contains("the shares multiply"), "{}", log.text());
}
