//! What the vocabulary adds to the attributes that it shares.

use super::super::sample::{self, inference_lines};
use super::*;

#[test]
fn a_streamed_call_has_the_older_names_beside_the_shared_ones() {
    let exchange = sample::streamed();
    let shared = sample::attribute_lines(|span| gen_ai::shared(&exchange, span));
    let lines = inference_lines(&Traceloop, &exchange);
    let expected = [
        "gen_ai.system=openai",
        "gen_ai.usage.prompt_tokens=12",
        "gen_ai.usage.completion_tokens=5",
        "gen_ai.openai.response.system_fingerprint=fp_1",
        "llm.request.type=chat",
        "gen_ai.is_streaming=true",
        "llm.is_streaming=true",
        "gen_ai.request.reasoning_effort=low",
        "llm.frequency_penalty=0.1",
        "llm.presence_penalty=0.2",
        "llm.top_k=40",
        r#"llm.chat.stop_sequences=["END"]"#,
        "gen_ai.usage.total_tokens=17",
        "llm.usage.total_tokens=17",
        "gen_ai.usage.reasoning_tokens=0",
        "gen_ai.usage.cache_read_input_tokens=8",
        "gen_ai.usage.cache_creation_input_tokens=4",
        "gen_ai.usage.cache_creation.input_tokens=4",
    ];
    assert_eq!(lines[shared.len()..], expected);
}

#[test]
fn what_is_no_call_to_a_model_has_no_attributes() {
    assert!(inference_lines(&Traceloop, &sample::plain()).is_empty());
}
