//! What the vocabulary says of whole exchanges, line by line.

use super::super::sample::{self, Recorded, inference_lines};
use super::*;

fn samples(exchange: &Exchange) -> Vec<String> {
    Recorded::lines(&Llm, exchange)
}

#[test]
fn a_streamed_call_has_every_attribute() {
    let expected = [
        "llm.model=gpt-4o",
        "llm.prompt.length=42",
        "llm.response.model=gpt-4o-2024-08-06",
        "llm.response.usage.prompt_tokens=12",
        "llm.response.usage.completion_tokens=5",
        "llm.response.usage.total_tokens=17",
        "llm.response.finish_reason=tool_calls",
        "llm.response.chunk_count=5",
        "llm.response.full_length=11",
        "llm.response.first_token_latency_ms=50.0",
    ];
    assert_eq!(inference_lines(&Llm, &sample::streamed()), expected);
}

#[test]
fn a_unary_call_has_no_chunks_and_no_latency() {
    let expected = [
        "llm.model=gpt-4o",
        "llm.prompt.length=42",
        "llm.response.model=gpt-4o-2024-08-06",
        "llm.response.usage.prompt_tokens=12",
        "llm.response.usage.completion_tokens=3",
        "llm.response.usage.total_tokens=15",
        "llm.response.finish_reason=stop",
        "llm.response.full_length=11",
    ];
    assert_eq!(inference_lines(&Llm, &sample::unary()), expected);
}

#[test]
fn a_client_that_left_leaves_no_usage() {
    let expected = [
        "llm.model=gpt-4o",
        "llm.prompt.length=42",
        "llm.response.model=gpt-4o-2024-08-06",
        "llm.response.finish_reason=error",
        "llm.response.chunk_count=5",
        "llm.response.full_length=11",
        "llm.response.first_token_latency_ms=50.0",
    ];
    assert_eq!(inference_lines(&Llm, &sample::client_left()), expected);
}

#[test]
fn an_http_error_has_only_the_request() {
    let expected = ["llm.model=gpt-4o", "llm.prompt.length=42"];
    assert_eq!(inference_lines(&Llm, &sample::rate_limited()), expected);
}

#[test]
fn a_streamed_call_gives_every_metric() {
    let expected = [
        "llm.requests {model=gpt-4o upstream=main} 1",
        "llm.error.rate {model=gpt-4o upstream=main} 0.0",
        "llm.request.duration {model=gpt-4o upstream=main} 2.09",
        "llm.stream.first_token_latency {model=gpt-4o upstream=main} 0.05",
        "llm.tokens.prompt {model=gpt-4o upstream=main} 12",
        "llm.tokens.completion {model=gpt-4o upstream=main} 5",
        "llm.tokens.total {model=gpt-4o upstream=main token.type=prompt} 12",
        "llm.tokens.total {model=gpt-4o upstream=main token.type=completion} 5",
        "gen_ai.tool.calls {model=gpt-4o upstream=main tool.name=get_weather} 1",
    ];
    assert_eq!(samples(&sample::streamed()), expected);
}

#[test]
fn a_client_that_left_is_no_error() {
    let expected = [
        "llm.requests {model=gpt-4o upstream=main} 1",
        "llm.error.rate {model=gpt-4o upstream=main} 0.0",
        "llm.request.duration {model=gpt-4o upstream=main} 2.1",
        "llm.stream.first_token_latency {model=gpt-4o upstream=main} 0.05",
        "gen_ai.tool.calls {model=gpt-4o upstream=main tool.name=get_weather} 1",
    ];
    assert_eq!(samples(&sample::client_left()), expected);
}

#[test]
fn a_failed_call_counts_as_an_error_and_has_no_duration() {
    let expected = [
        "llm.requests {model=gpt-4o upstream=main} 1",
        "llm.error.rate {model=gpt-4o upstream=main} 1.0",
        "llm.errors {model=gpt-4o upstream=main error.type=rate_limit_exceeded} 1",
    ];
    assert_eq!(samples(&sample::rate_limited()), expected);
}

#[test]
fn a_call_that_generates_nothing_adds_its_tokens_only() {
    let mut exchange = sample::embeddings();
    let expected = [
        "llm.tokens.prompt {model=embed upstream=main} 8",
        "llm.tokens.total {model=embed upstream=main token.type=prompt} 8",
    ];
    assert_eq!(samples(&exchange), expected);
    exchange.usage = crate::exchange::Usage::default();
    exchange.failure = sample::rate_limited().failure;
    assert!(samples(&exchange).is_empty());
}

#[test]
fn embeddings_have_the_attributes_that_their_wire_carries() {
    let expected = [
        "llm.model=embed",
        "llm.prompt.length=42",
        "llm.response.model=embed-1",
        "llm.response.usage.prompt_tokens=8",
        "llm.response.usage.total_tokens=8",
    ];
    assert_eq!(inference_lines(&Llm, &sample::embeddings()), expected);
}

#[test]
fn what_is_no_call_to_a_model_is_not_measured() {
    assert!(samples(&sample::plain()).is_empty());
}

#[test]
fn tools_of_a_fetched_response_were_counted_when_they_were_asked_for() {
    let mut exchange = sample::streamed();
    let calls = |exchange: &Exchange| {
        let lines = samples(exchange).into_iter();
        lines
            .filter(|line| line.starts_with("gen_ai.tool.calls"))
            .count()
    };
    assert_eq!(calls(&exchange), 1);
    exchange.operation = Some(Operation::FetchResponse);
    assert_eq!(calls(&exchange), 0);
}
