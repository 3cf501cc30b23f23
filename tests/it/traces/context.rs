//! W3C Trace Context through the proxy, and head sampling by the standard variables.

use crate::support::client::{connect, post};
use crate::support::gauge::{
    CLIENT, DONE, FINISH, Gauge, SERVER, USAGE, chat, delta, json, stream, with_headers,
};
use crate::support::http1::Message;
use crate::support::otlp::Attributes as _;
use crate::support::process::Program;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// Trace headers of a client, with this flag.
fn traced(flags: &str) -> String {
    format!(
        "traceparent: 00-{TRACE}-{PARENT}-{flags}\r\ntracestate: one=1\r\nbaggage: user=7\r\ntracestate: two=2\r\n"
    )
}

fn answer() -> Vec<u8> {
    let hello = delta(r#"{"content":"hello"}"#);
    stream([hello.as_str(), FINISH, USAGE, DONE])
}

/// A streamed chat through the proxy with these header lines; what the upstream saw of it.
async fn seen(gauge: &Gauge, lines: &str) -> Message {
    gauge
        .call(with_headers(&chat(), lines), answer())
        .await
        .seen
}

/// The trace headers of a request, as they stand.
fn trace_lines(request: &Message) -> Vec<&str> {
    let mut lines = request.header_lines();
    lines.retain(|line| line.starts_with("trace") || line.starts_with("baggage"));
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clients_span_is_the_parent_and_the_inference_span_is_the_upstreams() {
    let gauge = Gauge::start().await;
    let seen = seen(&gauge, &traced("01")).await;
    let (inference, server) = gauge.spans().await;
    assert_eq!(
        (inference.trace_id(), server.trace_id()),
        (TRACE.into(), TRACE.into())
    );
    let parent: String = server
        .proto
        .parent_span_id
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(parent, PARENT);
    assert_eq!(server.proto.trace_state, "one=1,two=2");
    let ours = format!("traceparent: 00-{TRACE}-{}-01", inference.span_id());
    assert_eq!(
        trace_lines(&seen),
        [
            &ours,
            "tracestate: one=1",
            "baggage: user=7",
            "tracestate: two=2"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inference_span_alone_is_the_clients_child_or_the_root_and_the_upstreams_parent() {
    let alone = |program: Program| program.env("STREAMGAUGE_TELEMETRY_SPANS", "client");
    // A trace that begins here has a random id, and says so.
    for (lines, parent, flags) in [(traced("01"), PARENT, "01"), (String::new(), "", "03")] {
        let gauge = Gauge::with(alone).await;
        let seen = seen(&gauge, &lines).await;
        let span = gauge.collector.span("chat m").await;
        let above: String = span
            .proto
            .parent_span_id
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(above, parent);
        assert_eq!(span.int("http.response.status_code"), Some(200));
        assert_eq!(span.text("http.route"), Some("/v1/chat/completions"));
        assert_eq!(span.text("streamgauge.end"), Some("done"));
        let ours = format!("00-{}-{}-{flags}", span.trace_id(), span.span_id());
        assert_eq!(seen.header("traceparent"), Some(ours.as_str()));

        let plain = with_headers(&post("/v1/batches", "{}"), &lines);
        gauge.call(plain, json(200, "{}")).await;
        let spans = gauge.received(2).await.spans;
        let kinds: Vec<i32> = spans.iter().map(|span| span.proto.kind).collect();
        assert_eq!(kinds, [CLIENT, SERVER]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_spans_context_goes_upstream_where_there_is_no_inference() {
    let gauge = Gauge::start().await;
    let request = with_headers(&post("/v1/batches", "{}"), &traced("01"));
    let call = gauge.call(request, json(200, "{}")).await;
    let server = gauge.server_span().await;
    let ours = format!("00-{TRACE}-{}-01", server.span_id());
    assert_eq!(call.seen.header("traceparent"), Some(ours.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_parent_that_can_be_read_a_new_trace_begins_and_no_state_goes_with_it() {
    let valid = format!("traceparent: 00-{TRACE}-{PARENT}-01\r\n");
    for parent in [
        String::new(),
        "traceparent: 00-0-0-01\r\n".to_owned(),
        format!("traceparent: 00-{TRACE}-0000000000000000-01\r\n"),
        format!("traceparent: ff-{TRACE}-{PARENT}-01\r\n"),
        format!("{valid}{valid}"),
    ] {
        let gauge = Gauge::start().await;
        let lines = format!("{parent}tracestate: one=1\r\nbaggage: user=7\r\n");
        let seen = seen(&gauge, &lines).await;
        let (inference, server) = gauge.spans().await;
        assert!(server.proto.parent_span_id.is_empty(), "{parent}");
        assert_eq!(server.proto.trace_state, "", "{parent}");
        assert_ne!(inference.trace_id(), TRACE, "{parent}");
        // The id is ours, and random.
        let ours = format!("00-{}-{}-03", inference.trace_id(), inference.span_id());
        let mut found = trace_lines(&seen);
        found.sort_unstable();
        assert_eq!(
            found,
            ["baggage: user=7", &format!("traceparent: {ours}")],
            "{parent}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clients_headers_pass_untouched_where_ours_do_not_go() {
    type Change = fn(Program) -> Program;
    let changes: [(&str, Change); 4] = [
        ("propagate", |program| {
            program.env("STREAMGAUGE_TELEMETRY_PROPAGATE", "false")
        }),
        ("propagators", |program| {
            program.env("OTEL_PROPAGATORS", "none")
        }),
        ("exporter", |program| {
            program.env("OTEL_TRACES_EXPORTER", "none")
        }),
        ("disabled", |program| {
            program.env("OTEL_SDK_DISABLED", "true")
        }),
    ];
    for (name, change) in changes {
        let gauge = Gauge::with(change).await;
        for lines in [
            traced("01"),
            String::new(),
            "traceparent: odd\r\ntracestate: a=1\r\n".into(),
        ] {
            let seen = seen(&gauge, &lines).await;
            let sent: Vec<&str> = lines.lines().collect();
            let mut found = trace_lines(&seen);
            // A map keeps the values of one name together.
            found.sort_unstable();
            let mut sent = sent;
            sent.sort_unstable();
            assert_eq!(found, sent, "{name}");
        }
    }
}

/// Sends calls with a sampled, an unsampled and no parent, in this order; whether each was exported and which flags the
/// upstream saw.
async fn sampled(sampler: &str, argument: &str) -> Vec<(bool, String)> {
    let gauge = Gauge::with(|program| {
        let program = program.env("OTEL_TRACES_SAMPLER", sampler);
        program.env("OTEL_TRACES_SAMPLER_ARG", argument)
    })
    .await;
    let mut traces = Vec::new();
    for lines in [
        traced("01"),
        traced("00").replace(TRACE, &TRACE.replace('0', "1")),
        String::new(),
    ] {
        let seen = seen(&gauge, &lines).await;
        let parent = seen.header("traceparent").unwrap().to_owned();
        traces.push((parent[3..35].to_owned(), parent[53..].to_owned()));
    }
    // Unsampled or not, every call is counted.
    gauge.settled(3).await;
    gauge.server.process.terminate().await;
    gauge.server.process.message("stopped").await;
    let received = gauge.collector.received();
    let of_trace = |id: &str| {
        received
            .spans
            .iter()
            .filter(|span| span.trace_id() == id)
            .count()
    };
    traces
        .into_iter()
        .map(|(id, flags)| match of_trace(&id) {
            0 => (false, flags),
            2 => (true, flags),
            spans => panic!("{spans} spans of trace {id}"),
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn samplers_decide_about_export_and_flag_and_never_about_metrics() {
    for (sampler, argument, [on, off, root]) in [
        ("always_on", "", [true, true, true]),
        ("always_off", "", [false, false, false]),
        ("traceidratio", "0", [false, false, false]),
        ("traceidratio", "1", [true, true, true]),
        ("parentbased_always_on", "", [true, false, true]),
        ("parentbased_always_off", "", [true, false, false]),
        ("parentbased_traceidratio", "0", [true, false, false]),
        ("parentbased_traceidratio", "1", [true, false, true]),
    ] {
        // Of a trace that begins here the id is known to be random.
        let flags = |sampled, random| format!("0{}", u8::from(sampled) | u8::from(random) << 1);
        assert_eq!(
            sampled(sampler, argument).await,
            [
                (on, flags(on, false)),
                (off, flags(off, false)),
                (root, flags(root, true))
            ],
            "{sampler} {argument}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_of_a_later_version_is_understood() {
    let gauge = Gauge::start().await;
    let mut caller = connect(gauge.server.proxy).await;
    let lines = format!("traceparent: 01-{TRACE}-{PARENT}-03-more\r\n");
    caller.write(with_headers(&chat(), &lines)).await;
    let mut served = gauge.upstream.accept().await;
    let seen = served.read_request().await;
    served.write(answer()).await;
    caller.read_response().await;
    let (inference, _) = gauge.spans().await;
    assert_eq!(inference.trace_id(), TRACE);
    let ours = format!("00-{TRACE}-{}-03", inference.span_id());
    assert_eq!(seen.header("traceparent"), Some(ours.as_str()));
}
