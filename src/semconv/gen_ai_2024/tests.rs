//! What the vocabulary says of whole exchanges, line by line.

use super::super::sample::{self, Recorded, inference_lines};
use super::*;

/// Attributes of every metric of the sample's call; shortened so that a line is read at a glance.
const BASE: &str = "gen_ai.operation.name=chat gen_ai.request.model=gpt-4o gen_ai.response.model=gpt-4o-2024-08-06 server.address=api.openai.com server.port=443 upstream=main model=gpt-4o gen_ai.system=openai";
const OAI: &str = "gen_ai.openai.response.service_tier=default";

#[test]
fn a_streamed_call_has_the_names_of_its_time_only() {
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
        "gen_ai.system=openai",
        "gen_ai.usage.prompt_tokens=12",
        "gen_ai.usage.completion_tokens=5",
        "gen_ai.openai.response.system_fingerprint=fp_1",
        "gen_ai.openai.request.seed=7",
        "gen_ai.openai.request.service_tier=flex",
        "gen_ai.openai.response.service_tier=default",
    ];
    assert_eq!(inference_lines(&GenAi2024, &sample::streamed()), expected);
}

#[test]
fn providers_are_called_as_they_were() {
    let mut exchange = sample::unary();
    for (now, then) in [
        ("azure.ai.openai", "az.ai.openai"),
        ("azure.ai.inference", "az.ai.inference"),
        ("gcp.vertex_ai", "vertex_ai"),
        ("gcp.gemini", "gemini"),
        ("x_ai", "xai"),
        ("vllm", "vllm"),
    ] {
        exchange.upstream.as_mut().unwrap().provider = Some(now.into());
        let lines = inference_lines(&GenAi2024, &exchange);
        assert!(lines.contains(&format!("gen_ai.system={then}")), "{now}");
    }
}

#[test]
fn a_streamed_call_gives_every_metric() {
    let lines = Recorded::lines(&GenAi2024, &sample::streamed()).into_iter();
    let lines: Vec<_> = lines
        .map(|line| line.replace(BASE, "BASE").replace(OAI, "OAI"))
        .collect();
    let expected = [
        "gen_ai.client.token.usage {BASE OAI gen_ai.token.type=input} 12",
        "gen_ai.client.token.usage {BASE OAI gen_ai.token.type=output} 5",
        "gen_ai.server.request.duration {BASE} 2.1",
        "gen_ai.client.operation.duration {BASE OAI} 2.099",
        "gen_ai.server.time_to_first_token {BASE} 0.05",
        "gen_ai.server.time_per_output_token {BASE} 0.5125",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn beside_a_newer_generation_a_shared_metric_has_the_attributes_of_both() {
    let exchange = sample::streamed();
    let mut recorded = Recorded::among(&exchange, &["gen_ai_2024", "gen_ai_2025"]);
    GenAi2024.samples(&exchange, &mut recorded);
    let (metric, labels, _) = &recorded.0[0];
    assert_eq!(*metric, "gen_ai.client.token.usage");
    for label in [
        "gen_ai.system=openai",
        "gen_ai.provider.name=openai",
        "gen_ai.openai.response.service_tier=default",
        "openai.response.service_tier=default",
    ] {
        assert!(labels.contains(label), "{label}");
    }
}
