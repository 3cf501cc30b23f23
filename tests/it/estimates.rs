//! Tokens that no upstream reported: when they are counted, what is said of them, and that they can be turned off.

use std::time::Duration;

use tokio::time::timeout;

use crate::support::client::post;
use crate::support::exposition::Exposition;
use crate::support::gauge::{DONE, FINISH, Gauge, STREAM_HEAD, USAGE, delta, event, json, stream};
use crate::support::http1::chunk;
use crate::support::otlp::{Attributes as _, Point, Span};

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

/// The same question in one message, to Anthropic's API, OpenAI's Responses and Ollama's two.
const MESSAGES: &str = r#"{"model":"claude","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"How deep is it?"}]}"#;
const RESPONSES: &str = r#"{"model":"gpt-4o","stream":true,"input":"How deep is it?"}"#;
const OLLAMA_CHAT: &str =
    r#"{"model":"llama","messages":[{"role":"user","content":"How deep is it?"}]}"#;
const OLLAMA_GENERATE: &str = r#"{"model":"llama","prompt":"How deep is it?"}"#;

/// What a client gets that leaves once these have reached it, a chunk each.
async fn left(path: &str, body: &str, chunks: &[String]) -> Span {
    let gauge = Gauge::start().await;
    let (mut caller, mut served) = gauge.open(post(path, body)).await;
    served.write(STREAM_HEAD).await;
    caller.read_head().await;
    for sent in chunks {
        served.write(chunk(sent)).await;
        caller.read_chunk().await;
    }
    caller.close().await;
    served.closed().await;
    gauge.spans().await.0
}

/// Typed events, each in a chunk of its own.
fn typed<const N: usize>(events: [&str; N]) -> [String; N] {
    events.map(|data| format!("data: {data}\n\n"))
}

/// Lines, each in a chunk of its own.
fn lines<const N: usize>(lines: [&str; N]) -> [String; N] {
    lines.map(|line| format!("{line}\n"))
}

/// Where the counts of a span come from, and what they are. An estimate is never under the names of reports, and a report
/// never under those of estimates.
fn usage(span: &Span) -> (Option<&str>, Option<i64>, Option<i64>) {
    let source = span.text("streamgauge.usage.source");
    let (here, not) = match source {
        Some("estimated") => (ESTIMATED, REPORTED),
        _ => (REPORTED, ESTIMATED),
    };
    assert_eq!(not.map(|key| span.int(key)), [None; 2], "{source:?}");
    let [input, output] = here.map(|key| span.int(key));
    (source, input, output)
}

const REPORTED: [&str; 2] = ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"];
const ESTIMATED: [&str; 2] = [
    "streamgauge.usage.estimated.input_tokens",
    "streamgauge.usage.estimated.output_tokens",
];

/// A proxy with this value of `telemetry.estimate_tokens`.
async fn told(value: &'static str) -> Gauge {
    Gauge::with(|program| program.env("STREAMGAUGE_TELEMETRY_ESTIMATE_TOKENS", value)).await
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
    for key in [
        "llm.response.usage.prompt_tokens",
        "llm.response.usage.completion_tokens",
        "llm.response.usage.total_tokens",
        "streamgauge.time_per_output_token",
    ] {
        assert_eq!(inference.attribute(key), None, "{key}");
    }
    gauge.settled(1).await;
    let scraped = Exposition::parse(gauge.scrape("text/plain").await.text());
    let of_tokens = |name: &&String| name.contains("tokens");
    let families: Vec<_> = scraped.types.keys().filter(of_tokens).collect();
    let expected = ["input", "output"];
    let expected = expected.map(|of| format!("streamgauge_usage_estimated_{of}_tokens_total"));
    assert_eq!(families, expected.iter().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn estimates_stand_under_the_usual_names_too_where_a_user_wants_them_there() {
    let gauge = told("standard").await;
    let deltas = ANSWER.map(delta);
    let events = deltas.iter().map(String::as_str).chain([FINISH, DONE]);
    gauge.call(ask(), stream(events)).await;
    let (inference, _) = gauge.spans().await;
    let source = inference.text("streamgauge.usage.source");
    assert_eq!(source, Some("estimated"));
    for keys in [REPORTED, ESTIMATED] {
        let counts = keys.map(|key| inference.int(key));
        assert_eq!(counts, [Some(PROMPT), Some(TOKENS)]);
    }
    assert_eq!(inference.attribute("llm.response.usage.total_tokens"), None);
    gauge.settled(1).await;
    for name in [
        "gen_ai.client.token.usage",
        "llm.tokens.total",
        "llm.tokens.completion",
    ] {
        let marked = [("streamgauge.usage.source", "estimated")];
        gauge.collector.point(name, &marked).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_reported_calls_shows_how_far_estimates_are_off() {
    let gauge =
        Gauge::with(|program| program.env("STREAMGAUGE_TELEMETRY_CHECK_ESTIMATES", "1")).await;
    // The stream reports 9 and 4 tokens, the body 24 and 5.
    let deltas = ANSWER.map(delta);
    let events = deltas.iter().map(String::as_str);
    gauge
        .call(ask(), stream(events.chain([FINISH, USAGE, DONE])))
        .await;
    let whole = r#"{"model":"gpt-4o","choices":[{"index":0,"message":{"content":"Three metres at midnight."},"finish_reason":"stop"}],"usage":{"prompt_tokens":24,"completion_tokens":5,"total_tokens":29}}"#;
    gauge.call(ask(), json(200, whole)).await;
    gauge.settled(2).await;
    let ratio = "streamgauge.usage.estimate.ratio";
    let (prompt, tokens) = (PROMPT as f64, TOKENS as f64);
    for (kind, expected) in [
        ("prompt", prompt / 9.0 + prompt / 24.0),
        ("completion", tokens / 4.0 + tokens / 5.0),
    ] {
        let both = |point: &Point| point.count == 2;
        let labels = [("token.type", kind)];
        let point = gauge.collector.point_where(ratio, &labels, both).await;
        assert!(
            (point.value - expected).abs() < 1e-9,
            "{kind}: {}",
            point.value
        );
    }
    let scraped = Exposition::parse(gauge.scrape("text/plain").await.text());
    let of_estimates = |name: &str| name.starts_with("streamgauge_usage_estimated_");
    let mut estimates = scraped
        .samples
        .iter()
        .filter(|((name, _), _)| of_estimates(name));
    assert!(
        estimates.all(|(_, count)| *count == 0.0),
        "a report is no estimate"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_was_answered_nothing_is_counted() {
    let error = r#"{"error":{"message":"no"}}"#;
    let embed = || post("/v1/embeddings", r#"{"model":"e","input":"How deep?"}"#);
    for (asked, answer, source) in [
        (ask(), json(500, error), None),
        (ask(), json(200, error), None),
        (ask(), stream([error]), None),
        // It breaks off: neither finish reason nor last event.
        (
            ask(),
            stream([delta(r#"{"content":"Three"}"#).as_str()]),
            Some("missing"),
        ),
        (ask(), json(200, ""), Some("missing")),
        (ask(), json(200, " "), Some("missing")),
        (ask(), json(200, "null"), Some("missing")),
        (ask(), json(200, "{}"), Some("missing")),
        (ask(), stream([DONE]), Some("missing")),
        (embed(), json(500, error), None),
        (embed(), json(200, ""), Some("missing")),
        (embed(), json(200, "null"), Some("missing")),
    ] {
        let gauge = Gauge::start().await;
        gauge.call(asked, &answer).await;
        let (inference, _) = gauge.spans().await;
        let answer = String::from_utf8_lossy(&answer);
        assert_eq!(usage(&inference), (source, None, None), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_before_the_first_event_leaves_nothing_to_count() {
    let span = left("/v1/chat/completions", ASK, &[]).await;
    assert_eq!(usage(&span), (Some("missing"), None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_embeddings_the_input_is_counted() {
    let gauge = Gauge::start().await;
    let asked = post(
        "/v1/embeddings",
        r#"{"model":"e","input":"How deep is it?"}"#,
    );
    gauge.call(asked, json(200, r#"{"data":[]}"#)).await;
    let (inference, _) = gauge.spans().await;
    assert_eq!(usage(&inference), (Some("estimated"), Some(5), None));
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
async fn a_response_that_its_client_leaves_counts_what_came() {
    let events = typed([
        r#"{"type":"response.created","response":{"id":"r","model":"gpt-4o","status":"in_progress","usage":null}}"#,
        r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"message","id":"m"}}"#,
        r#"{"type":"response.output_text.delta","output_index":0,"item_id":"m","delta":"Thr"}"#,
        r#"{"type":"response.output_text.delta","output_index":0,"item_id":"m","delta":"ee met"}"#,
        r#"{"type":"response.output_text.delta","output_index":0,"item_id":"m","delta":"res at midnight."}"#,
        r#"{"type":"response.output_text.done","output_index":0,"item_id":"m","text":"Three metres at midnight."}"#,
    ]);
    let span = left("/v1/responses", RESPONSES, &events).await;
    assert_eq!(
        usage(&span),
        (Some("estimated"), Some(PROMPT), Some(TOKENS))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_in_a_response_is_counted_once_however_often_it_is_said() {
    let events = typed([
        r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","id":"f","call_id":"c","name":"gauge","arguments":""}}"#,
        r#"{"type":"response.function_call_arguments.delta","output_index":0,"item_id":"f","delta":"{}"}"#,
        r#"{"type":"response.function_call_arguments.done","output_index":0,"item_id":"f","arguments":"{}"}"#,
        r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","id":"f","call_id":"c","name":"gauge","arguments":"{}"}}"#,
    ]);
    let [added, _, whole, done] = events.clone();
    // Of some relays no fragments come.
    for events in [&events[..], &[added, whole, done]] {
        let span = left("/v1/responses", RESPONSES, events).await;
        assert_eq!(usage(&span), (Some("estimated"), Some(PROMPT), Some(3)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_provider_ran_or_holds_of_a_response_is_not_counted() {
    let ask = r#"{"model":"gpt-4o","input":"And now?","previous_response_id":"resp_1"}"#;
    let answer = r#"{"object":"response","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"Three"}]}]}"#;
    let gauge = Gauge::start().await;
    gauge
        .call(post("/v1/responses", ask), json(200, answer))
        .await;
    let (inference, _) = gauge.spans().await;
    assert_eq!(usage(&inference), (Some("estimated"), None, Some(1)));

    let ask = r#"{"model":"gpt-4o","input":"How deep is it?"}"#;
    let answer = r#"{"object":"response","status":"completed","output":[{"type":"web_search_call","id":"w"},{"type":"message","content":[{"type":"output_text","text":"Three"}]}]}"#;
    let gauge = Gauge::start().await;
    gauge
        .call(post("/v1/responses", ask), json(200, answer))
        .await;
    let (inference, _) = gauge.spans().await;
    assert_eq!(usage(&inference), (Some("estimated"), Some(PROMPT), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_its_client_leaves_counts_what_came_unless_its_start_told() {
    const DELTAS: [&str; 3] = [
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Three met"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"res at midnight."}}"#,
    ];
    let [begin, first, rest] = DELTAS;
    let untold =
        r#"{"type":"message_start","message":{"type":"message","id":"m","model":"claude"}}"#;
    let span = left(
        "/v1/messages",
        MESSAGES,
        &typed([untold, begin, first, rest]),
    )
    .await;
    assert_eq!(
        usage(&span),
        (Some("estimated"), Some(PROMPT), Some(TOKENS))
    );
    let told = r#"{"type":"message_start","message":{"type":"message","id":"m","model":"claude","usage":{"input_tokens":9,"output_tokens":1}}}"#;
    let span = left("/v1/messages", MESSAGES, &typed([told, begin, first, rest])).await;
    assert_eq!(usage(&span), (Some("reported_partial"), Some(9), Some(1)));
    let half = r#"{"type":"message_start","message":{"type":"message","id":"m","model":"claude","usage":{"input_tokens":9}}}"#;
    let span = left("/v1/messages", MESSAGES, &typed([half, begin, first, rest])).await;
    assert_eq!(usage(&span), (Some("reported_partial"), Some(9), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_in_a_message_is_counted_by_its_name_and_input() {
    let events = typed([
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"gauge","input":{}}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{}"}}"#,
    ]);
    let span = left("/v1/messages", MESSAGES, &events).await;
    assert_eq!(usage(&span), (Some("estimated"), Some(PROMPT), Some(3)));
    let answer = r#"{"type":"message","content":[{"type":"tool_use","id":"t","name":"gauge","input":{}}],"stop_reason":"tool_use"}"#;
    let gauge = Gauge::start().await;
    gauge
        .call(post("/v1/messages", MESSAGES), json(200, answer))
        .await;
    let (inference, _) = gauge.spans().await;
    assert_eq!(
        usage(&inference),
        (Some("estimated"), Some(PROMPT), Some(3))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_ollama_that_its_client_leaves_counts_what_came() {
    let chat = lines([
        r#"{"model":"llama","message":{"role":"assistant","content":"Three met"},"done":false}"#,
        r#"{"model":"llama","message":{"role":"assistant","content":"res at midnight."},"done":false}"#,
    ]);
    let generate = lines([
        r#"{"model":"llama","response":"Three met","done":false}"#,
        r#"{"model":"llama","response":"res at midnight.","done":false}"#,
    ]);
    for (path, ask, said) in [
        ("/api/chat", OLLAMA_CHAT, chat),
        ("/api/generate", OLLAMA_GENERATE, generate),
    ] {
        let span = left(path, ask, &said).await;
        assert_eq!(
            usage(&span),
            (Some("estimated"), Some(PROMPT), Some(TOKENS)),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loading_of_a_model_generates_nothing_to_count() {
    let gauge = Gauge::start().await;
    let loaded = r#"{"model":"llama","response":"","done":true,"done_reason":"load"}"#;
    gauge
        .call(
            post("/api/generate", r#"{"model":"llama"}"#),
            json(200, loaded),
        )
        .await;
    let (inference, _) = gauge.spans().await;
    assert_eq!(usage(&inference), (Some("missing"), None, None));
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
async fn zeros_of_a_server_that_does_not_count_are_estimated() {
    let gauge = Gauge::start().await;
    let zeros =
        r#"{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}"#;
    let deltas = ANSWER.map(delta);
    let events = deltas.iter().map(String::as_str);
    let events = events.chain([FINISH, zeros, DONE]);
    gauge.call(ask(), stream(events)).await;
    let (inference, _) = gauge.spans().await;
    assert_eq!(
        usage(&inference),
        (Some("estimated"), Some(PROMPT), Some(TOKENS))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_wire_reports_is_never_estimated() {
    let half = r#"{"choices":[],"usage":{"prompt_tokens":9}}"#;
    let total = r#"{"choices":[],"usage":{"prompt_tokens":9,"total_tokens":13}}"#;
    let kinds = r#"{"choices":[],"usage":{"prompt_tokens_details":{"text_tokens":9},"completion_tokens_details":{"text_tokens":4}}}"#;
    let whole = (Some("reported"), Some(9), Some(4));
    for (report, expected) in [
        (USAGE, whole),
        (total, whole),
        (kinds, whole),
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
async fn an_image_cannot_be_counted() {
    let gauge = Gauge::start().await;
    let image = r#"{"model":"gpt-4o","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:,"}}]}]}"#;
    let answer =
        r#"{"choices":[{"index":0,"message":{"content":"Three"},"finish_reason":"stop"}]}"#;
    gauge
        .call(post("/v1/chat/completions", image), json(200, answer))
        .await;
    let (inference, _) = gauge.spans().await;
    assert_eq!(usage(&inference), (Some("estimated"), None, Some(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_counted_where_it_is_turned_off() {
    let gauge = told("off").await;
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
    let counted = spans.iter().find_map(|span| span.int(ESTIMATED[1]));
    // Long texts are counted piece by piece, and a cut may cost a token.
    assert!((20_001..20_020).contains(&counted.unwrap()), "{counted:?}");
}

/// The tables that tokens are counted with are made when they are needed, and given back a minute after the last count.
#[tokio::test]
async fn an_idle_process_holds_no_table() {
    const MIB: usize = 1 << 20;
    let gauge = Gauge::start().await;
    let process = &gauge.server.process;
    let idle = process.memory_own();
    assert!(idle < 8 * MIB, "{idle}");
    let answer = r#"{"model":"gpt-4o","choices":[{"index":0,"message":{"content":"Three metres."},"finish_reason":"stop"}]}"#;
    gauge.call(ask(), json(200, answer)).await;
    gauge.settled(1).await;
    let counting = process.memory_own();
    assert!(counting > idle + 20 * MIB, "{idle}, {counting}");
    let given_back = async {
        while process.memory_own() > idle + 6 * MIB {
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    };
    let left = timeout(Duration::from_secs(120), given_back).await;
    assert!(left.is_ok(), "{idle}, {}", process.memory_own());
}
