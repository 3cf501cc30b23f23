//! What every dialect is to the rest of the house: how it reads a request and a response, and the facts it fills.

use std::ops::BitOrAssign;
use std::time::Duration;

use super::counts::Counts;
use super::fold::AnswerFolds;
use super::part::{Part, Place, Visitor, Words};
use crate::exchange::{Operation, Problems, Quirks, Request, Response, Unknowns, Usage};
use crate::parse::json::{self, Kind};
use crate::parse::multipart::Form;

/// One wire API.
pub trait Dialect: Send + Sync {
    /// The call it speaks for.
    fn operation(&self) -> Operation;

    /// Low-cardinality path template, for `http.route`.
    fn route(&self) -> &'static str;

    /// Whether a request belongs to it. `path` is without query; paths are recognised by their tail.
    fn matches(&self, method: &str, path: &str) -> bool;

    /// Reads the request's query, where an API asks for something there.
    fn query(&self, _query: &str, _request: &mut Request) {}

    /// Reads a whole, decoded request body, and shows what it gives the model to read.
    fn request(
        &self,
        body: &[u8],
        request: &mut Request,
        problems: &mut Problems,
        prompt: &mut dyn Visitor,
    );

    /// Whether what a request is of is told by its body only, and its path is no API's own.
    fn is_told_by_body(&self) -> bool {
        false
    }

    /// What a decoded body is a request of: others use the same paths for something else. It is asked for a body in which
    /// neither a model nor a prompt was found, or that [tells all](Self::is_told_by_body).
    fn asked(&self, body: &[u8]) -> Asked {
        if is_json_rpc(body) {
            Asked::Nothing
        } else {
            Asked::This
        }
    }

    /// Fields that it reads of a request that is a form (`multipart/form-data`). Whatever else a form holds, files above
    /// all, is passed over.
    fn form_fields(&self) -> &'static [&'static str] {
        &[]
    }

    /// Reads a request that was a form, of which only those fields were kept, and shows what it gives the model to read.
    fn form(
        &self,
        _form: &Form,
        _request: &mut Request,
        _problems: &mut Problems,
        _prompt: &mut dyn Visitor,
    ) {
    }

    /// How a response is framed that comes piece by piece.
    fn framing(&self) -> Framing {
        Framing::Events
    }

    /// A reader for one response.
    fn reader(&self) -> Box<dyn Reader>;

    /// Mends facts that only request and response together can tell right. Called once, when the response is over.
    fn settle(&self, _request: &Request, _response: &mut Response) {}
}

/// What a request is of, by its body.
#[derive(Clone, Copy)]
pub enum Asked {
    /// Of the API that its path says, as far as can be told.
    This,
    /// Of another one.
    Other(&'static dyn Dialect),
    /// Of none: it calls no model.
    Nothing,
}

/// Whether a body is that of a remote procedure call, one or several, such as those of the Model Context Protocol (JSON-RPC
/// 2.0).
pub(super) fn is_json_rpc(body: &[u8]) -> bool {
    let Ok(body) = json::parse(body.trim_ascii()) else {
        return false;
    };
    let call = match body.kind() {
        Kind::Array => body.elements().next(),
        _ => Some(body),
    };
    let version = call.and_then(|call| call.get("jsonrpc"));
    version.is_some_and(|version| version.as_text().is_some())
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
    /// What they are made of.
    pub counts: Counts,
    /// What could not be read.
    pub problems: Problems,
    /// The folds over what was generated.
    pub folds: AnswerFolds,
    /// Where the upstream departed from the reference.
    pub quirks: Quirks,
    /// What came that is not known.
    pub unknown: Unknowns,
    /// When what is read came, since the start of the exchange. Set by the caller before each event or body.
    pub at: Duration,
}

impl Facts {
    /// Settles what only request and whole response together tell of its token counts and its calls. Called once, when it is
    /// over.
    pub fn settle(&mut self, request: &Request) {
        for call in &mut self.response.tool_calls {
            call.forced = request.forced_tool.as_ref() == Some(&call.name);
        }
        let quirks = self.counts.settle(request, &self.response, &mut self.usage);
        self.quirks |= quirks;
    }

    /// Shows a part of a choice of the answer to all folds.
    pub(super) fn show(&mut self, choice: u64, part: &Part<'_>) {
        let place = Place::answer(choice);
        self.response.part(place, part);
        self.folds.part(place, part);
    }

    /// As [`show`](Self::show), for a text of this kind. Says whether there was any.
    // Inlined with the folds, since the kind is a constant where it is called: nothing of the part is then written to memory,
    // and a fold is no more than what it does with this kind. It is done for every chunk of a stream.
    #[inline(always)]
    pub(super) fn say<'a>(
        &mut self,
        choice: u64,
        kind: impl FnOnce(Words<'a>) -> Part<'a>,
        text: impl Into<Words<'a>>,
    ) -> bool {
        let (place, text) = (Place::answer(choice), text.into());
        let part = kind(text);
        self.response.part(place, &part);
        self.folds.part(place, &part);
        !text.is_empty()
    }
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
