//! Requests that are told by their body: others use the paths of models' APIs, and some paths take the requests of several.

use crate::support::client::post;
use crate::support::gauge::{CLIENT, Gauge, SERVER, json};
use crate::support::otlp::Attributes as _;

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_procedure_call_on_the_path_of_messages_calls_no_model() {
    let gauge = Gauge::start().await;
    let request = post(
        "/messages/?session_id=1",
        r#"{"method":"tools/call","params":{"name":"gauge","arguments":{}},"jsonrpc":"2.0","id":1}"#,
    );
    let call = gauge.call(request, json(202, "{}")).await;
    assert_eq!(call.got.text(), "{}");
    let received = gauge.received(2).await;
    let of_kind = |kind| {
        let mut spans = received.spans.iter();
        spans.find(|span| span.proto.kind == kind).unwrap()
    };
    let (attempt, server) = (of_kind(CLIENT), of_kind(SERVER));
    assert_eq!((attempt.name(), server.name()), ("POST", "POST"));
    assert_eq!(attempt.proto.parent_span_id, server.proto.span_id);
    for span in [attempt, server] {
        assert!(span.attribute("gen_ai.operation.name").is_none());
        assert!(span.attribute("http.route").is_none());
    }
    // The upstream was told before the body was read, and its spans need their parent.
    let told = call.seen.header("traceparent").unwrap();
    assert!(told.contains(&attempt.span_id()), "{told}");
    assert_eq!(received.spans.len(), 2, "{}", received.summary());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_for_requests_of_all_apis_is_told_by_the_body() {
    const CHAT: &str = r#"{"model":"m-1","choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
    const VECTORS: &str =
        r#"{"model":"m-1","data":[],"usage":{"prompt_tokens":3,"total_tokens":3}}"#;
    for (body, answer, name, output) in [
        (
            r#"{"model":"m","messages":[{"role":"user","content":"a"}]}"#,
            CHAT,
            "chat m",
            Some(1),
        ),
        (
            r#"{"model":"m","prompt":"a"}"#,
            CHAT,
            "text_completion m",
            Some(1),
        ),
        (
            r#"{"model":"m","input":"a"}"#,
            VECTORS,
            "embeddings m",
            None,
        ),
    ] {
        let gauge = Gauge::start().await;
        gauge
            .call(post("/invocations", body), json(200, answer))
            .await;
        let (inference, server) = gauge.spans().await;
        assert_eq!(
            (inference.name(), server.name()),
            (name, "POST /invocations")
        );
        assert_eq!(
            inference.int("gen_ai.usage.input_tokens"),
            Some(3),
            "{name}"
        );
        assert_eq!(
            inference.int("gen_ai.usage.output_tokens"),
            output,
            "{name}"
        );
        assert_eq!(inference.int("llm.prompt.length"), Some(1), "{name}");
    }
    let gauge = Gauge::start().await;
    gauge
        .call(post("/invocations", r#"{"inputs":"a"}"#), json(200, "{}"))
        .await;
    let spans = gauge.received(2).await.spans;
    assert!(spans.iter().all(|span| span.name() == "POST"));
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_of_one_request_are_answered_by_a_choice_each() {
    let gauge = Gauge::start().await;
    let request = r#"{"model":"m","messages":[[{"role":"user","content":"ab"}],[{"role":"user","content":"c"}]]}"#;
    let answer = r#"{"model":"m","choices":[{"index":0,"message":{"content":"A"},"finish_reason":"stop"},{"index":1,"message":{"content":"B"},"finish_reason":"length"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#;
    let request = post("/v1/chat/completions/batch", request);
    gauge.call(request, json(200, answer)).await;
    let (inference, server) = gauge.spans().await;
    assert_eq!(inference.name(), "chat m");
    assert_eq!(server.name(), "POST /v1/chat/completions/batch");
    let reasons = inference.texts("gen_ai.response.finish_reasons");
    assert_eq!(reasons, Some(vec!["stop", "length"]));
    assert_eq!(inference.int("llm.prompt.length"), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_in_and_tokens_out_are_a_completion() {
    let gauge = Gauge::start().await;
    let request = r#"{"request_id":"r","token_ids":[1,2,3],"sampling_params":{"max_tokens":5,"temperature":0.5},"model":"m"}"#;
    let answer =
        r#"{"request_id":"r","choices":[{"index":0,"finish_reason":"stop","token_ids":[4,5]}]}"#;
    let request = post("/inference/v1/generate", request);
    gauge.call(request, json(200, answer)).await;
    let (inference, server) = gauge.spans().await;
    assert_eq!(inference.name(), "text_completion m");
    assert_eq!(server.name(), "POST /inference/v1/generate");
    assert_eq!(inference.int("gen_ai.request.max_tokens"), Some(5));
    assert!(inference.attribute("streamgauge.quirks").is_none());
}
