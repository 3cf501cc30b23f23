//! OpenInference's names for spans, which Phoenix and Arize read: `openinference`.
//!
//! Follows Arize-ai/openinference, `spec/`, at 1fe497f1 (2026-08-21). A span of its kind `EMBEDDING`, `RERANKER` or
//! `RETRIEVER` has few attributes beyond the model, as the specification asks; what its kinds do not provide for is `LLM`
//! where a model generates and `CHAIN` where none does. Messages are there where the content
//! policy has them in attributes. It has no metrics.

mod content;

use rust_decimal::prelude::ToPrimitive as _;
use serde_json::{Map, Value as Json};

use super::metric::{Metric, Record};
use super::{Attributes, Vocabulary};
use crate::exchange::{Exchange, Operation, Price, Request, Usage};

const SPAN_KIND: &str = "openinference.span.kind";

/// The vocabulary `openinference`.
pub struct OpenInference;

impl Vocabulary for OpenInference {
    fn name(&self) -> &'static str {
        "openinference"
    }

    fn metrics(&self) -> &'static [&'static Metric] {
        &[]
    }

    /// Without a kind the span above a call would be shown as one that nobody knows.
    fn server(&self, exchange: &Exchange, span: &mut Attributes<'_>) {
        if exchange.model_call().is_some() {
            span.put(SPAN_KIND, "CHAIN");
        }
    }

    fn inference(&self, exchange: &Exchange, span: &mut Attributes<'_>) {
        let Some((operation, upstream)) = exchange.model_call() else {
            return;
        };
        let kind = span_kind(operation);
        span.put(SPAN_KIND, kind);
        let (request, response) = (&exchange.request, &exchange.response);
        let (asked, answered) = (request.model.as_deref(), response.model.as_deref());
        match kind {
            "LLM" => {
                span.put("llm.provider", provider(super::provider::name(upstream)));
                span.put("llm.system", system(operation));
                span.put_some("llm.model_name", answered.or(asked));
                span.put_some("llm.request.model_name", asked);
                span.put_some("llm.response.model_name", answered);
                span.put_some("llm.invocation_parameters", parameters(request));
                span.put_some("llm.finish_reason", exchange.finish_reasons().next());
            }
            "EMBEDDING" => {
                span.put_some("embedding.model_name", answered.or(asked));
                span.put_some("embedding.invocation_parameters", parameters(request));
            }
            "RERANKER" => span.put_some("reranker.model_name", answered.or(asked)),
            _ => {}
        }
        span.put_some("session.id", exchange.conversation_id());
        if let Some(cost) = exchange.price.as_ref().and_then(Price::reported) {
            span.put_some("llm.cost.prompt", cost.input.to_f64());
            span.put_some("llm.cost.completion", cost.output.to_f64());
            span.put_some("llm.cost.total", cost.total.to_f64());
        }
        put_usage(&exchange.usage, span);
        content::put(exchange, span);
    }

    fn samples(&self, _exchange: &Exchange, _record: &mut dyn Record) {}
}

fn put_usage(usage: &Usage, span: &mut Attributes<'_>) {
    for (key, count) in [
        ("llm.token_count.prompt", usage.input_tokens),
        ("llm.token_count.completion", usage.output_tokens),
        ("llm.token_count.total", usage.total_tokens),
        (
            "llm.token_count.prompt_details.cache_read",
            usage.cache_read_input_tokens,
        ),
        (
            "llm.token_count.prompt_details.cache_write",
            usage.cache_write_input_tokens,
        ),
        (
            "llm.token_count.prompt_details.audio",
            usage.audio_input_tokens,
        ),
        (
            "llm.token_count.completion_details.reasoning",
            usage.reasoning_output_tokens,
        ),
        (
            "llm.token_count.completion_details.audio",
            usage.audio_output_tokens,
        ),
    ] {
        span.put_some(key, count);
    }
}

const fn span_kind(operation: Operation) -> &'static str {
    match operation {
        Operation::Embeddings | Operation::OllamaEmbed => "EMBEDDING",
        Operation::Rerank | Operation::Score => "RERANKER",
        Operation::Retrieval => "RETRIEVER",
        Operation::Moderation => "GUARDRAIL",
        Operation::Tokenize => "CHAIN",
        Operation::ChatCompletions
        | Operation::Completions
        | Operation::Responses
        | Operation::FetchResponse
        | Operation::Messages
        | Operation::OllamaChat
        | Operation::OllamaGenerate
        | Operation::Realtime
        | Operation::Images
        | Operation::Speech
        | Operation::Transcription
        | Operation::Translation => "LLM",
    }
}

/// Who runs the model: `llm.provider`.
fn provider(provider: &str) -> &str {
    match provider {
        "azure.ai.openai" | "azure.ai.inference" => "azure",
        "aws.bedrock" => "aws",
        "mistral_ai" => "mistralai",
        "x_ai" => "xai",
        google if google.starts_with("gcp.") => "google",
        same => same,
    }
}

/// Whose language is spoken: `llm.system`, which is how the instrumentations of SDKs have it.
const fn system(operation: Operation) -> &'static str {
    match operation {
        Operation::Messages => "anthropic",
        Operation::OllamaChat | Operation::OllamaGenerate => "ollama",
        _ => "openai",
    }
}

/// What the request asked for, as the JSON object of its members that are kept; `None` where there is none.
fn parameters(request: &Request) -> Option<String> {
    let text = |text: &Option<String>| text.as_deref().map(Json::from);
    let members = [
        ("model", text(&request.model)),
        ("stream", request.stream.map(Json::from)),
        ("max_tokens", request.max_tokens.map(Json::from)),
        ("n", request.choice_count.map(Json::from)),
        ("temperature", request.temperature.map(Json::from)),
        ("top_p", request.top_p.map(Json::from)),
        ("top_k", request.top_k.map(Json::from)),
        (
            "frequency_penalty",
            request.frequency_penalty.map(Json::from),
        ),
        ("presence_penalty", request.presence_penalty.map(Json::from)),
        ("stop", request.stop_sequences.clone().map(Json::from)),
        ("seed", request.seed.map(Json::from)),
        ("reasoning_effort", text(&request.reasoning_level)),
        ("service_tier", text(&request.service_tier)),
        ("dimensions", request.dimensions.map(Json::from)),
        ("encoding_format", text(&request.encoding_format)),
    ];
    let members = members.into_iter();
    let known: Map<String, Json> = members
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect();
    (!known.is_empty()).then(|| Json::from(known).to_string())
}

#[cfg(test)]
mod tests;
