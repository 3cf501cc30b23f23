//! Wire APIs: bytes in, facts out.
//!
//! A dialect reads a request body and the events or the body of its response and writes what it finds into an
//! [`Exchange`](crate::exchange::Exchange)'s parts. It is pure: no clock, no socket, no task, no log. Nothing it reads
//! can fail an exchange: what it cannot make sense of it counts in [`Problems`], and reads on.

use std::ops::BitOrAssign;

use crate::exchange::{Call, Problems, Quirks, Request, Response, Unknowns, Usage};
use crate::sse;

mod anthropic_messages;
mod audio_speech;
mod audio_transcription;
mod countable;
mod form;
mod framing_quirks;
pub mod headers;
mod images;
mod member;
mod ollama;
mod openai;
mod openai_chat;
mod openai_completions;
mod openai_embeddings;
mod openai_moderations;
mod openai_responses;
mod openai_retrieval;
mod parameters;
mod path;
mod realtime;
mod rerank;
mod score;
mod server_times;
mod session;
mod shape;
mod tokenize;
mod typed;
mod unknown;

pub use countable::{Generated, Prompt, TEXT_MAX};
pub use form::Form;
pub use framing_quirks::framing_quirks;
pub use path::{deployment, vector_store};
pub use session::{Session, SessionDialect, Step, Turn, for_session};
pub use shape::path_of_response;

/// Every dialect; the first that matches takes a request.
static DIALECTS: [&dyn Dialect; 23] = [
    &openai_chat::OpenAiChat,
    &openai_completions::OpenAiCompletions,
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
];

/// The dialect a request belongs to; `None` where only HTTP is known. `path` is without query.
#[must_use]
pub fn for_request(method: &str, path: &str) -> Option<&'static dyn Dialect> {
    let known = DIALECTS
        .iter()
        .find(|dialect| dialect.matches(method, path));
    known.copied()
}

/// One wire API.
pub trait Dialect: Send + Sync {
    /// The call it speaks for.
    fn call(&self) -> Call;

    /// Low-cardinality path template, for `http.route`.
    fn route(&self) -> &'static str;

    /// Whether a request belongs to it. `path` is without query; paths are recognised by their tail.
    fn matches(&self, method: &str, path: &str) -> bool;

    /// Reads the request's query, where an API asks for something there.
    fn query(&self, _query: &str, _request: &mut Request) {}

    /// Reads a whole, decoded request body.
    fn request(&self, body: &[u8], request: &mut Request, problems: &mut Problems);

    /// Fields that it reads of a request that is a form (`multipart/form-data`). Whatever else a form holds, files above
    /// all, is passed over.
    fn form_fields(&self) -> &'static [&'static str] {
        &[]
    }

    /// Reads a request that was a form, of which only those fields were kept.
    fn form(&self, _form: &Form, _request: &mut Request, _problems: &mut Problems) {}

    /// How a response is framed that comes piece by piece.
    fn framing(&self) -> Framing {
        Framing::Events
    }

    /// A reader for one response.
    fn reader(&self) -> Box<dyn Reader>;

    /// Whether its readers put what a model generated into [`Facts::generated`], so that its tokens can be counted.
    fn is_countable(&self) -> bool {
        false
    }

    /// What a whole, decoded request body gives the model to read; `None` where its tokens cannot be counted.
    fn prompt(&self, _body: &[u8]) -> Option<Prompt> {
        None
    }

    /// Mends facts that only request and response together can tell right. Called once, when the response is over.
    fn settle(&self, _request: &Request, _response: &mut Response) {}
}

/// How a response is framed that comes piece by piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events, whatever the content type says; a body that does not begin as such is read whole.
    Events,
    /// One JSON value on each line; a body of one line may be an answer that was no stream, so a line counts as an event
    /// of a stream only once the reader has said that it is one. An error is read whole.
    Lines,
    /// Bytes that say nothing but that something was generated, such as sound. What turns out to be a stream of events is
    /// read as one, and an error is read whole.
    Raw,
}

/// Where a reader writes what it finds.
#[derive(Debug, Default)]
pub struct Facts {
    /// What the response said.
    pub response: Response,
    /// Token counts.
    pub usage: Usage,
    /// What could not be read.
    pub problems: Problems,
    /// The text that was generated, where it is gathered.
    pub generated: Generated,
    /// Where the upstream departed from the reference.
    pub quirks: Quirks,
    /// What came that is not known.
    pub unknown: Unknowns,
}

/// Reads one response: the events of a stream, or a whole body.
pub trait Reader: Send {
    /// Reads one SSE event, its name (empty where it has none) and its data; or one line, which has no name.
    /// Says which kinds of generated output it carried.
    fn event(&mut self, name: &[u8], data: &[u8], facts: &mut Facts) -> Output;

    /// Whether it reads what lies in the lists of a whole answer. Where it does not they reach it empty, so that an answer
    /// may be far larger than what is held of it.
    fn reads_lists(&self) -> bool {
        true
    }

    /// Reads a whole, decoded body that was no stream; `status` tells an answer from an error.
    fn body(&mut self, status: u16, body: &[u8], facts: &mut Facts) -> Output;
}

/// Reads a stream that came as a whole body, event by event.
fn read_events(
    stream: &[u8],
    facts: &mut Facts,
    mut read: impl FnMut(&[u8], &[u8], &mut Facts) -> Output,
) -> Output {
    let mut output = Output::default();
    let mut parser = sse::Parser::new(stream.len());
    let mut each = |event: sse::Event<'_>| output |= read(event.name, event.data, facts);
    parser.push(stream, &mut each);
    parser.finish(&mut each);
    facts.quirks |= framing_quirks(parser.oddities());
    output
}

/// The kinds of generated output in one event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Output {
    /// Answer text.
    pub content: bool,
    /// Reasoning text.
    pub reasoning: bool,
    /// A tool call, or a fragment of one.
    pub tool_call: bool,
    /// Sound.
    pub audio: bool,
    /// Refusal text, or anything else a model generated.
    pub other: bool,
}

impl Output {
    /// Whether the event carried generated output of any kind.
    #[must_use]
    pub const fn any(self) -> bool {
        self.content || self.reasoning || self.tool_call || self.audio || self.other
    }
}

impl BitOrAssign for Output {
    fn bitor_assign(&mut self, other: Self) {
        self.content |= other.content;
        self.reasoning |= other.reasoning;
        self.tool_call |= other.tool_call;
        self.audio |= other.audio;
        self.other |= other.other;
    }
}

#[cfg(test)]
mod tests;
