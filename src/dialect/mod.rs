//! Wire APIs: bytes in, facts out.
//!
//! A dialect reads a request body and the events or the body of its response and writes what it finds into an
//! [`Exchange`](crate::exchange::Exchange)'s parts. It is pure: no clock, no socket, no task, no log. Nothing it reads
//! can fail an exchange: what it cannot make sense of it counts in [`Problems`](crate::exchange::Problems), and reads on.
//!
//! Here are the tables of all of them. `contract` and `session` say what a dialect is, `kit` has what they share,
//! `part` what they show of a conversation, and `fold` what is made of it.

mod anthropic_messages;
mod audio_speech;
mod audio_transcription;
mod contract;
mod counts;
mod fold;
pub mod headers;
mod images;
mod invocations;
mod kit;
mod ollama;
mod openai;
mod openai_embeddings;
mod openai_moderations;
mod openai_responses;
mod openai_retrieval;
mod part;
pub mod provider;
mod realtime;
mod rerank;
mod score;
mod session;
mod shape;
mod tokenize;
mod vllm_generate;

pub use contract::{Asked, Dialect, Facts, Framing, Output, Reader};
pub use counts::TOKENS_MAX;
pub use fold::{
    AnswerContent, AnswerFolds, PromptContent, PromptFolds, PromptHistory, PromptLength,
    PromptTokens, Said, TEXT_MAX, Texts, history,
};
pub use kit::events::framing_quirks;
pub use kit::path::{deployment, vector_store};
pub use part::{
    Binary, CallPart, Medium, Message, Part, Place, PromptKind, Role, Source, Tools, Visitor, Words,
};
pub use session::{Session, SessionDialect, Step, Turn};
pub use shape::path_of_response;

use crate::exchange::{Request, Usage};
use crate::parse::json;

/// Every dialect; the first that matches takes a request.
static DIALECTS: [&dyn Dialect; 26] = [
    &openai::chat::OpenAiChat,
    &openai::chat::OpenAiChatBatch,
    &openai::completions::OpenAiCompletions,
    &openai_embeddings::OpenAiEmbeddings,
    &openai_moderations::OpenAiModerations,
    &openai_retrieval::OpenAiRetrieval,
    &rerank::Rerank,
    &score::Score,
    &tokenize::TOKENIZE,
    &tokenize::DETOKENIZE,
    &ollama::CHAT,
    &ollama::GENERATE,
    &ollama::EMBED,
    &ollama::EMBEDDINGS,
    &images::GENERATIONS,
    &images::EDITS,
    &images::VARIATIONS,
    &audio_speech::AudioSpeech,
    &audio_transcription::TRANSCRIPTIONS,
    &audio_transcription::TRANSLATIONS,
    &openai_responses::OpenAiResponses::Create,
    &openai_responses::OpenAiResponses::Fetch,
    &openai_responses::OpenAiResponses::Cancel,
    &anthropic_messages::AnthropicMessages,
    &vllm_generate::VllmGenerate,
    &invocations::Invocations,
];

/// The dialect a request belongs to; `None` where only HTTP is known. `path` is without query.
#[must_use]
pub fn for_request(method: &str, path: &str) -> Option<&'static dyn Dialect> {
    let known = DIALECTS
        .iter()
        .find(|dialect| dialect.matches(method, path));
    known.copied()
}

/// Reads a usage object by itself, as a response of any API has it. What is no object, or counts nothing, is empty.
#[must_use]
pub fn read_usage(object: &str) -> Usage {
    let mut facts = Facts::default();
    if let Ok(object) = json::parse(object.as_bytes()) {
        kit::usage::read(object, &mut facts);
    }
    facts.settle(&Request::default());
    facts.usage
}

/// Every dialect of sessions; the first that matches takes a request.
static SESSIONS: [&dyn SessionDialect; 2] = [&realtime::REALTIME, &realtime::RESPONSES];

/// The dialect of the session that a request opens, if its connection changes to WebSocket; `None` where none is known.
/// `path` is without query.
#[must_use]
pub fn for_session(method: &str, path: &str) -> Option<&'static dyn SessionDialect> {
    let mut known = SESSIONS.into_iter();
    known.find(|dialect| dialect.matches(method, path))
}

#[cfg(test)]
mod tests;
