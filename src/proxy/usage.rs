//! The edit for usage: asking for usage where a streamed completion did not, and taking the answer out again.
//!
//! A request gains `stream_options.include_usage` by a splice; every other byte stays as it was sent. The event that
//! this adds to the stream, the one with usage and no output, is taken out between the tee and the client, so that the
//! client sees what it would have seen. Anything that is not plainly one JSON object, or in which the client has spoken
//! about `stream_options` in any way, is left alone; and so is an upstream whose answers have shown that the client would not
//! see what it would have seen. Besides the dialects only this folder and `trace_context` spell a wire key. OpenAI API reference:
//! "Create chat completion", `stream_options`.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, SERVER};

use super::headers;
use crate::message::Fields;
use crate::parse::sse::{Sniff, sniff};
use crate::tee::{Edit, Piece};

mod comments;
mod event;
mod filter;
mod known;
mod memory;
mod refusal;
mod request;
mod watch;

pub use filter::Filter;
pub use known::Lesson;
pub use memory::{Asking, Key, Plan, Watched};
pub use refusal::{Cause, LONGEST as REFUSAL_BYTES};
pub use request::{Completion, Inspected, Splice, Wish, completion, is_object};
use watch::Watch;

/// What is done with the answer to a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It passes.
    Passed,
    /// The upstream was asked for usage.
    Asked,
    /// It is looked at.
    Watched(Watched),
}

impl From<Plan> for Role {
    fn from(plan: Plan) -> Self {
        match plan {
            Plan::Leave => Self::Passed,
            Plan::Ask(_) => Self::Asked,
            Plan::Watch(watched) => Self::Watched(watched),
        }
    }
}

/// Takes note of the head of an answer. Gives what is done with its body, if that is anything.
pub fn answered(
    asking: &Arc<Asking>,
    key: Option<Key>,
    role: Role,
    status: StatusCode,
    fields: &Fields,
) -> Option<Reading> {
    if asking.is_wanted() && fields.text(SERVER).is_some_and(moves_measurements) {
        asking.learn(key, Lesson::Measured);
    }
    let key = key.filter(|_| status.is_success() && status != StatusCode::NO_CONTENT)?;
    let edited = match role {
        Role::Passed => return None,
        Role::Asked => Edited::Filtered {
            told: is_of(fields, EVENTS),
            only_asked: asking.reports_only_asked(key),
        },
        Role::Watched(watched) => Edited::Watched(watched),
    };
    if matches!(role, Role::Asked | Role::Watched(Watched::Asked)) {
        asking.learn(Some(key), Lesson::Accepted);
    }
    let readable = match role {
        Role::Watched(Watched::Whole) => is_of(fields, JSON),
        // Some call their stream something else, JSON too, or nothing. What may be none keeps what is said of its bytes.
        Role::Asked => is_of(fields, EVENTS) || !headers::vouches(fields),
        _ => is_of(fields, EVENTS),
    };
    (readable && !fields.is_coded()).then(|| Reading {
        asking: Arc::clone(asking),
        key,
        edited,
    })
}

/// Whether a server of this name moves its measurements into the event that asking adds: llama.cpp does (2026-11).
fn moves_measurements(server: &str) -> bool {
    server.trim_ascii().eq_ignore_ascii_case("llama.cpp")
}

/// The media type of JSON.
pub const JSON: &str = "application/json";
/// The media type of a stream of events.
pub const EVENTS: &str = "text/event-stream";

/// Whether a body is of this media type.
#[must_use]
pub fn is_of(fields: &Fields, media: &str) -> bool {
    let kind = fields.text(CONTENT_TYPE).unwrap_or_default();
    let kind = kind.trim_ascii_start().get(..media.len());
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case(media))
}

/// Most bytes that are looked at to tell a stream of events from something else.
const BEGINNING_MAX: usize = 256;

/// What is done with a body, and where what it shows is kept.
#[derive(Debug)]
pub struct Reading {
    asking: Arc<Asking>,
    key: Key,
    edited: Edited,
}

#[derive(Debug, Clone, Copy)]
enum Edited {
    Filtered { told: bool, only_asked: bool },
    Watched(Watched),
}

impl Reading {
    /// Whether something may be taken out of the body, so that its length is not known any more.
    #[must_use]
    pub const fn shortens(&self) -> bool {
        matches!(self.edited, Edited::Filtered { .. })
    }

    /// Begins with the body.
    #[must_use]
    pub fn begin(self) -> Editor {
        Editor {
            asking: self.asking,
            key: self.key,
            way: match self.edited {
                Edited::Filtered { told, only_asked } => {
                    let filter = Filter::new(only_asked);
                    if told {
                        Way::Filter(filter)
                    } else {
                        Way::Untold(filter, Vec::new())
                    }
                }
                Edited::Watched(watched) => Way::Watch(Watch::new(watched)),
            },
            learns: true,
        }
    }
}

/// Takes the event that was asked for out of a stream, or only looks at an answer; and learns.
#[derive(Debug)]
pub struct Editor {
    asking: Arc<Asking>,
    key: Key,
    way: Way,
    /// Until the lesson has been learnt.
    learns: bool,
}

#[derive(Debug)]
enum Way {
    Filter(Filter),
    /// Nothing said that it is a stream of events: its own beginning will, of which this has come.
    Untold(Filter, Vec<u8>),
    Pass,
    Watch(Watch),
}

impl Editor {
    fn learn(&mut self, lesson: Option<Lesson>) {
        if let Some(lesson) = lesson.filter(|_| self.learns) {
            self.learns = false;
            self.asking.learn(Some(self.key), lesson);
        }
    }
}

impl Edit for Editor {
    fn push(&mut self, frame: Bytes, out: &mut VecDeque<Piece>) {
        if let Way::Untold(filter, beginning) = &mut self.way {
            let more = frame.len().min(BEGINNING_MAX - beginning.len());
            beginning.extend_from_slice(&frame[..more]);
            match sniff(beginning) {
                Sniff::Stream => self.way = Way::Filter(std::mem::take(filter)),
                Sniff::Undecided if beginning.len() < BEGINNING_MAX => {}
                Sniff::Undecided | Sniff::Other => {
                    filter.finish(out);
                    self.way = Way::Pass;
                }
            }
        }
        match &mut self.way {
            Way::Filter(filter) | Way::Untold(filter, _) => filter.push(frame, out),
            Way::Pass => out.push_back(Piece::Pass(frame)),
            Way::Watch(_) if !self.learns => out.push_back(Piece::Pass(frame)),
            Way::Watch(watch) => {
                let lesson = watch.push(frame, out);
                self.learn(lesson);
            }
        }
    }

    fn finish(&mut self, whole: bool, out: &mut VecDeque<Piece>) {
        let lesson = match &mut self.way {
            Way::Filter(filter) => {
                filter.finish(out);
                let outcome = filter.outcome();
                match (outcome.shared, outcome.beside) {
                    (true, _) => Some(Lesson::Measured),
                    (false, true) => Some(Lesson::Beside),
                    (false, false) => None,
                }
            }
            Way::Watch(watch) if whole => watch.finish(),
            Way::Untold(filter, _) => {
                filter.finish(out);
                None
            }
            Way::Watch(_) | Way::Pass => None,
        };
        self.learn(lesson);
    }

    fn trailers(&mut self, fields: &mut Fields) {
        // Of what proved to be no stream nothing has been taken out.
        if matches!(self.way, Way::Filter(_)) {
            headers::unseal(fields);
        }
    }

    fn shortens(&self) -> bool {
        !matches!(self.way, Way::Watch(_))
    }

    fn has_left_any(&mut self) -> bool {
        match &mut self.way {
            Way::Filter(filter) => filter.outcome().has_left_any(),
            _ => false,
        }
    }

    fn moved(&mut self) -> Vec<&'static str> {
        match &mut self.way {
            Way::Filter(filter) => std::mem::take(&mut filter.outcome().moved),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
