//! What the conventions call each kind of call.
//!
//! `chat`, `text_completion`, `embeddings`, `retrieval` and `fetch_response` are values of the conventions. They know none
//! for the rest; those are the values that open-telemetry/semantic-conventions-genai leaves to be chosen, and the ones
//! other gateways use.

use crate::exchange::Call;

/// `gen_ai.operation.name` of a call.
#[must_use]
pub const fn name(call: Call) -> &'static str {
    match call {
        Call::ChatCompletions
        | Call::Responses
        | Call::Messages
        | Call::OllamaChat
        | Call::Realtime => "chat",
        Call::Completions | Call::OllamaGenerate => "text_completion",
        Call::FetchResponse => "fetch_response",
        Call::Embeddings | Call::OllamaEmbed => "embeddings",
        Call::Retrieval => "retrieval",
        Call::Images => "image_generation",
        Call::Speech => "speech",
        Call::Transcription => "transcription",
        Call::Translation => "translation",
        Call::Moderation => "moderation",
        Call::Rerank => "rerank",
        Call::Score => "score",
        Call::Tokenize => "tokenize",
    }
}

/// `openai.api.type` of a call; `None` for APIs that it has no value for.
#[must_use]
pub const fn openai_api_type(call: Call) -> Option<&'static str> {
    match call {
        Call::ChatCompletions => Some("chat_completions"),
        Call::Responses | Call::FetchResponse => Some("responses"),
        _ => None,
    }
}
