//! Spans as a collector receives them: names, kinds, parents, and every attribute, call type by call type.

mod attempts;
mod carried;
mod context;
mod ends;
mod export;
mod headers;
mod mistakes;
mod ollama;
mod sampling;
mod shapes;
mod truth;
mod typed;
mod unary;

use crate::support::client::{get, post};
use crate::support::gauge::{
    CLIENT, DONE, FINISH, Gauge, SERVER, USAGE, chat, delta, json, lines, stream,
};
use crate::support::otlp::{Attributes as _, Span};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

/// What every inference span of a call to the scripted upstream says, whatever comes of it.
fn inference_lines(gauge: &Gauge, more: &[&str]) -> Vec<String> {
    let port = gauge.upstream.address().port();
    let mut expected: Vec<String> = more.iter().map(|line| (*line).to_owned()).collect();
    expected.extend([
        "gen_ai.provider.name=openai".to_owned(),
        "server.address=127.0.0.1".to_owned(),
        format!("server.port={port}"),
        "streamgauge.upstream.name=default".to_owned(),
    ]);
    expected.sort();
    expected
}

/// Checks the shape of the two spans of a call, and the attributes of the inference span.
fn check(gauge: &Gauge, inference: &Span, server: &Span, name: &str, attributes: &[&str]) {
    assert_eq!(inference.name(), name);
    assert_eq!((inference.proto.kind, server.proto.kind), (CLIENT, SERVER));
    assert_eq!(inference.proto.parent_span_id, server.proto.span_id);
    assert_eq!(inference.trace_id(), server.trace_id());
    assert!(server.proto.parent_span_id.is_empty());
    assert_eq!(lines(inference), inference_lines(gauge, attributes));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamed_chat_has_every_attribute_that_its_wire_carries() {
    let gauge = Gauge::start().await;
    let request = post(
        "/v1/chat/completions?api-version=1&key=secret",
        r#"{"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true},
            "max_completion_tokens":64,"max_tokens":9,"n":1,"temperature":0,"top_p":0.9,"top_k":40,"frequency_penalty":0.5,
            "presence_penalty":-0.5,"stop":"END","seed":7,"reasoning_effort":"low","service_tier":"flex",
            "response_format":{"type":"json_object"},
            "messages":[{"role":"system","content":"Be kind."},{"role":"user","content":[{"type":"text","text":"Grüß"}]}]}"#,
    );
    let events = [
        r#"{"id":"chatcmpl-1","model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}"#,
        r#"{"id":"chatcmpl-1","model":"gpt-4o-2024-08-06","choices":[{"index":0,"delta":{"content":"Né"},"logprobs":{"content":[{"token":"N","logprob":-0.1}]},"finish_reason":null}],"usage":null}"#,
        r#"{"id":"chatcmpl-1","model":"gpt-4o-2024-08-06","choices":[{"index":0,"delta":{"content":"😀"},"finish_reason":null}],"usage":null}"#,
        r#"{"id":"chatcmpl-1","model":"gpt-4o-2024-08-06","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}"#,
        r#"{"id":"chatcmpl-1","model":"gpt-4o-2024-08-06","choices":[],"usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17,
            "prompt_tokens_details":{"cached_tokens":8,"cache_write_tokens":2,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}}}"#,
        DONE,
    ]
    .map(|event| event.replace('\n', ""));
    let call = gauge
        .call(request, stream(events.iter().map(String::as_str)))
        .await;
    assert_eq!(call.got.status(), 200);
    let (inference, server) = gauge.spans().await;
    check(
        &gauge,
        &inference,
        &server,
        "chat gpt-4o",
        &[
            "gen_ai.operation.name=chat",
            "gen_ai.output.type=json",
            "gen_ai.request.frequency_penalty=0.5",
            "gen_ai.request.max_tokens=64",
            "gen_ai.request.model=gpt-4o",
            "gen_ai.request.presence_penalty=-0.5",
            "gen_ai.request.reasoning.level=low",
            "gen_ai.request.seed=7",
            "gen_ai.request.stop_sequences=[\"END\"]",
            "gen_ai.request.stream=true",
            "gen_ai.request.temperature=0.0",
            "gen_ai.request.top_k=40",
            "gen_ai.request.top_p=0.9",
            "gen_ai.response.finish_reasons=[\"stop\"]",
            "gen_ai.response.id=chatcmpl-1",
            "gen_ai.response.model=gpt-4o-2024-08-06",
            "gen_ai.response.time_to_first_chunk=TIME",
            "gen_ai.usage.audio.input_tokens=0",
            "gen_ai.usage.audio.output_tokens=0",
            "gen_ai.usage.cache_creation.input_tokens=2",
            "gen_ai.usage.cache_read.input_tokens=8",
            "gen_ai.usage.cache_write.input_tokens=2",
            "gen_ai.usage.input_tokens=12",
            "gen_ai.usage.output_tokens=5",
            "gen_ai.usage.reasoning.output_tokens=0",
            "llm.model=gpt-4o",
            "llm.prompt.length=12",
            "llm.response.chunk_count=2",
            "llm.response.finish_reason=stop",
            "llm.response.first_token_latency_ms=TIME",
            "llm.response.full_length=3",
            "llm.response.model=gpt-4o-2024-08-06",
            "llm.response.usage.completion_tokens=5",
            "llm.response.usage.prompt_tokens=12",
            "llm.response.usage.total_tokens=17",
            "openai.api.type=chat_completions",
            "openai.request.service_tier=flex",
            "openai.response.service_tier=default",
            "openai.response.system_fingerprint=fp_1",
            "streamgauge.chunks=2",
            "streamgauge.end=done",
            "streamgauge.events=6",
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
    assert_eq!(inference.status(), StatusCode::Unset);

    let bytes: usize = events.iter().map(|data| data.len() + 8).sum();
    let peer = server.int("network.peer.port").unwrap();
    assert_eq!(server.name(), "POST /v1/chat/completions");
    assert_eq!(
        lines(&server),
        [
            "client.address=127.0.0.1".to_owned(),
            format!("http.request.body.size={}", call.seen.body.len()),
            "http.request.method=POST".to_owned(),
            r#"http.response.header.content-type=["text/event-stream"]"#.to_owned(),
            "http.response.status_code=200".to_owned(),
            "http.route=/v1/chat/completions".to_owned(),
            "network.peer.address=127.0.0.1".to_owned(),
            format!("network.peer.port={peer}"),
            "network.protocol.version=1.1".to_owned(),
            "server.address=streamgauge.test".to_owned(),
            "streamgauge.end=done".to_owned(),
            "streamgauge.integrity=equal".to_owned(),
            "streamgauge.overhead.duration=TIME".to_owned(),
            format!("streamgauge.response.bytes={bytes}"),
            "streamgauge.upstream.name=default".to_owned(),
            "url.path=/v1/chat/completions".to_owned(),
            "url.query=api-version=1&key=REDACTED".to_owned(),
            "url.scheme=http".to_owned(),
        ]
    );
    assert_eq!(server.status(), StatusCode::Unset);
    let events: Vec<_> = inference
        .proto
        .events
        .iter()
        .map(|event| &event.name)
        .collect();
    assert_eq!(events, ["first_token"]);
    assert!(server.proto.events.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_chat_answer_has_no_stream_facts() {
    let gauge = Gauge::start().await;
    let request = post(
        "/v1/chat/completions",
        r#"{"model":"m","n":2,"modalities":["text","audio"],"messages":[{"role":"user","content":"hi"}]}"#,
    );
    let answer = r#"{"id":"c-1","model":"m-1","choices":[
        {"index":1,"message":{"role":"assistant","content":"abc"},"finish_reason":"length"},
        {"index":0,"message":{"role":"assistant","content":"de"},"finish_reason":"stop"}],
        "usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;
    gauge.call(request, json(200, answer)).await;
    let (inference, server) = gauge.spans().await;
    check(
        &gauge,
        &inference,
        &server,
        "chat m",
        &[
            "gen_ai.operation.name=chat",
            "gen_ai.output.type=speech",
            "gen_ai.request.choice.count=2",
            "gen_ai.request.model=m",
            "gen_ai.response.finish_reasons=[\"stop\", \"length\"]",
            "gen_ai.response.id=c-1",
            "gen_ai.response.model=m-1",
            "gen_ai.usage.input_tokens=3",
            "gen_ai.usage.output_tokens=2",
            "llm.model=m",
            "llm.prompt.length=2",
            "llm.response.finish_reason=stop",
            "llm.response.full_length=5",
            "llm.response.model=m-1",
            "llm.response.usage.completion_tokens=2",
            "llm.response.usage.prompt_tokens=3",
            "llm.response.usage.total_tokens=5",
            "openai.api.type=chat_completions",
            "streamgauge.end=done",
            "streamgauge.time_to_first_byte=TIME",
            "streamgauge.time_to_response_head=TIME",
            "streamgauge.usage.source=reported",
        ],
    );
    assert!(inference.proto.events.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_completion_has_its_own_operation() {
    let gauge = Gauge::start().await;
    let request = post(
        "/v1/completions",
        r#"{"model":"m","prompt":["ab","c"],"max_tokens":5,"stream":true,"stream_options":{"include_usage":true}}"#,
    );
    let events = [
        r#"{"id":"cmpl-1","model":"m","choices":[{"index":0,"text":"x"},{"index":1,"text":"yz"}]}"#,
        r#"{"id":"cmpl-1","model":"m","choices":[{"index":0,"text":"","finish_reason":"stop"},{"index":1,"text":"","finish_reason":"length"}]}"#,
        r#"{"id":"cmpl-1","model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":3,"total_tokens":6}}"#,
        DONE,
    ];
    gauge.call(request, stream(events)).await;
    let (inference, server) = gauge.spans().await;
    check(
        &gauge,
        &inference,
        &server,
        "text_completion m",
        &[
            "gen_ai.operation.name=text_completion",
            "gen_ai.request.max_tokens=5",
            "gen_ai.request.model=m",
            "gen_ai.request.stream=true",
            "gen_ai.response.finish_reasons=[\"stop\", \"length\"]",
            "gen_ai.response.id=cmpl-1",
            "gen_ai.response.model=m",
            "gen_ai.response.time_to_first_chunk=TIME",
            "gen_ai.usage.input_tokens=3",
            "gen_ai.usage.output_tokens=3",
            "llm.model=m",
            "llm.prompt.length=3",
            "llm.response.chunk_count=1",
            "llm.response.finish_reason=stop",
            "llm.response.first_token_latency_ms=TIME",
            "llm.response.full_length=3",
            "llm.response.model=m",
            "llm.response.usage.completion_tokens=3",
            "llm.response.usage.prompt_tokens=3",
            "llm.response.usage.total_tokens=6",
            "streamgauge.chunks=1",
            "streamgauge.end=done",
            "streamgauge.events=4",
            "streamgauge.stalls=0",
            "streamgauge.time_to_first_byte=TIME",
            "streamgauge.time_to_first_content=TIME",
            "streamgauge.time_to_first_event=TIME",
            "streamgauge.time_to_first_token=TIME",
            "streamgauge.time_to_response_head=TIME",
            "streamgauge.usage.source=reported",
        ],
    );
    assert_eq!(server.name(), "POST /v1/completions");
}

/// Attributes of the inference span of a stream of these deltas, among those whose key has one of these beginnings.
async fn streamed(deltas: &[&str], finish: &str, keys: &[&str]) -> Vec<String> {
    let gauge = Gauge::start().await;
    let deltas: Vec<String> = deltas.iter().map(|text| delta(text)).collect();
    let events = deltas
        .iter()
        .map(String::as_str)
        .chain([finish, USAGE, DONE]);
    gauge.call(chat(), stream(events)).await;
    let (inference, _) = gauge.spans().await;
    let mut lines = lines(&inference);
    lines.retain(|line| keys.iter().any(|key| line.starts_with(key)));
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn tool_calls_are_counted_and_are_output() {
    let deltas = [
        r#"{"role":"assistant","content":null}"#,
        r#"{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}"#,
        r#"{"tool_calls":[{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}]}"#,
    ];
    let finish = FINISH.replace("stop", "tool_calls");
    let keys = [
        "gen_ai.response.finish",
        "llm.response.f",
        "streamgauge.t",
        "streamgauge.chunks",
    ];
    assert_eq!(
        streamed(&deltas, &finish, &keys).await,
        [
            "gen_ai.response.finish_reasons=[\"tool_calls\"]",
            "llm.response.finish_reason=tool_calls",
            "llm.response.first_token_latency_ms=TIME",
            "streamgauge.chunks=3",
            "streamgauge.time_to_first_byte=TIME",
            "streamgauge.time_to_first_event=TIME",
            "streamgauge.time_to_first_token=TIME",
            "streamgauge.time_to_first_tool_call=TIME",
            "streamgauge.time_to_response_head=TIME",
            "streamgauge.tool_calls=2",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn reasoning_is_output_and_kept_apart_from_the_answer() {
    let deltas = [
        r#"{"role":"assistant"}"#,
        r#"{"reasoning_content":"Hm…"}"#,
        r#"{"reasoning":"so"}"#,
        r#"{"content":"42"}"#,
    ];
    let keys = [
        "llm.response.full",
        "streamgauge.chunks",
        "streamgauge.reas",
        "streamgauge.time_to_first_r",
    ];
    assert_eq!(
        streamed(&deltas, FINISH, &keys).await,
        [
            "llm.response.full_length=2",
            "streamgauge.chunks=3",
            "streamgauge.reasoning.length=5",
            "streamgauge.time_to_first_reasoning=TIME",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_output_and_no_content() {
    let deltas = [
        r#"{"role":"assistant","content":null,"refusal":""}"#,
        r#"{"refusal":"I can't"}"#,
    ];
    let keys = [
        "llm.response.full",
        "streamgauge.chunks",
        "streamgauge.refusal",
        "streamgauge.time_to_first_",
    ];
    assert_eq!(
        streamed(&deltas, FINISH, &keys).await,
        [
            "streamgauge.chunks=1",
            "streamgauge.refusal.length=7",
            "streamgauge.time_to_first_byte=TIME",
            "streamgauge.time_to_first_event=TIME",
            "streamgauge.time_to_first_token=TIME",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_inference_is_one_server_span() {
    let gauge = Gauge::start().await;
    let list = r#"{"object":"list","data":[]}"#;
    let serve = async {
        let mut served = gauge.upstream.accept().await;
        served.read_request().await;
        served.write(json(200, list)).await;
    };
    let (_, got) = tokio::join!(serve, get(gauge.server.proxy, "/v1/models"));
    assert_eq!(got.text(), list);
    let span = gauge.server_span().await;
    let peer = span.int("network.peer.port").unwrap();
    let proxy = gauge.server.proxy.port();
    assert_eq!((span.name(), span.proto.kind), ("GET", SERVER));
    assert_eq!(
        lines(&span),
        [
            "client.address=127.0.0.1".to_owned(),
            "http.request.body.size=0".to_owned(),
            "http.request.method=GET".to_owned(),
            r#"http.response.header.content-type=["application/json"]"#.to_owned(),
            "http.response.status_code=200".to_owned(),
            "network.peer.address=127.0.0.1".to_owned(),
            format!("network.peer.port={peer}"),
            "network.protocol.version=1.1".to_owned(),
            "server.address=127.0.0.1".to_owned(),
            format!("server.port={proxy}"),
            "streamgauge.end=done".to_owned(),
            "streamgauge.integrity=equal".to_owned(),
            "streamgauge.overhead.duration=TIME".to_owned(),
            "streamgauge.response.bytes=27".to_owned(),
            "streamgauge.upstream.name=default".to_owned(),
            "url.path=/v1/models".to_owned(),
            "url.scheme=http".to_owned(),
        ]
    );
}
