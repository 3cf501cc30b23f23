//! What the vocabulary says of whole exchanges, line by line.

use super::super::sample::{self, Recorded, inference_lines};
use super::*;
use crate::exchange::Operation;

/// Attributes of every metric of the sample's call, and those of an OpenAI answer; shortened so that a line is read at a glance.
const BASE: &str = "gen_ai.operation.name=chat gen_ai.provider.name=openai gen_ai.request.model=gpt-4o gen_ai.response.model=gpt-4o-2024-08-06 server.address=api.openai.com server.port=443 upstream=main model=gpt-4o";
const OAI: &str = "openai.response.service_tier=default";

fn samples(exchange: &Exchange) -> Vec<String> {
    let lines = Recorded::lines(&GenAi, exchange).into_iter();
    lines
        .map(|line| line.replace(BASE, "BASE").replace(OAI, "OAI"))
        .collect()
}

#[test]
fn a_streamed_call_has_every_attribute() {
    let expected = [
        "gen_ai.operation.name=chat",
        "gen_ai.request.model=gpt-4o",
        "server.address=api.openai.com",
        "server.port=443",
        "gen_ai.request.max_tokens=256",
        "gen_ai.request.choice.count=2",
        "gen_ai.request.temperature=0.5",
        "gen_ai.request.top_p=0.9",
        "gen_ai.request.top_k=40",
        "gen_ai.request.frequency_penalty=0.1",
        "gen_ai.request.presence_penalty=0.2",
        r#"gen_ai.request.stop_sequences=["END"]"#,
        "gen_ai.request.seed=7",
        "gen_ai.output.type=json",
        "gen_ai.response.id=chatcmpl-1",
        "gen_ai.response.model=gpt-4o-2024-08-06",
        r#"gen_ai.response.finish_reasons=["tool_calls", "error"]"#,
        "gen_ai.usage.input_tokens=12",
        "gen_ai.usage.output_tokens=5",
        "gen_ai.provider.name=openai",
        "gen_ai.request.stream=true",
        "openai.api.type=chat_completions",
        "openai.request.service_tier=flex",
        "openai.response.service_tier=default",
        "openai.response.system_fingerprint=fp_1",
        "gen_ai.response.time_to_first_chunk=0.038",
        "gen_ai.usage.cache_read.input_tokens=8",
        "gen_ai.usage.reasoning.output_tokens=0",
        "gen_ai.request.reasoning.level=low",
        "gen_ai.usage.cache_write.input_tokens=4",
        "gen_ai.usage.audio.input_tokens=2",
    ];
    assert_eq!(inference_lines(&GenAi, &sample::streamed()), expected);
}

#[test]
fn a_unary_call_says_only_what_the_wire_said() {
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
    assert_eq!(inference_lines(&GenAi, &sample::unary()), expected);
}

#[test]
fn a_client_that_left_is_no_error() {
    let expected = [
        "gen_ai.operation.name=chat",
        "gen_ai.request.model=gpt-4o",
        "server.address=api.openai.com",
        "server.port=443",
        "gen_ai.request.max_tokens=256",
        "gen_ai.request.choice.count=2",
        "gen_ai.request.temperature=0.5",
        "gen_ai.request.top_p=0.9",
        "gen_ai.request.top_k=40",
        "gen_ai.request.frequency_penalty=0.1",
        "gen_ai.request.presence_penalty=0.2",
        r#"gen_ai.request.stop_sequences=["END"]"#,
        "gen_ai.request.seed=7",
        "gen_ai.output.type=json",
        "gen_ai.response.id=chatcmpl-1",
        "gen_ai.response.model=gpt-4o-2024-08-06",
        r#"gen_ai.response.finish_reasons=["error", "error"]"#,
        "gen_ai.provider.name=openai",
        "gen_ai.request.stream=true",
        "openai.api.type=chat_completions",
        "openai.request.service_tier=flex",
        "openai.response.service_tier=default",
        "openai.response.system_fingerprint=fp_1",
        "gen_ai.response.time_to_first_chunk=0.038",
        "gen_ai.request.reasoning.level=low",
    ];
    assert_eq!(inference_lines(&GenAi, &sample::client_left()), expected);
}

#[test]
fn an_http_error_has_a_type_and_no_finish_reasons() {
    let expected = [
        "gen_ai.operation.name=chat",
        "gen_ai.request.model=gpt-4o",
        "server.address=api.openai.com",
        "server.port=443",
        "gen_ai.request.temperature=0.0",
        "error.type=rate_limit_exceeded",
        "gen_ai.provider.name=openai",
        "openai.api.type=chat_completions",
    ];
    assert_eq!(inference_lines(&GenAi, &sample::rate_limited()), expected);
}

#[test]
fn a_streamed_call_gives_every_metric() {
    let expected = [
        "gen_ai.client.inference.duration {BASE OAI} 2.099",
        "gen_ai.client.inference.time_to_first_chunk {BASE} 0.038",
        "gen_ai.client.inference.time_per_output_chunk {BASE} 0.015 x3",
        "gen_ai.client.inference.time_per_output_chunk {BASE} 2.0",
        "gen_ai.client.inference.usage.input_tokens {BASE OAI gen_ai.token.modality=audio} 2",
        "gen_ai.client.inference.usage.input_tokens {BASE OAI gen_ai.token.modality=unknown} 10",
        "gen_ai.client.inference.usage.output_tokens {BASE OAI gen_ai.token.modality=unknown} 5",
        "gen_ai.client.inference.usage.cache_read.input_tokens {BASE OAI gen_ai.token.modality=unknown} 8",
        "gen_ai.client.inference.usage.cache_write.input_tokens {BASE OAI gen_ai.token.modality=unknown} 4",
        "gen_ai.client.inference.usage.reasoning.output_tokens {BASE OAI gen_ai.token.modality=unknown} 0",
        "gen_ai.client.inference.operation.input_tokens {BASE OAI} 12",
        "gen_ai.client.inference.operation.output_tokens {BASE OAI} 5",
    ];
    assert_eq!(samples(&sample::streamed()), expected);
}

#[test]
fn a_unary_call_has_no_chunk_times() {
    let expected = [
        "gen_ai.client.inference.duration {BASE} 0.089",
        "gen_ai.client.inference.usage.input_tokens {BASE gen_ai.token.modality=unknown} 12",
        "gen_ai.client.inference.usage.output_tokens {BASE gen_ai.token.modality=unknown} 3",
        "gen_ai.client.inference.operation.input_tokens {BASE} 12",
        "gen_ai.client.inference.operation.output_tokens {BASE} 3",
    ];
    assert_eq!(samples(&sample::unary()), expected);
}

#[test]
fn without_usage_there_are_no_token_metrics() {
    let expected = [
        "gen_ai.client.inference.duration {BASE OAI} 2.099",
        "gen_ai.client.inference.time_to_first_chunk {BASE} 0.038",
        "gen_ai.client.inference.time_per_output_chunk {BASE} 0.015 x3",
        "gen_ai.client.inference.time_per_output_chunk {BASE} 2.0",
    ];
    assert_eq!(samples(&sample::client_left()), expected);
}

#[test]
fn a_failed_call_has_a_duration_with_its_error() {
    let expected = [
        "gen_ai.client.inference.duration {gen_ai.operation.name=chat gen_ai.provider.name=openai gen_ai.request.model=gpt-4o server.address=api.openai.com server.port=443 upstream=main model=gpt-4o error.type=rate_limit_exceeded} 0.089",
    ];
    assert_eq!(samples(&sample::rate_limited()), expected);
}

#[test]
fn embeddings_have_attributes_of_their_own() {
    let expected = [
        "gen_ai.operation.name=embeddings",
        "gen_ai.request.model=embed",
        "server.address=api.openai.com",
        "server.port=443",
        r#"gen_ai.request.encoding_formats=["base64"]"#,
        "gen_ai.response.model=embed-1",
        "gen_ai.usage.input_tokens=8",
        "gen_ai.provider.name=openai",
        "gen_ai.embeddings.dimension.count=256",
    ];
    assert_eq!(inference_lines(&GenAi, &sample::embeddings()), expected);
}

#[test]
fn embeddings_have_metrics_of_their_own() {
    let base = "gen_ai.operation.name=embeddings gen_ai.provider.name=openai gen_ai.request.model=embed gen_ai.response.model=embed-1 server.address=api.openai.com server.port=443 upstream=main model=embed";
    let duration = "gen_ai.client.embeddings.duration";
    let mut exchange = sample::embeddings();
    // The conventions have no labels of OpenAI's for these.
    exchange.response.system_fingerprint = Some("fp_1".into());
    let expected = [
        format!("{duration} {{{base}}} 0.089"),
        format!("gen_ai.client.embeddings.operation.input_tokens {{{base}}} 8"),
    ];
    assert_eq!(samples(&exchange), expected);
    exchange.operation = Some(Operation::OllamaEmbed);
    exchange.usage = Usage::default();
    exchange.failure = sample::rate_limited().failure;
    let expected = [format!(
        "{duration} {{{base} error.type=rate_limit_exceeded}} 0.089"
    )];
    assert_eq!(samples(&exchange), expected);
}

#[test]
fn another_call_that_is_no_inference_has_the_duration_of_an_operation_only() {
    let base = "gen_ai.operation.name=rerank gen_ai.provider.name=openai gen_ai.request.model=embed gen_ai.response.model=embed-1 server.address=api.openai.com server.port=443 upstream=main model=embed";
    let expected = [format!("gen_ai.client.operation.duration {{{base}}} 0.089")];
    let mut exchange = sample::embeddings();
    exchange.operation = Some(Operation::Rerank);
    assert_eq!(samples(&exchange), expected);
}

#[test]
fn cached_tokens_are_told_apart_by_modality_where_the_provider_does_so() {
    let mut exchange = sample::unary();
    exchange.usage.cache_read_input_tokens = Some(9);
    exchange.usage.text_cache_read_input_tokens = Some(5);
    exchange.usage.image_cache_read_input_tokens = Some(0);
    exchange.usage.audio_cache_read_input_tokens = Some(3);
    let said = inference_lines(&GenAi, &exchange).into_iter();
    let said: Vec<_> = said.filter(|line| line.contains("cache_read")).collect();
    let expected = [
        "gen_ai.usage.cache_read.input_tokens=9",
        "gen_ai.usage.text.cache_read.input_tokens=5",
        "gen_ai.usage.image.cache_read.input_tokens=0",
        "gen_ai.usage.audio.cache_read.input_tokens=3",
    ];
    assert_eq!(said, expected);
    let counted = samples(&exchange).into_iter();
    let counted: Vec<_> = counted.filter(|line| line.contains("cache_read")).collect();
    let name = "gen_ai.client.inference.usage.cache_read.input_tokens";
    let by = |modality, count| format!("{name} {{BASE gen_ai.token.modality={modality}}} {count}");
    let expected = [by("text", 5), by("audio", 3), by("unknown", 1)];
    assert_eq!(counted, expected);
}

#[test]
fn what_is_no_call_to_a_model_is_not_measured() {
    assert!(samples(&sample::plain()).is_empty());
}

#[test]
fn openai_labels_are_for_the_provider_openai() {
    let mut exchange = sample::streamed();
    if let Some(upstream) = &mut exchange.upstream {
        upstream.provider = Some("vllm".into());
    }
    assert!(
        samples(&exchange)
            .iter()
            .all(|line| !line.contains("openai.response"))
    );
    assert!(
        inference_lines(&GenAi, &exchange)
            .contains(&"openai.response.system_fingerprint=fp_1".to_owned())
    );
}

#[test]
fn a_full_breakdown_by_modality_leaves_no_unknown_rest() {
    let mut exchange = sample::unary();
    exchange.usage.text_input_tokens = Some(7);
    exchange.usage.audio_input_tokens = Some(5);
    let input: Vec<_> = samples(&exchange)
        .into_iter()
        .filter(|line| line.contains("usage.input_tokens"))
        .collect();
    let name = "gen_ai.client.inference.usage.input_tokens";
    assert_eq!(
        input,
        [
            format!("{name} {{BASE gen_ai.token.modality=text}} 7"),
            format!("{name} {{BASE gen_ai.token.modality=audio}} 5"),
        ]
    );
}

#[test]
fn a_breakdown_beyond_the_total_is_not_believed() {
    let mut exchange = sample::unary();
    exchange.usage.audio_input_tokens = Some(13);
    let input: Vec<_> = samples(&exchange)
        .into_iter()
        .filter(|line| line.contains("usage.input_tokens"))
        .collect();
    assert_eq!(
        input,
        ["gen_ai.client.inference.usage.input_tokens {BASE gen_ai.token.modality=unknown} 12"]
    );
}

#[test]
fn what_the_provider_keeps_is_named_by_its_ids() {
    let mut exchange = sample::unary();
    exchange.operation = Some(Operation::FetchResponse);
    exchange.request = Request {
        conversation_id: Some("conv_1".into()),
        previous_response_id: Some("resp_0".into()),
        compacted: true,
        prompt_name: Some("pmpt_1".into()),
        prompt_version: Some("2".into()),
        stream_cursor: Some("42".into()),
        ..Request::default()
    };
    exchange.response.status = Some("in_progress".into());
    let lines = inference_lines(&GenAi, &exchange);
    for line in [
        "gen_ai.operation.name=fetch_response",
        "gen_ai.conversation.compacted=true",
        "gen_ai.conversation.id=conv_1",
        "gen_ai.prompt.name=pmpt_1",
        "gen_ai.prompt.version=2",
        "gen_ai.request.previous_response.id=resp_0",
        "gen_ai.request.stream_cursor=42",
        "gen_ai.response.status=in_progress",
    ] {
        assert!(
            lines.iter().any(|said| said == line),
            "{line} in {lines:#?}"
        );
    }
    exchange.response.conversation_id = Some("conv_2".into());
    let lines = inference_lines(&GenAi, &exchange);
    assert!(lines.contains(&"gen_ai.conversation.id=conv_2".to_owned()));
}

#[test]
fn a_response_has_a_status_where_it_may_not_be_over() {
    let mut exchange = sample::unary();
    exchange.operation = Some(Operation::Responses);
    let status = |exchange: &Exchange| {
        let lines = inference_lines(&GenAi, exchange);
        lines.into_iter().find(|line| line.contains("status"))
    };
    exchange.response.status = Some("completed".into());
    assert_eq!(status(&exchange), None);
    exchange.response.status = Some("queued".into());
    let queued = Some("gen_ai.response.status=queued".to_owned());
    assert_eq!(status(&exchange), queued);
}
