//! Ollama's own API: lines in place of events, and the server's own times.

use super::check;
use crate::support::client::post;
use crate::support::gauge::{Gauge, json};
use crate::support::http1::chunk;
use crate::support::otlp::Attributes as _;
use crate::support::scene::Scene;

const LAST: &str = r#""done_reason":"stop","total_duration":9000000,"load_duration":1500000,"prompt_eval_count":26,"prompt_eval_duration":2000000,"eval_count":4,"eval_duration":4000000"#;

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_read_as_a_stream_that_was_not_asked_for_in_so_many_words() {
    let gauge = Gauge::start().await;
    let request = post(
        "/api/chat",
        r#"{"model":"llama3.2","messages":[{"role":"user","content":"Grüß","images":["AAAA"]}],"think":"low",
            "options":{"temperature":0,"top_p":0.9,"top_k":40,"seed":7,"num_predict":64,"stop":["END"],"num_ctx":8}}"#,
    );
    let mut answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for line in [
        r#"{"model":"llama3.2","message":{"role":"assistant","content":"","thinking":"h"},"done":false}"#
            .to_owned(),
        r#"{"model":"llama3.2","message":{"role":"assistant","content":"ab"},"done":false}"#.to_owned(),
        format!(r#"{{"model":"llama3.2","message":{{"role":"assistant","content":""}},"done":true,{LAST}}}"#),
    ] {
        answer.extend(chunk(line + "\n"));
    }
    answer.extend(chunk(""));
    let call = gauge.call(request, answer).await;
    assert_eq!(call.got.status(), 200);
    let (inference, server) = gauge.spans().await;
    check(
        &gauge,
        &inference,
        &server,
        "chat llama3.2",
        &[
            "gen_ai.operation.name=chat",
            "gen_ai.request.max_tokens=64",
            "gen_ai.request.model=llama3.2",
            "gen_ai.request.reasoning.level=low",
            "gen_ai.request.seed=7",
            "gen_ai.request.stop_sequences=[\"END\"]",
            "gen_ai.request.stream=true",
            "gen_ai.request.temperature=0.0",
            "gen_ai.request.top_k=40",
            "gen_ai.request.top_p=0.9",
            "gen_ai.response.finish_reasons=[\"stop\"]",
            "gen_ai.response.model=llama3.2",
            "gen_ai.response.time_to_first_chunk=TIME",
            "gen_ai.usage.input_tokens=26",
            "gen_ai.usage.output_tokens=4",
            "llm.model=llama3.2",
            "llm.prompt.length=4",
            "llm.response.chunk_count=2",
            "llm.response.finish_reason=stop",
            "llm.response.first_token_latency_ms=TIME",
            "llm.response.full_length=2",
            "llm.response.model=llama3.2",
            "llm.response.usage.completion_tokens=4",
            "llm.response.usage.prompt_tokens=26",
            "streamgauge.chunks=2",
            "streamgauge.end=done",
            "streamgauge.events=3",
            "streamgauge.gap.max=TIME",
            "streamgauge.gap.p99=TIME",
            "streamgauge.reasoning.length=1",
            "streamgauge.stalls=0",
            "streamgauge.time_to_first_byte=TIME",
            "streamgauge.time_to_first_content=TIME",
            "streamgauge.time_to_first_event=TIME",
            "streamgauge.time_to_first_reasoning=TIME",
            "streamgauge.time_to_first_token=TIME",
            "streamgauge.time_to_response_head=TIME",
            "streamgauge.upstream.decode_time=0.004",
            "streamgauge.upstream.load_time=0.0015",
            "streamgauge.upstream.prefill_time=0.002",
            "streamgauge.usage.source=reported",
        ],
    );
    assert_eq!(server.shown("http.route"), "/api/chat");
    let metrics = gauge.scrape("text/plain").await;
    let prefill = "streamgauge_upstream_prefill_time_seconds_sum{upstream=\"default\"";
    let sum = metrics
        .text()
        .lines()
        .find(|line| line.starts_with(prefill));
    assert!(sum.is_some_and(|line| line.ends_with(" 0.002")), "{sum:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_line_that_was_asked_for_whole_is_no_stream() {
    let gauge = Gauge::start().await;
    let request = post(
        "/api/generate",
        r#"{"model":"llama3.2","prompt":"hi","stream":false}"#,
    );
    let body = format!(r#"{{"model":"llama3.2","response":"ab","done":true,{LAST}}}"#);
    gauge.call(request, json(200, &body)).await;
    let (inference, _) = gauge.spans().await;
    assert_eq!(inference.name(), "text_completion llama3.2");
    assert_eq!(inference.shown("streamgauge.end"), "done");
    assert_eq!(inference.int("gen_ai.usage.output_tokens"), Some(4));
    for of_streams in [
        "gen_ai.request.stream",
        "streamgauge.events",
        "streamgauge.chunks",
        "streamgauge.time_to_first_token",
        "streamgauge.time_to_first_content",
    ] {
        assert!(inference.attribute(of_streams).is_none(), "{of_streams}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_stops_before_its_last_line_was_cut() {
    let gauge = Gauge::start().await;
    let line = r#"{"model":"llama3.2","response":"ab","done":false}"#;
    let request = post("/api/generate", r#"{"model":"llama3.2","prompt":"hi"}"#);
    gauge
        .call(request, json(200, &format!("{line}\n{line}\n")))
        .await;
    let (inference, _) = gauge.spans().await;
    assert_eq!(inference.shown("streamgauge.end"), "cut");
    assert_eq!(
        inference.shown("gen_ai.response.finish_reasons"),
        "[\"error\"]"
    );
}

#[tokio::test]
async fn the_provider_is_what_the_configuration_names() {
    let config = "[[upstream]]\nname = \"default\"\nurl = \"http://a/v1\"\nprovider = \"ollama\"\n";
    let scene = Scene::configured(config).await;
    let request = post("/api/embed", r#"{"model":"all-minilm","input":"hi"}"#);
    let (mut client, mut served) = scene.call(&request).await;
    served
        .write(json(
            200,
            r#"{"model":"all-minilm","embeddings":[[0.5]],"prompt_eval_count":2}"#,
        ))
        .await;
    assert_eq!(client.read_response().await.status(), 200);
    let (_, inference) = scene.spans().await;
    assert_eq!(inference.name(), "embeddings all-minilm");
    assert_eq!(inference.shown("gen_ai.provider.name"), "ollama");
    assert_eq!(inference.int("gen_ai.usage.input_tokens"), Some(2));
}
