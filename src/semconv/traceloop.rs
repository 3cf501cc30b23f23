//! OpenLLMetry's names for spans: `traceloop`.
//!
//! Follows traceloop/openllmetry at 93429cfb (package 0.62.1, conventions 0.5.2) as its dashboards read it: the GenAI
//! attributes of 2025, and beside them the older `llm.*` and `gen_ai.*` names that it still knows. Finish reasons are the
//! wire's own words, where OpenLLMetry makes `tool_call` of `tool_calls`. Its `llm.response.finish_reason` is
//! [`llm`](super::llm)'s and is left to it. It has no metrics here: those of its that a proxy can tell are
//! [`gen_ai_2025`](super::gen_ai_2025)'s.

use super::metric::{Metric, Record};
use super::{Attributes, Vocabulary, gen_ai, gen_ai_2024};
use crate::exchange::{Exchange, Operation, Request};

/// The vocabulary `traceloop`.
pub struct Traceloop;

impl Vocabulary for Traceloop {
    fn name(&self) -> &'static str {
        "traceloop"
    }

    fn metrics(&self) -> &'static [&'static Metric] {
        &[]
    }

    fn inference(&self, exchange: &Exchange, span: &mut Attributes<'_>) {
        let Some((operation, _)) = exchange.model_call() else {
            return;
        };
        gen_ai::shared(exchange, span);
        gen_ai_2024::renamed(exchange, span);
        span.put("llm.request.type", request_type(operation));
        put_request(&exchange.request, span);
        let usage = &exchange.usage;
        span.put_some("gen_ai.usage.total_tokens", usage.total_tokens);
        span.put_some("llm.usage.total_tokens", usage.total_tokens);
        span.put_some(
            "gen_ai.usage.reasoning_tokens",
            usage.reasoning_output_tokens,
        );
        span.put_some(
            "gen_ai.usage.cache_read_input_tokens",
            usage.cache_read_input_tokens,
        );
        let written = usage.cache_write_input_tokens;
        span.put_some("gen_ai.usage.cache_creation_input_tokens", written);
        span.put_once("gen_ai.usage.cache_creation.input_tokens", written);
    }

    fn samples(&self, _exchange: &Exchange, _record: &mut dyn Record) {}
}

fn put_request(request: &Request, span: &mut Attributes<'_>) {
    span.put_some("gen_ai.is_streaming", request.stream);
    span.put_some("llm.is_streaming", request.stream);
    span.put_some(
        "gen_ai.request.reasoning_effort",
        request.reasoning_level.as_deref(),
    );
    span.put_some("llm.frequency_penalty", request.frequency_penalty);
    span.put_some("llm.presence_penalty", request.presence_penalty);
    span.put_some("llm.top_k", request.top_k);
    let stop = request.stop_sequences.as_deref().map(gen_ai::texts);
    span.put_some("llm.chat.stop_sequences", stop.as_deref());
}

const fn request_type(operation: Operation) -> &'static str {
    match operation {
        Operation::ChatCompletions
        | Operation::Responses
        | Operation::FetchResponse
        | Operation::Messages
        | Operation::OllamaChat
        | Operation::Realtime => "chat",
        Operation::Completions | Operation::OllamaGenerate => "completion",
        Operation::Embeddings | Operation::OllamaEmbed => "embedding",
        Operation::Rerank | Operation::Score => "rerank",
        Operation::Images
        | Operation::Speech
        | Operation::Transcription
        | Operation::Translation
        | Operation::Moderation
        | Operation::Tokenize
        | Operation::Retrieval => "unknown",
    }
}

#[cfg(test)]
mod tests;
