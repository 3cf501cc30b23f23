//! Conversations over the wire: an agent's calls are linked, and what lies between them is told.

use crate::support::client::{get, post};
use crate::support::gauge::{CLIENT, DONE, Gauge, SERVER, delta, json, stream, with_headers};
use crate::support::http1::Message;
use crate::support::otlp::{Attributes as _, Span};
use crate::support::process::Program;

const INTERNAL: i32 = 1;

/// A request with these messages behind the first two, a JSON list without its brackets.
fn ask(more: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"model":"m","stream":true,"stream_options":{{"include_usage":true}},"tools":[{{"type":"function","function":{{"name":"weather"}}}}],
        "messages":[{{"role":"system","content":"Be brief."}},{{"role":"user","content":"How is Rome?"}}{more}]}}"#
    );
    post("/v1/chat/completions", &body)
}

/// What a client makes of the answer below, and the result of its tool.
const BROUGHT: &str = r#",{"role":"assistant","tool_calls":[{"id":"call_1","type":"function","function":{"name":"weather","arguments":"{\"city\": \"Rome\"}"}}]},
    {"role":"tool","tool_call_id":"call_1","content":"sunny"}"#;

/// An answer that calls a tool.
fn calls() -> Vec<u8> {
    let call = delta(
        r#"{"role":"assistant","content":"Let me see.","tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"weather","arguments":"{\"city\":"}}]}"#,
    );
    let rest = delta(r#"{"tool_calls":[{"index":0,"function":{"arguments":"\"Rome\"}"}}]}"#);
    let finish = r#"{"id":"c-1","model":"m-1","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#;
    stream([&*call, &*rest, finish, DONE])
}

/// An answer in words.
fn says(text: &str) -> Vec<u8> {
    json(
        200,
        &format!(
            r#"{{"id":"c-2","model":"m-1","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],
            "usage":{{"prompt_tokens":100,"completion_tokens":4,"total_tokens":104}}}}"#
        ),
    )
}

/// The inference spans in the order in which they began, and those of tools.
async fn spans(gauge: &Gauge, count: usize) -> (Vec<Span>, Vec<Span>) {
    let mut received = gauge.received(count).await.spans;
    received.sort_by_key(|span| span.proto.start_time_unix_nano);
    let of_kind = |kind| {
        let spans = received.iter().filter(|span| span.proto.kind == kind);
        spans.cloned().collect::<Vec<_>>()
    };
    (of_kind(CLIENT), of_kind(INTERNAL))
}

fn linked_to(span: &Span) -> Vec<Vec<u8>> {
    let links = span.proto.links.iter();
    links.map(|link| link.span_id.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agents_calls_are_linked_and_its_tools_waits_are_told() {
    let gauge = Gauge::start().await;
    gauge.call(ask(""), calls()).await;
    gauge.call(ask(BROUGHT), says("Fine.")).await;
    let more = format!(
        r#"{BROUGHT},{{"role":"assistant","content":"Fine."}},{{"role":"user","content":"And Oslo?"}}"#
    );
    gauge.call(ask(&more), says("Rain.")).await;
    let (inferences, tools) = spans(&gauge, 7).await;
    let [first, second, third] = &inferences[..] else {
        panic!("{} inferences", inferences.len())
    };
    let id = first.text("streamgauge.conversation.id").unwrap();
    assert_eq!(id.len(), 32);
    let rules = [None, Some("calls"), Some("text")];
    for (turn, (span, rule)) in inferences.iter().zip(rules).enumerate() {
        assert_eq!(span.text("streamgauge.conversation.id"), Some(id));
        let at = |key: &str| span.int(&format!("streamgauge.conversation.{key}"));
        assert_eq!(at("turn"), Some(turn as i64 + 1));
        assert_eq!((at("branch"), at("depth")), (Some(0), Some(0)));
        assert_eq!(span.text("streamgauge.conversation.linked_by"), rule);
        assert_eq!(span.text("gen_ai.conversation.id"), None, "nobody named it");
    }
    assert_eq!(linked_to(first), Vec::<Vec<u8>>::new());
    assert_eq!(
        linked_to(second),
        std::slice::from_ref(&first.proto.span_id)
    );
    assert_eq!(
        linked_to(third),
        std::slice::from_ref(&second.proto.span_id)
    );
    assert!(second.double("streamgauge.prompt.reused_ratio").unwrap() > 0.2);
    assert!(second.event("cache_break").is_none());

    let [tool] = &tools[..] else {
        panic!("{} waits", tools.len())
    };
    assert_eq!(tool.name(), "tool_wait weather");
    assert_eq!(tool.text("gen_ai.tool.name"), Some("weather"));
    assert_eq!(tool.text("gen_ai.tool.call.id"), Some("call_1"));
    assert_eq!(tool.text("gen_ai.tool.type"), Some("function"));
    assert_eq!(tool.boolean("streamgauge.inferred"), Some(true));
    assert!(tool.double("gen_ai.tool.call.duration_ms").unwrap() >= 0.0);
    assert_eq!(tool.text("gen_ai.operation.name"), None);
    let traces: Vec<_> = inferences.iter().map(Span::trace_id).collect();
    assert!(
        traces[0] != traces[1] && traces[1] != traces[2],
        "each call has its own"
    );
    // Nobody has a trace of their own, so it is below the call.
    assert_eq!(tool.trace_id(), first.trace_id());
    assert_eq!(tool.proto.parent_span_id, first.proto.span_id);
    let both = [first, second].map(|span| span.proto.span_id.clone());
    assert_eq!(linked_to(tool), both);
    let labels = [("tool.name", "weather"), ("model", "m")];
    let point = gauge
        .collector
        .point("llm.tool.call.duration", &labels)
        .await;
    assert_eq!(point.count, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_is_in_the_clients_own_trace_under_the_name_that_was_asked_for() {
    let gauge = Gauge::with(|program| program.env("STREAMGAUGE_TOOLS_SPAN", "execute_tool")).await;
    let parent = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n";
    for (request, answer) in [(ask(""), calls()), (ask(BROUGHT), says("Fine."))] {
        gauge.call(with_headers(&request, parent), answer).await;
    }
    let (_, tools) = spans(&gauge, 5).await;
    assert_eq!(tools[0].name(), "execute_tool weather");
    assert_eq!(tools[0].text("gen_ai.operation.name"), Some("execute_tool"));
    assert_eq!(tools[0].trace_id(), "0af7651916cd43dd8448eb211c80319c");
    let parent = 0xb7ad_6b71_6920_3331_u64.to_be_bytes();
    assert_eq!(tools[0].proto.parent_span_id, parent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_that_changes_breaks_its_cache_and_a_retry_is_told() {
    let gauge = Gauge::start().await;
    gauge.call(ask(""), calls()).await;
    let busy = json(
        429,
        r#"{"error":{"message":"slow down","type":"rate_limit"}}"#,
    );
    let changed = String::from_utf8(ask(BROUGHT)).unwrap();
    let changed = changed.replace("Be brief.", "Be terse.");
    gauge.call(&changed, busy).await;
    gauge.call(&changed, says("Fine.")).await;
    let (inferences, _) = spans(&gauge, 7).await;
    let retried = &inferences[2];
    let event = retried.event("cache_break").unwrap();
    let segment = &event.attributes[0];
    assert_eq!(segment.key, "streamgauge.prompt.segment");
    assert!(format!("{:?}", segment.value).contains("system"));
    assert!(retried.event("retry").is_some());
    let after = [("after", "429")];
    let point = gauge
        .collector
        .point("streamgauge.agent.retries", &after)
        .await;
    assert_eq!(point.value, 1.0);
    let segment = [("segment", "system")];
    gauge
        .collector
        .point("streamgauge.prompt.cache_breaks", &segment)
        .await;
    // The request that failed had brought the result already.
    gauge.collector.point("llm.tool.call.duration", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_conversations_off_there_is_nothing_of_them() {
    let gauge =
        Gauge::with(|program| program.env("STREAMGAUGE_CONVERSATIONS_ENABLED", "false")).await;
    gauge.call(ask(""), calls()).await;
    gauge.call(ask(BROUGHT), says("Fine.")).await;
    let (inferences, tools) = spans(&gauge, 4).await;
    assert!(tools.is_empty());
    for span in inferences {
        assert_eq!(span.text("streamgauge.conversation.id"), None);
        assert!(span.proto.links.is_empty());
    }
}

/// What the upstream was told: the ids of the trace and of the span above its own.
fn told(seen: &Message) -> (String, String) {
    let parent = seen.header("traceparent").unwrap();
    let parts: Vec<&str> = parent.split('-').collect();
    (parts[1].to_owned(), parts[2].to_owned())
}

/// The only span without one above it, where all are in one trace, and none is below a span that is not there.
fn root(spans: &[Span]) -> &Span {
    let ids: Vec<_> = spans.iter().map(|span| &span.proto.span_id).collect();
    let (mut roots, trace_id) = (Vec::new(), spans[0].trace_id());
    for span in spans {
        assert_eq!(span.trace_id(), trace_id, "{}", span.name());
        match span.proto.parent_span_id.is_empty() {
            true => roots.push(span),
            false => assert!(ids.contains(&&span.proto.parent_span_id), "{}", span.name()),
        }
    }
    let [root] = roots[..] else {
        panic!("{} roots", roots.len())
    };
    root
}

fn joined(program: Program) -> Program {
    program.env("STREAMGAUGE_CONVERSATIONS_TRACES", "joined")
}

#[tokio::test(flavor = "multi_thread")]
async fn joined_calls_and_the_waits_between_them_are_one_tree_that_everything_names() {
    let gauge = Gauge::with(|program| joined(program).env("STREAMGAUGE_LOG_ACCESS", "all")).await;
    let first = gauge.call(ask(""), calls()).await.seen;
    let second = gauge.call(ask(BROUGHT), says("Fine.")).await.seen;
    let received = gauge.received(5).await.spans;
    let root = root(&received);
    assert_eq!(root.proto.kind, SERVER);
    let (inferences, tools) = spans(&gauge, 5).await;
    let [one, two] = &inferences[..] else {
        panic!("{} inferences", inferences.len())
    };
    assert_eq!(one.proto.parent_span_id, root.proto.span_id);
    assert_eq!(tools[0].name(), "tool_wait weather");
    assert_eq!(tools[0].proto.parent_span_id, root.proto.span_id);

    // What went upstream is as ever, and a link leads there.
    assert_eq!(told(&first), (one.trace_id(), one.span_id()));
    assert!(one.proto.links.is_empty());
    let (trace_id, span_id) = told(&second);
    assert_ne!(trace_id, two.trace_id());
    assert_eq!(span_id, two.span_id());
    let linked = two.proto.links.iter();
    let linked: Vec<_> = linked
        .map(|link| (&link.trace_id, &link.span_id, link.attributes.len()))
        .collect();
    let original = u128::from_str_radix(&trace_id, 16).unwrap().to_be_bytes();
    let previous = (&one.proto.trace_id, &one.proto.span_id, 0);
    assert_eq!(
        linked,
        [previous, (&original.to_vec(), &two.proto.span_id, 1)]
    );

    // The line is the last that is written of a call.
    let process = &gauge.server.process;
    process
        .message_where("access", |line| line["turn"] == 2)
        .await;
    let page = gauge.scrape("application/openmetrics-text").await;
    let exemplars = page
        .text()
        .lines()
        .filter_map(|line| line.split_once("trace_id=\""));
    let mut named: Vec<String> = exemplars.map(|(_, id)| id[..32].to_owned()).collect();
    assert!(!named.is_empty());
    let rows = get(gauge.server.admin, "/api/exchanges").await;
    let rows: serde_json::Value = serde_json::from_str(rows.text()).unwrap();
    let rows = rows["exchanges"].as_array().unwrap().clone();
    assert_eq!(rows.len(), 2);
    let lines: Vec<_> = process.stderr().messages("access").collect();
    for row in rows.iter().chain(&lines) {
        named.push(row["trace_id"].as_str().unwrap().to_owned());
    }
    for trace_id in named {
        assert_eq!(trace_id, root.trace_id());
    }

    // Who has the id that the upstream was told finds the call by it, and its spans as they are exported.
    let api = async |path: &str| -> serde_json::Value {
        let answer = get(gauge.server.admin, path).await;
        serde_json::from_str(answer.text()).unwrap()
    };
    let found = api(&format!("/api/exchanges?q=trace:{trace_id}")).await;
    let found = found["exchanges"].as_array().unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["upstream_trace_id"], *trace_id);
    let id = &found[0]["id"];
    let shown = api(&format!("/api/exchanges/{id}")).await;
    let shown = &shown["spans"][1];
    assert_eq!(shown["trace_id"], root.trace_id());
    assert_eq!(shown["span_id"], two.span_id());
    let links = shown["links"].as_array().unwrap();
    let links = links
        .iter()
        .map(|link| (&link["trace_id"], &link["span_id"]));
    let expected = [
        (json_text(one.trace_id()), json_text(one.span_id())),
        (json_text(&trace_id), json_text(two.span_id())),
    ];
    let expected = expected.iter().map(|(trace, span)| (trace, span));
    assert!(links.eq(expected), "{shown}");
}

fn json_text(text: impl Into<String>) -> serde_json::Value {
    serde_json::Value::String(text.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn joined_calls_without_server_spans_are_below_the_first_inference() {
    let gauge = Gauge::with(|program| {
        joined(program)
            .env("STREAMGAUGE_TELEMETRY_SPANS", "client")
            .env("STREAMGAUGE_TELEMETRY_PROPAGATE", "false")
    })
    .await;
    gauge.call(ask(""), calls()).await;
    let seen = gauge.call(ask(BROUGHT), says("Fine.")).await.seen;
    assert_eq!(seen.header("traceparent"), None);
    let received = gauge.received(3).await.spans;
    let root = root(&received);
    assert_eq!(root.name(), "chat m");
    let (inferences, _) = spans(&gauge, 3).await;
    assert_eq!(
        linked_to(&inferences[1]),
        std::slice::from_ref(&root.proto.span_id),
        "the upstream knows of no trace"
    );
}
