//! What the conventions call each kind of call.
//!
//! `chat`, `text_completion`, `embeddings`, `retrieval` and `fetch_response` are values of the conventions. They know none
//! for the rest; those are the values that open-telemetry/semantic-conventions-genai leaves to be chosen, and the ones
//! other gateways use.

use crate::exchange::Operation;

/// `gen_ai.operation.name` of a call.
#[must_use]
pub const fn name(operation: Operation) -> &'static str {
    match operation {
        Operation::ChatCompletions
        | Operation::Responses
        | Operation::Messages
        | Operation::OllamaChat
        | Operation::Realtime => "chat",
        Operation::Completions | Operation::OllamaGenerate => "text_completion",
        Operation::FetchResponse => "fetch_response",
        Operation::Embeddings | Operation::OllamaEmbed => "embeddings",
        Operation::Retrieval => "retrieval",
        Operation::Images => "image_generation",
        Operation::Speech => "speech",
        Operation::Transcription => "transcription",
        Operation::Translation => "translation",
        Operation::Moderation => "moderation",
        Operation::Rerank => "rerank",
        Operation::Score => "score",
        Operation::Tokenize => "tokenize",
    }
}

/// `openai.api.type` of a call; `None` for APIs that it has no value for.
#[must_use]
pub const fn openai_api_type(operation: Operation) -> Option<&'static str> {
    match operation {
        Operation::ChatCompletions => Some("chat_completions"),
        Operation::Responses | Operation::FetchResponse => Some("responses"),
        _ => None,
    }
}
