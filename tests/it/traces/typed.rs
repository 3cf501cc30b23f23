//! Calls of the APIs with typed events, responses and messages: what their spans say, and how their streams end.

use opentelemetry_proto::tonic::trace::v1::status::StatusCode::{Error, Unset};

use super::check;
use crate::support::client::post;
use crate::support::gauge::{Gauge, STREAM_HEAD, json};
use crate::support::http1::chunk;
use crate::support::otlp::Attributes as _;

/// The bytes of a fixture of a dialect.
fn fixture(case: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    std::fs::read_to_string(format!("{folder}/{case}")).unwrap()
}

/// A response that streams a fixture, each event in a chunk of its own.
fn stream(events: &str) -> Vec<u8> {
    let chunks = events.split_inclusive("\n\n").map(chunk);
    let head = STREAM_HEAD.as_bytes().to_vec();
    let chunks = std::iter::once(head).chain(chunks).chain([chunk("")]);
    chunks.collect::<Vec<_>>().concat()
}

/// A streamed request to an API.
fn request(api: &str) -> Vec<u8> {
    let body =
        r#"{"model":"m","stream":true,"input":"hi","messages":[{"role":"user","content":"hi"}]}"#;
    post(&format!("/v1/{api}"), body)
}

/// A request without a body.
fn bare(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: streamgauge.test\r\ncontent-length: 0\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamed_response_has_every_attribute_that_its_wire_carries() {
    let gauge = Gauge::start().await;
    let request = post(
        "/v1/responses",
        r#"{"model":"gpt-5","stream":true,"max_output_tokens":64,"temperature":0,"top_p":0.9,"reasoning":{"effort":"low"},
            "service_tier":"flex","text":{"format":{"type":"json_object"}},"previous_response_id":"resp_0",
            "conversation":"conv_1","prompt":{"id":"pmpt_1","version":"2"},
            "instructions":"Be kind.","input":[{"role":"user","content":[{"type":"input_text","text":"Grüß"}]},{"type":"compaction"}]}"#,
    );
    let events = fixture("responses/text/response.sse");
    let call = gauge.call(&request, stream(&events)).await;
    assert_eq!(call.got.text(), events);
    assert!(
        request.ends_with(&call.seen.body),
        "the request is untouched"
    );
    let (inference, server) = gauge.spans().await;
    check(
        &gauge,
        &inference,
        &server,
        "chat gpt-5",
        &[
            "gen_ai.conversation.compacted=true",
            "gen_ai.conversation.id=conv_1",
            "gen_ai.operation.name=chat",
            "gen_ai.output.type=json",
            "gen_ai.prompt.name=pmpt_1",
            "gen_ai.prompt.version=2",
            "gen_ai.request.max_tokens=64",
            "gen_ai.request.model=gpt-5",
            "gen_ai.request.previous_response.id=resp_0",
            "gen_ai.request.reasoning.level=low",
            "gen_ai.request.stream=true",
            "gen_ai.request.temperature=0.0",
            "gen_ai.request.top_p=0.9",
            "gen_ai.response.finish_reasons=[\"stop\"]",
            "gen_ai.response.id=resp_1",
            "gen_ai.response.model=gpt-5-2026-01-01",
            "gen_ai.response.time_to_first_chunk=TIME",
            "gen_ai.usage.cache_creation.input_tokens=2",
            "gen_ai.usage.cache_read.input_tokens=4",
            "gen_ai.usage.cache_write.input_tokens=2",
            "gen_ai.usage.input_tokens=9",
            "gen_ai.usage.output_tokens=5",
            "gen_ai.usage.reasoning.output_tokens=0",
            "llm.model=gpt-5",
            "llm.prompt.length=12",
            "llm.prompt.template.version=2",
            "llm.prompt.template=pmpt_1",
            "llm.response.chunk_count=2",
            "llm.response.finish_reason=stop",
            "llm.response.first_token_latency_ms=TIME",
            "llm.response.full_length=5",
            "llm.response.model=gpt-5-2026-01-01",
            "llm.response.usage.completion_tokens=5",
            "llm.response.usage.prompt_tokens=9",
            "llm.response.usage.total_tokens=14",
            "openai.api.type=responses",
            "openai.request.service_tier=flex",
            "openai.response.service_tier=default",
            "streamgauge.chunks=2",
            "streamgauge.end=done",
            "streamgauge.events=10",
            "streamgauge.gap.max=TIME",
            "streamgauge.gap.p99=TIME",
            "streamgauge.stalls=0",
            "streamgauge.time_to_first_byte=TIME",
            "streamgauge.time_to_first_content=TIME",
            "streamgauge.time_to_first_event=TIME",
            "streamgauge.time_to_first_token=TIME",
            "streamgauge.time_to_response_head=TIME",
            "streamgauge.usage.source=reported",
        ],
    );
    assert_eq!(inference.status(), Unset);
    assert_eq!(server.text("http.route"), Some("/v1/responses"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamed_message_has_every_attribute_that_its_wire_carries() {
    let gauge = Gauge::start().await;
    let request = post(
        "/v1/messages",
        r#"{"model":"claude","stream":true,"max_tokens":64,"temperature":0,"top_p":0.9,"top_k":40,"stop_sequences":["END"],
            "service_tier":"standard_only","output_config":{"effort":"low"},
            "system":"Be kind.","messages":[{"role":"user","content":"Grüß"}]}"#,
    );
    let events = fixture("messages/tools/response.sse");
    let call = gauge.call(&request, stream(&events)).await;
    assert_eq!(call.got.text(), events);
    assert!(
        request.ends_with(&call.seen.body),
        "the request is untouched"
    );
    let (inference, server) = gauge.spans().await;
    check(
        &gauge,
        &inference,
        &server,
        "chat claude",
        &[
            "gen_ai.operation.name=chat",
            "gen_ai.request.max_tokens=64",
            "gen_ai.request.model=claude",
            "gen_ai.request.reasoning.level=low",
            "gen_ai.request.stop_sequences=[\"END\"]",
            "gen_ai.request.stream=true",
            "gen_ai.request.temperature=0.0",
            "gen_ai.request.top_k=40",
            "gen_ai.request.top_p=0.9",
            "gen_ai.response.finish_reasons=[\"tool_use\"]",
            "gen_ai.response.id=msg_1",
            "gen_ai.response.model=claude-1",
            "gen_ai.response.time_to_first_chunk=TIME",
            "gen_ai.usage.cache_creation.input_tokens=2",
            "gen_ai.usage.cache_read.input_tokens=4",
            "gen_ai.usage.cache_write.input_tokens=2",
            "gen_ai.usage.input_tokens=15",
            "gen_ai.usage.output_tokens=5",
            "llm.model=claude",
            "llm.prompt.length=12",
            "llm.response.chunk_count=6",
            "llm.response.finish_reason=tool_use",
            "llm.response.first_token_latency_ms=TIME",
            "llm.response.full_length=2",
            "llm.response.model=claude-1",
            "llm.response.usage.completion_tokens=5",
            "llm.response.usage.prompt_tokens=15",
            "openai.request.service_tier=standard_only",
            "openai.response.service_tier=standard",
            "streamgauge.chunks=6",
            "streamgauge.end=done",
            "streamgauge.events=14",
            "streamgauge.gap.max=TIME",
            "streamgauge.gap.p99=TIME",
            "streamgauge.stalls=0",
            "streamgauge.time_to_first_byte=TIME",
            "streamgauge.time_to_first_content=TIME",
            "streamgauge.time_to_first_event=TIME",
            "streamgauge.time_to_first_token=TIME",
            "streamgauge.time_to_first_tool_call=TIME",
            "streamgauge.time_to_response_head=TIME",
            "streamgauge.tool_calls=2",
            "streamgauge.usage.source=reported",
        ],
    );
    assert_eq!(inference.status(), Unset);
    assert_eq!(server.text("http.route"), Some("/v1/messages"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_taken_up_again_has_no_tokens_of_its_own() {
    let gauge = Gauge::start().await;
    let path = "/v1/responses/resp_1?stream=true&starting_after=42";
    let events = fixture("responses-fetched/resumed/response.sse");
    let call = gauge.call(bare("GET", path), stream(&events)).await;
    assert_eq!(call.got.text(), events);
    let (inference, server) = gauge.spans().await;
    check(
        &gauge,
        &inference,
        &server,
        "fetch_response",
        &[
            "gen_ai.operation.name=fetch_response",
            "gen_ai.request.stream=true",
            "gen_ai.request.stream_cursor=42",
            "gen_ai.response.finish_reasons=[\"stop\"]",
            "gen_ai.response.id=resp_1",
            "gen_ai.response.model=gpt-5-2026-01-01",
            "gen_ai.response.status=completed",
            "gen_ai.response.time_to_first_chunk=TIME",
            "llm.response.chunk_count=0",
            "llm.response.finish_reason=stop",
            "llm.response.full_length=2",
            "llm.response.model=gpt-5-2026-01-01",
            "openai.api.type=responses",
            "openai.response.service_tier=default",
            "streamgauge.chunks=0",
            "streamgauge.end=done",
            "streamgauge.events=5",
            "streamgauge.stalls=0",
            "streamgauge.time_to_first_byte=TIME",
            "streamgauge.time_to_first_event=TIME",
            "streamgauge.time_to_response_head=TIME",
        ],
    );
    assert_eq!(server.text("http.route"), Some("/v1/responses/{id}"));
    gauge.settled(1).await;
    let scraped = gauge.scrape("text/plain").await;
    // A counter may be there before it counts.
    let counts_tokens = |line: &&str| {
        (line.contains("_tokens") || line.contains("token_usage")) && !line.ends_with(" 0")
    };
    let mut samples = scraped.text().lines().filter(|line| !line.starts_with('#'));
    assert_eq!(samples.find(counts_tokens), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_in_the_background_misses_no_usage() {
    let gauge = Gauge::start().await;
    let request = post(
        "/v1/responses",
        r#"{"model":"m","background":true,"input":"hi"}"#,
    );
    let answer = fixture("responses/body-queued/response.json");
    gauge.call(request, json(200, &answer)).await;
    let (inference, server) = gauge.spans().await;
    check(
        &gauge,
        &inference,
        &server,
        "chat m",
        &[
            "gen_ai.operation.name=chat",
            "gen_ai.request.model=m",
            "gen_ai.response.id=resp_1",
            "gen_ai.response.model=gpt-5-2026-01-01",
            "gen_ai.response.status=queued",
            "llm.model=m",
            "llm.prompt.length=2",
            "llm.response.model=gpt-5-2026-01-01",
            "openai.api.type=responses",
            "streamgauge.end=done",
            "streamgauge.time_to_first_byte=TIME",
            "streamgauge.time_to_response_head=TIME",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_is_a_fetch_of_what_was_cancelled() {
    let gauge = Gauge::start().await;
    let answer = fixture("responses-fetched/body-cancelled/response.json");
    let request = bare("POST", "/v1/responses/resp_1/cancel");
    gauge.call(request, json(200, &answer)).await;
    let (inference, server) = gauge.spans().await;
    assert_eq!(inference.name(), "fetch_response");
    assert_eq!(inference.status(), Unset);
    assert_eq!(inference.text("gen_ai.response.status"), Some("cancelled"));
    let reasons = inference.texts("gen_ai.response.finish_reasons");
    assert_eq!(reasons, Some(vec!["error"]));
    let route = server.text("http.route");
    assert_eq!(route, Some("/v1/responses/{id}/cancel"));
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_typed_events_end_by_their_own_last_event() {
    for (api, case, end, kind) in [
        ("responses", "text", "done", None),
        ("responses", "text-done", "done", None),
        ("responses", "incomplete-length", "done", None),
        ("responses", "sentinel-only", "done_without_finish", None),
        ("responses", "cut", "cut", Some("stream_truncated")),
        ("responses", "half-event", "cut", Some("stream_truncated")),
        ("responses", "failed", "error_event", Some("server_error")),
        ("responses", "failed-silent", "error_event", Some("failed")),
        (
            "responses",
            "error-event",
            "error_event",
            Some("rate_limit_exceeded"),
        ),
        ("messages", "text", "done", None),
        ("messages", "text-no-names", "done", None),
        ("messages", "cut", "cut", Some("stream_truncated")),
        ("messages", "no-message-stop", "finish_without_done", None),
        (
            "messages",
            "error-midstream",
            "error_event",
            Some("overloaded_error"),
        ),
    ] {
        let gauge = Gauge::start().await;
        let events = fixture(&format!("{api}/{case}/response.sse"));
        let call = gauge.call(request(api), stream(&events)).await;
        assert_eq!(call.got.text(), events, "{api} {case}");
        let (inference, _) = gauge.spans().await;
        assert_eq!(inference.text("streamgauge.end"), Some(end), "{api} {case}");
        assert_eq!(inference.text("error.type"), kind, "{api} {case}");
        let status = kind.map_or(Unset, |_| Error);
        assert_eq!(inference.status(), status, "{api} {case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_closes_after_the_last_typed_event_has_not_left() {
    for api in ["responses", "messages"] {
        for whole in [true, false] {
            let gauge = Gauge::start().await;
            let (mut caller, mut served) = gauge.open(request(api)).await;
            let events = fixture(&format!("{api}/text/response.sse"));
            let middle = events.find(r#"":"né""#).unwrap();
            let sent = if whole { &events } else { &events[..middle] };
            served.write(STREAM_HEAD).await;
            served.write(chunk(sent)).await;
            caller.read_head().await;
            let mut got = 0;
            while got < sent.len() {
                got += caller.read_chunk().await.data.len();
            }
            caller.close().await;
            served.closed().await;
            let (inference, _) = gauge.spans().await;
            let (end, reason) = match (whole, api) {
                (false, _) => ("client_left", "error"),
                (true, "responses") => ("done", "stop"),
                (true, _) => ("done", "end_turn"),
            };
            assert_eq!(inference.text("streamgauge.end"), Some(end), "{api}");
            assert_eq!(inference.attribute("error.type"), None, "{api}");
            let reasons = inference.texts("gen_ai.response.finish_reasons");
            assert_eq!(reasons, Some(vec![reason]), "{api}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counting_tokens_is_no_inference() {
    for path in ["/v1/messages/count_tokens", "/v1/responses/input_tokens"] {
        let gauge = Gauge::start().await;
        gauge
            .call(post(path, "{}"), json(200, r#"{"input_tokens":9}"#))
            .await;
        let span = gauge.server_span().await;
        assert_eq!(span.name(), "POST", "{path}");
        assert_eq!(span.attribute("http.route"), None, "{path}");
    }
}
