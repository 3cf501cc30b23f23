//! Trace context that is carried otherwise than in W3C headers: in other formats, and in the body; and what else a client
//! tells of a call.

use crate::support::client::post;
use crate::support::gauge::{
    DONE, FINISH, Gauge, SERVER, USAGE, chat, delta, json, stream, with_headers,
};
use crate::support::otlp::{Attributes as _, Span};
use crate::support::process::Program;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const CHAT: &str = "/v1/chat/completions";

fn answer() -> Vec<u8> {
    let hello = delta(r#"{"content":"hello"}"#);
    stream([hello.as_str(), FINISH, USAGE, DONE])
}

fn parent(span: &Span) -> String {
    let id = span.proto.parent_span_id.iter();
    id.map(|byte| format!("{byte:02x}")).collect()
}

fn propagators(list: &'static str) -> impl FnOnce(Program) -> Program {
    move |program| program.env("OTEL_PROPAGATORS", list)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_format_names_the_parent_and_goes_upstream_with_our_span() {
    let cases = [
        ("b3", format!("b3: {TRACE}-{PARENT}-1\r\n"), "b3: T-S-1"),
        (
            "b3multi",
            format!(
                "X-B3-TraceId: {TRACE}\r\nX-B3-SpanId: {PARENT}\r\nX-B3-ParentSpanId: {PARENT}\r\nX-B3-Sampled: 1\r\n"
            ),
            "X-B3-TraceId: T\nX-B3-SpanId: S\nX-B3-Sampled: 1",
        ),
        (
            "jaeger",
            format!("uber-trace-id: {TRACE}:{PARENT}:0:1\r\n"),
            "uber-trace-id: T:S:0:1",
        ),
        (
            "xray",
            format!(
                "X-Amzn-Trace-Id: Root=1-{}-{};Parent={PARENT};Sampled=1\r\n",
                &TRACE[..8],
                &TRACE[8..]
            ),
            "X-Amzn-Trace-Id: Root=1-R;Parent=S;Sampled=1",
        ),
    ];
    for (format, lines, expected) in cases {
        let gauge = Gauge::with(propagators(format)).await;
        // The format that is not in the list passes as it is.
        let lines = format!("{lines}traceparent: theirs\r\n");
        let seen = gauge
            .call(with_headers(&chat(), &lines), answer())
            .await
            .seen;
        let (inference, server) = gauge.spans().await;
        assert_eq!(
            (server.trace_id(), parent(&server)),
            (TRACE.into(), PARENT.into()),
            "{format}"
        );
        let root = format!("{}-{}", &TRACE[..8], &TRACE[8..]);
        let expected = expected.replace("Root=1-R", &format!("Root=1-{root}"));
        let expected = expected.replace("=S;", &format!("={};", inference.span_id()));
        let expected: Vec<String> = expected
            .split('\n')
            .map(|line| {
                let (name, value) = line.split_once(": ").unwrap();
                let value = value.replace('T', TRACE);
                let value = if name == "X-Amzn-Trace-Id" {
                    line.split_once(": ").unwrap().1.to_owned()
                } else {
                    value.replace('S', &inference.span_id())
                };
                format!("{name}: {value}")
            })
            .collect();
        let mut found = seen.header_lines();
        found.retain(|line| {
            let name = line.to_ascii_lowercase();
            ["b3:", "x-b3-", "uber-", "x-amzn-"]
                .iter()
                .any(|start| name.starts_with(start))
        });
        assert_eq!(found, expected, "{format}");
        assert_eq!(seen.header("traceparent"), Some("theirs"), "{format}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_format_goes_upstream_beside_w3c_and_a_malformed_one_is_ignored() {
    let gauge = Gauge::with(propagators("tracecontext,b3")).await;
    let lines = format!("b3: nonsense\r\ntraceparent: 00-{TRACE}-{PARENT}-01\r\n");
    let seen = gauge
        .call(with_headers(&chat(), &lines), answer())
        .await
        .seen;
    let (inference, server) = gauge.spans().await;
    assert_eq!(
        (server.trace_id(), parent(&server)),
        (TRACE.into(), PARENT.into())
    );
    let id = inference.span_id();
    assert_eq!(seen.header("b3"), Some(format!("{TRACE}-{id}-1").as_str()));
    let ours = format!("00-{TRACE}-{id}-01");
    assert_eq!(seen.header("traceparent"), Some(ours.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_denies_sampling_has_no_spans() {
    let gauge = Gauge::with(propagators("b3")).await;
    let seen = gauge
        .call(with_headers(&chat(), "b3: 0\r\n"), answer())
        .await
        .seen;
    assert!(seen.header("b3").unwrap().ends_with("-0"));
    gauge.settled(1).await;
    gauge.server.process.terminate().await;
    gauge.server.process.message("stopped").await;
    assert_eq!(gauge.collector.received().spans.len(), 0);
}

/// A trace context as a producer writes it into its message.
fn context() -> String {
    format!(r#"{{"traceparent": "00-{TRACE}-{PARENT}-01","tracestate":"one=1"}}"#)
}

/// A streamed chat with this before its other members.
fn with_member(member: &str) -> String {
    format!(
        r#"{{ {member}"model":"m","stream":true,"messages":[{{"role":"user","content":"hi"}}]}}"#
    )
}

const ASKED: &str = r#"{"stream_options":{"include_usage":true},"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_that_a_body_names_is_joined_and_its_member_is_left_out() {
    let gauge = Gauge::start().await;
    let sent = with_member(&format!("\"_trace_ctx\" : {} , ", context()));
    let request = with_headers(&post(CHAT, &sent), "tracestate: stray=1\r\n");
    let seen = gauge.call(request, answer()).await.seen;
    assert_eq!(seen.text(), with_member("").replacen('{', ASKED, 1));
    let length = seen.text().len().to_string();
    assert_eq!(seen.header("content-length"), Some(length.as_str()));
    let (inference, server) = gauge.spans().await;
    assert_eq!(
        (server.trace_id(), parent(&server)),
        (TRACE.into(), PARENT.into())
    );
    assert_eq!(parent(&inference), server.span_id());
    assert_eq!(server.proto.trace_state, "one=1");
    let ours = format!("00-{TRACE}-{}-01", inference.span_id());
    assert_eq!(seen.header("traceparent"), Some(ours.as_str()));
    assert_eq!(seen.header("tracestate"), Some("one=1"));
    // What the client sent is what is counted.
    let size = i64::try_from(sent.len()).unwrap();
    assert_eq!(server.int("http.request.body.size"), Some(size));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_whose_coding_is_none_is_read_as_any_other() {
    let gauge = Gauge::start().await;
    let sent = with_member(&format!("\"_trace_ctx\" : {} , ", context()));
    let lines = "Content-Encoding: Identity\r\n";
    let seen = gauge
        .call(with_headers(&post(CHAT, &sent), lines), answer())
        .await
        .seen;
    assert_eq!(seen.text(), with_member("").replacen('{', ASKED, 1));
    assert_eq!(seen.header("content-encoding"), Some("Identity"));
    let (inference, server) = gauge.spans().await;
    assert_eq!(server.trace_id(), TRACE);
    assert_eq!(inference.text("gen_ai.request.model"), Some("m"));
    assert!(inference.attribute("streamgauge.quirks").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_goes_before_the_body_whose_member_is_still_left_out() {
    let gauge = Gauge::start().await;
    let other = TRACE.replace('0', "1");
    let lines = format!("traceparent: 00-{other}-{PARENT}-01\r\n");
    let sent = with_member(&format!("\"_trace_ctx\":{},", context()));
    let call = gauge
        .call(with_headers(&post(CHAT, &sent), &lines), answer())
        .await;
    assert_eq!(call.seen.text(), with_member("").replacen('{', ASKED, 1));
    let (_, server) = gauge.spans().await;
    assert_eq!(server.trace_id(), other);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_decision_that_a_body_brings_is_kept() {
    let gauge = Gauge::start().await;
    let sent = with_member(&format!(
        "\"_trace_ctx\":{},",
        context().replace("-01", "-00")
    ));
    let seen = gauge.call(post(CHAT, &sent), answer()).await.seen;
    assert!(seen.header("traceparent").unwrap().ends_with("-00"));
    gauge.settled(1).await;
    gauge.server.process.terminate().await;
    gauge.server.process.message("stopped").await;
    assert_eq!(gauge.collector.received().spans.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_names_a_trace_and_stays() {
    let gauge = Gauge::start().await;
    let sent = with_member(&format!("\"metadata\":{},", context()));
    let seen = gauge.call(post(CHAT, &sent), answer()).await.seen;
    assert_eq!(seen.text(), sent.replacen('{', ASKED, 1));
    let (_, server) = gauge.spans().await;
    assert_eq!(
        (server.trace_id(), parent(&server)),
        (TRACE.into(), PARENT.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_repeat_without_the_question_for_usage_lacks_the_member_too() {
    let gauge = Gauge::start().await;
    let sent = with_member(&format!("\"_trace_ctx\":{},", context()));
    let (caller, mut served) = gauge.open(post(CHAT, &sent)).await;
    served
        .write("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        .await;
    let again = gauge.upstream.accept().await.read_request().await;
    assert_eq!(again.text(), with_member(""));
    let length = again.text().len().to_string();
    assert_eq!(again.header("content-length"), Some(length.as_str()));
    drop(caller);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_looked_into_passes_as_it_is() {
    let responses = format!(r#"{{"model":"m","input":"hi","_trace_ctx":{}}}"#, context());
    let completion = with_member(&format!("\"_trace_ctx\":{},", context()));
    let without = |program: Program| program.env("STREAMGAUGE_TELEMETRY_BODY_CONTEXT", "off");
    let all = |program: Program| program.env("STREAMGAUGE_TELEMETRY_BODY_CONTEXT", "all");
    let gauge = Gauge::with(without).await;
    let seen = gauge.call(post(CHAT, &completion), answer()).await.seen;
    assert_eq!(seen.text(), completion.replacen('{', ASKED, 1));
    let gauge = Gauge::start().await;
    let seen = gauge
        .call(post("/v1/responses", &responses), json(200, "{}"))
        .await
        .seen;
    assert_eq!(seen.text(), responses);
    let gauge = Gauge::with(all).await;
    let seen = gauge
        .call(post("/v1/responses", &responses), json(200, "{}"))
        .await
        .seen;
    assert_eq!(seen.text(), r#"{"model":"m","input":"hi"}"#);
    assert_eq!(gauge.spans().await.1.trace_id(), TRACE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_beyond_the_limit_passes_with_what_it_carries() {
    let gauge = Gauge::with(|program| program.env("STREAMGAUGE_LIMITS_INSPECT_BYTES", "64")).await;
    let sent = with_member(&format!("\"_trace_ctx\":{},", context()));
    let seen = gauge.call(post(CHAT, &sent), answer()).await.seen;
    assert_eq!(seen.text(), sent);
    assert!(gauge.spans().await.1.proto.parent_span_id.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_traces_the_member_is_left_out_all_the_same() {
    let gauge = Gauge::with(|program| program.env("OTEL_TRACES_EXPORTER", "none")).await;
    let sent = with_member(&format!("\"_trace_ctx\":{},", context()));
    let seen = gauge.call(post(CHAT, &sent), answer()).await.seen;
    assert_eq!(seen.text(), with_member("").replacen('{', ASKED, 1));
    assert_eq!(seen.header("traceparent"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_listed_of_headers_and_baggage_is_on_both_spans() {
    let gauge = Gauge::with(|program| {
        let listed = "header:x-team=team,baggage:tenant,baggage:llm.prompt.template,header:x-absent=absent,header:x-route=http.route";
        program.env("STREAMGAUGE_TELEMETRY_ATTRIBUTES", listed)
    })
    .await;
    let lines = "x-team: search\r\nx-route: mine\r\nx-other: 1\r\nx-litellm-session-id: conversation-7\r\n\
                 baggage: tenant=a%20b,llm.prompt.template=greet;v=1,user=7\r\n";
    gauge.call(with_headers(&chat(), lines), answer()).await;
    let (inference, server) = gauge.spans().await;
    for span in [&inference, &server] {
        assert_eq!(span.text("team"), Some("search"));
        assert_eq!(span.text("tenant"), Some("a b"));
        assert_eq!(span.text("llm.prompt.template"), Some("greet"));
        assert_eq!(span.text("absent"), None);
        assert_eq!(span.text("user"), None);
    }
    // A name of the span's own is not taken.
    assert_eq!(server.proto.kind, SERVER);
    assert_eq!(server.text("http.route"), Some(CHAT));
    assert_eq!(
        inference.text("gen_ai.conversation.id"),
        Some("conversation-7")
    );
}
