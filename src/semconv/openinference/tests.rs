//! What the vocabulary says of whole exchanges, line by line.

use super::super::sample::{self, inference_lines, server_lines};
use super::*;

#[test]
fn a_streamed_call_is_a_span_of_kind_llm() {
    let expected = [
        "openinference.span.kind=LLM",
        "llm.provider=openai",
        "llm.system=openai",
        "llm.model_name=gpt-4o-2024-08-06",
        "llm.request.model_name=gpt-4o",
        "llm.response.model_name=gpt-4o-2024-08-06",
        concat!(
            r#"llm.invocation_parameters={"frequency_penalty":0.1,"max_tokens":256,"model":"gpt-4o","n":2,"#,
            r#""presence_penalty":0.2,"reasoning_effort":"low","seed":7,"service_tier":"flex","#,
            r#""stop":["END"],"stream":true,"temperature":0.5,"top_k":40,"top_p":0.9}"#
        ),
        "llm.finish_reason=tool_calls",
        "llm.token_count.prompt=12",
        "llm.token_count.completion=5",
        "llm.token_count.total=17",
        "llm.token_count.prompt_details.cache_read=8",
        "llm.token_count.prompt_details.cache_write=4",
        "llm.token_count.prompt_details.audio=2",
        "llm.token_count.completion_details.reasoning=0",
    ];
    assert_eq!(
        inference_lines(&OpenInference, &sample::streamed()),
        expected
    );
}

#[test]
fn a_conversation_is_a_session() {
    let mut exchange = sample::streamed();
    exchange.request.conversation_id = Some("conv_1".into());
    let lines = inference_lines(&OpenInference, &exchange);
    assert!(lines.contains(&"session.id=conv_1".to_owned()), "{lines:?}");
}

#[test]
fn an_embedding_names_its_model_where_its_kind_has_it() {
    let mut exchange = sample::unary();
    exchange.operation = Some(Operation::Embeddings);
    exchange.response.model = None;
    exchange.request = Request {
        model: Some("text-embedding-3-small".into()),
        ..Request::default()
    };
    exchange.usage.output_tokens = None;
    let expected = [
        "openinference.span.kind=EMBEDDING",
        "embedding.model_name=text-embedding-3-small",
        r#"embedding.invocation_parameters={"model":"text-embedding-3-small"}"#,
        "llm.token_count.prompt=12",
        "llm.token_count.total=15",
    ];
    assert_eq!(inference_lines(&OpenInference, &exchange), expected);
}

#[test]
fn each_kind_of_call_has_a_kind_of_span() {
    let mut exchange = sample::unary();
    for (operation, kind) in [
        (Operation::Completions, "LLM"),
        (Operation::Rerank, "RERANKER"),
        (Operation::Retrieval, "RETRIEVER"),
        (Operation::Moderation, "GUARDRAIL"),
        (Operation::Tokenize, "CHAIN"),
    ] {
        exchange.operation = Some(operation);
        let lines = inference_lines(&OpenInference, &exchange);
        assert_eq!(lines[0], format!("openinference.span.kind={kind}"));
        let of_llm = lines.iter().any(|line| line.starts_with("llm.provider="));
        assert_eq!(of_llm, kind == "LLM", "{operation:?}");
    }
}

#[test]
fn the_span_above_a_call_is_a_link_of_a_chain() {
    let lines = server_lines(&OpenInference, &sample::unary());
    assert_eq!(lines, ["openinference.span.kind=CHAIN"]);
    assert!(server_lines(&OpenInference, &sample::plain()).is_empty());
}

#[test]
fn providers_and_systems_have_the_values_of_the_specification() {
    let mut exchange = sample::unary();
    exchange.operation = Some(Operation::Messages);
    for (provider, expected) in [
        ("azure.ai.openai", "azure"),
        ("aws.bedrock", "aws"),
        ("gcp.vertex_ai", "google"),
        ("gcp.gemini", "google"),
        ("mistral_ai", "mistralai"),
        ("x_ai", "xai"),
        ("vllm", "vllm"),
    ] {
        exchange.upstream.as_mut().unwrap().provider = Some(provider.into());
        let lines = inference_lines(&OpenInference, &exchange);
        assert_eq!(lines[1], format!("llm.provider={expected}"));
        assert_eq!(lines[2], "llm.system=anthropic");
    }
}

#[test]
fn a_request_that_was_not_read_has_no_parameters() {
    let mut exchange = sample::unary();
    exchange.request = Request::default();
    let lines = inference_lines(&OpenInference, &exchange);
    assert!(!lines.iter().any(|line| line.contains("invocation")));
    assert!(lines.contains(&"llm.model_name=gpt-4o-2024-08-06".to_owned()));
}
