//! What the dialects of typed events share: each event is an object whose `type` says what it means.
//!
//! The name of the event (`event:`) says the same, and relays lose the one or the other. Types are added all the time, so
//! one that is not known is normal. Governing text: the API references of the dialects that are built on it; it knows
//! none of their types but `error`.

use std::borrow::Cow;

use crate::dialect::contract::{Facts, Output, Reader};
use crate::dialect::kit::error::{self, note_error};
use crate::dialect::kit::events::{is_keep_alive, read_events, unreadable};
use crate::dialect::kit::member::{decode, typed};
use crate::dialect::kit::unknown::{Known, check_name};
use crate::exchange::{ApiError, Choice, Quirk, Response};
use crate::parse::json::{self, Kind, Value};
use crate::parse::sse::{self, Sniff};

/// What the events and answers of one API mean.
pub(in crate::dialect) trait Typed: Send {
    /// The types of events that are known but for `error`, sorted.
    const EVENTS: &'static [Known];

    /// Whether the reference gives each event a name beside its type.
    const HAS_NAMES: bool;

    /// Reads one event of the type `kind`, which is empty where nothing said it.
    fn typed(&mut self, kind: &str, event: Value<'_>, facts: &mut Facts) -> Output;

    /// The error that a whole answer is, though it came with a 200.
    fn failure(&self, answer: Value<'_>) -> Option<ApiError> {
        error::inside(answer)
    }

    /// Reads a whole answer, an object.
    fn whole(&mut self, answer: Value<'_>, facts: &mut Facts) -> Output;

    /// Whether it reads what lies in the lists of a whole answer; see [`Reader::reads_lists`].
    fn reads_lists(&self) -> bool {
        true
    }

    /// Reads a whole answer that is no object; most APIs have none.
    fn plain(&mut self, _text: &str, facts: &mut Facts) -> Output {
        facts.problems.malformed += 1;
        Output::default()
    }
}

/// Reads responses of an API with typed events.
#[derive(Debug, Default)]
pub(in crate::dialect) struct TypedReader<T>(pub(in crate::dialect) T);

impl<T: Typed> Reader for TypedReader<T> {
    fn event(&mut self, name: &[u8], data: &[u8], facts: &mut Facts) -> Output {
        facts.response.streamed = true;
        self.read_event(name, data, facts)
    }

    fn reads_lists(&self) -> bool {
        self.0.reads_lists()
    }

    fn body(&mut self, status: u16, body: &[u8], facts: &mut Facts) -> Output {
        let body = body.trim_ascii();
        if sse::sniff(body) == Sniff::Stream {
            facts.response.streamed = true;
            return self.read_events(body, facts);
        }
        let failed = status >= 400;
        let text = decode(body);
        let (value, rest) = match json::parse_prefix(&text) {
            Ok((value, rest)) if value.kind() == Kind::Object => (value, rest),
            // An error page of a network on the way is no fault of the API's.
            _ if failed || text.is_empty() => return Output::default(),
            _ => return self.0.plain(&text, facts),
        };
        let mut output = Output::default();
        if failed || error::is_bare(value) {
            note_error(error::from_object(value), facts);
        } else {
            note_error(self.0.failure(value), facts);
            output = self.0.whole(value, facts);
        }
        // Some relays glue the sentinel to a whole body.
        let glued = !rest.trim_ascii().is_empty();
        facts.quirks.insert_if(glued, Quirk::ContentType);
        output |= self.read_events(rest.as_bytes(), facts);
        output
    }
}

impl<T: Typed> TypedReader<T> {
    fn read_events(&mut self, stream: &[u8], facts: &mut Facts) -> Output {
        read_events(stream, facts, |name, data, facts| {
            self.read_event(name, data, facts)
        })
    }

    fn read_event(&mut self, name: &[u8], data: &[u8], facts: &mut Facts) -> Output {
        let data = data.trim_ascii();
        if data == b"[DONE]" {
            // No event of these APIs; vLLM and relays add it.
            facts.quirks.insert(Quirk::DoneAdded);
            facts.response.done = true;
            return Output::default();
        }
        let data = match is_keep_alive(data) {
            true if name.is_empty() => {
                facts.quirks.insert(Quirk::KeepAliveData);
                return Output::default();
            }
            // The name alone may say it all.
            true => b"{}",
            false => data,
        };
        let failed = name == b"error";
        let text = decode(data);
        match json::parse_prefix(&text) {
            Ok((value, "")) if value.kind() == Kind::Object => self.read_object(name, value, facts),
            _ if failed => {
                note_error(Some(error::from_text(&text)), facts);
                Output::default()
            }
            _ => unreadable(&text, facts),
        }
    }

    fn read_object(&mut self, name: &[u8], event: Value<'_>, facts: &mut Facts) -> Output {
        let told = typed(event.get("type"), &mut facts.problems, Value::as_text);
        let kind = told.map_or_else(|| decode(name), |kind| kind.decode());
        if name == b"error" || error::is_bare(event) {
            // One that says nothing is an error all the same.
            let error = error::from_object(event).unwrap_or_default();
            note_error(Some(error), facts);
            return Output::default();
        }
        // Servers that put these APIs on top of chat break off as chat does: with an `error`, or their own envelope, and no
        // type; an `error` of null beside nothing is none.
        let failure = kind.is_empty().then(|| error::inside(event)).flatten();
        if failure.is_some() || (kind.is_empty() && event.get("error").is_some()) {
            note_error(failure, facts);
            return Output::default();
        }
        let half_named = told.is_none() || (T::HAS_NAMES && name.is_empty());
        facts.quirks.insert_if(half_named, Quirk::HalfNamed);
        if !kind.is_empty() {
            check_name(&kind, T::EVENTS, (Quirk::UnknownEvent, ""), facts);
        }
        self.0.typed(&kind, event, facts)
    }
}

/// The type of an item, a part or a block; empty where it has none.
pub(in crate::dialect) fn type_of(value: Value<'_>) -> Cow<'_, str> {
    let kind = value.get("type").and_then(Value::as_text);
    kind.map(|kind| kind.decode()).unwrap_or_default()
}

/// The one choice that these APIs have, which is there from its first sign on.
pub(in crate::dialect) fn the_choice(response: &mut Response) -> &mut Choice {
    if response.choices.is_empty() {
        response.choices.push(Choice::default());
    }
    &mut response.choices[0]
}
