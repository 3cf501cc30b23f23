//! What the vocabulary says of whole exchanges, line by line.

use super::super::sample::{self, Recorded, inference_lines};
use super::*;

/// Attributes of every metric of the sample's call, and those of an OpenAI answer; shortened so that a line is read at a glance.
const BASE: &str = "gen_ai.operation.name=chat gen_ai.provider.name=openai gen_ai.request.model=gpt-4o gen_ai.response.model=gpt-4o-2024-08-06 server.address=api.openai.com server.port=443 upstream=main model=gpt-4o";
const OAI: &str = "openai.response.service_tier=default";

fn samples(exchange: &Exchange) -> Vec<String> {
    let lines = Recorded::lines(&GenAi2025, exchange).into_iter();
    lines
        .map(|line| line.replace(BASE, "BASE").replace(OAI, "OAI"))
        .collect()
}

#[test]
fn a_unary_call_shares_the_unchanged_attributes() {
    let expected = [
        "gen_ai.operation.name=chat",
        "gen_ai.request.model=gpt-4o",
        "server.address=api.openai.com",
        "server.port=443",
        "gen_ai.request.temperature=0.0",
        "gen_ai.response.id=chatcmpl-1",
        "gen_ai.response.model=gpt-4o-2024-08-06",
        r#"gen_ai.response.finish_reasons=["stop"]"#,
        "gen_ai.usage.input_tokens=12",
        "gen_ai.usage.output_tokens=3",
        "gen_ai.provider.name=openai",
        "openai.api.type=chat_completions",
    ];
    assert_eq!(inference_lines(&GenAi2025, &sample::unary()), expected);
}

#[test]
fn a_streamed_call_gives_every_metric() {
    let expected = [
        "gen_ai.client.token.usage {BASE OAI gen_ai.token.type=input} 12",
        "gen_ai.client.token.usage {BASE OAI gen_ai.token.type=output} 5",
        "gen_ai.server.request.duration {BASE} 2.1",
        "gen_ai.client.operation.duration {BASE OAI} 2.099",
        "gen_ai.client.operation.time_to_first_chunk {BASE} 0.038",
        "gen_ai.client.operation.time_per_output_chunk {BASE} 0.015 x3",
        "gen_ai.client.operation.time_per_output_chunk {BASE} 2.0",
        "gen_ai.server.time_to_first_token {BASE} 0.05",
        "gen_ai.server.time_per_output_token {BASE} 0.5125",
    ];
    assert_eq!(samples(&sample::streamed()), expected);
}

#[test]
fn reasoning_that_was_not_shown_takes_no_time_per_token() {
    let mut exchange = sample::streamed();
    let time = |exchange: &Exchange| {
        let lines = samples(exchange).into_iter();
        let mut lines =
            lines.filter(|line| line.starts_with("gen_ai.server.time_per_output_token"));
        let line = lines.next().unwrap();
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    let (before, tokens) = (time(&exchange), exchange.usage.output_tokens.unwrap());
    exchange.times.first_reasoning = None;
    exchange.usage.output_tokens = Some(tokens + 1000);
    exchange.usage.reasoning_output_tokens = Some(1000);
    exchange.usage.total_tokens = None;
    assert_eq!(time(&exchange), before);
}

#[test]
fn a_unary_call_has_no_chunk_times() {
    let expected = [
        "gen_ai.client.token.usage {BASE gen_ai.token.type=input} 12",
        "gen_ai.client.token.usage {BASE gen_ai.token.type=output} 3",
        "gen_ai.server.request.duration {BASE} 0.09",
        "gen_ai.client.operation.duration {BASE} 0.089",
    ];
    assert_eq!(samples(&sample::unary()), expected);
}

#[test]
fn server_times_are_for_successful_responses_only() {
    let expected = [
        "gen_ai.server.request.duration {BASE} 2.1",
        "gen_ai.client.operation.duration {BASE OAI} 2.099",
        "gen_ai.client.operation.time_to_first_chunk {BASE} 0.038",
        "gen_ai.client.operation.time_per_output_chunk {BASE} 0.015 x3",
        "gen_ai.client.operation.time_per_output_chunk {BASE} 2.0",
    ];
    assert_eq!(samples(&sample::client_left()), expected);
}

#[test]
fn a_failed_call_has_durations_with_its_error() {
    let expected = [
        "gen_ai.server.request.duration {gen_ai.operation.name=chat gen_ai.provider.name=openai gen_ai.request.model=gpt-4o server.address=api.openai.com server.port=443 upstream=main model=gpt-4o error.type=rate_limit_exceeded} 0.09",
        "gen_ai.client.operation.duration {gen_ai.operation.name=chat gen_ai.provider.name=openai gen_ai.request.model=gpt-4o server.address=api.openai.com server.port=443 upstream=main model=gpt-4o error.type=rate_limit_exceeded} 0.089",
    ];
    assert_eq!(samples(&sample::rate_limited()), expected);
}

#[test]
fn a_call_that_is_no_inference_has_tokens_and_the_duration_of_an_operation() {
    let base = "gen_ai.operation.name=embeddings gen_ai.provider.name=openai gen_ai.request.model=embed gen_ai.response.model=embed-1 server.address=api.openai.com server.port=443 upstream=main model=embed";
    let expected = [
        format!("gen_ai.client.token.usage {{{base} gen_ai.token.type=input}} 8"),
        format!("gen_ai.client.operation.duration {{{base}}} 0.089"),
    ];
    assert_eq!(samples(&sample::embeddings()), expected);
}

#[test]
fn beside_the_newer_generation_only_renamed_keys_are_added() {
    let exchange = sample::streamed();
    let gen_ai = super::super::gen_ai::GenAi;
    let newer = inference_lines(&gen_ai, &exchange);
    let both = sample::attribute_lines(|span| {
        gen_ai.inference(&exchange, span);
        GenAi2025.inference(&exchange, span);
    });
    assert_eq!(
        both[newer.len()..],
        ["gen_ai.usage.cache_creation.input_tokens=4"]
    );
}
