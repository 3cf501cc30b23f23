//! Looks at an answer that passes as it is, for what it shows of how an upstream reports usage.

use std::collections::VecDeque;

use bytes::Bytes;

use super::event::{LONGEST, counts, is_added};
use super::known::Lesson;
use super::memory::Watched;
use crate::parse::json::{Kind, Value};
use crate::parse::sse::Parser;
use crate::proxy::object::{Sought, read};
use crate::tee::Piece;

/// llama.cpp's measurements, which have the tokens too: where they are, nobody needs to ask.
const TIMINGS: &str = "timings";
/// Those of vLLM (`--enable-per-request-metrics`).
const METRICS: &str = "metrics";

/// Looks at one answer.
#[derive(Debug)]
pub(super) struct Watch {
    watched: Watched,
    parser: Parser,
    shown: Shown,
}

/// What the answer has shown so far.
#[derive(Debug, Default, Clone, Copy)]
struct Shown {
    usage: bool,
    measured: bool,
    /// Usage beside output, in a stream that asked for it.
    beside: bool,
    finished: bool,
    over: bool,
}

impl Watch {
    pub(super) fn new(watched: Watched) -> Self {
        Self {
            watched,
            parser: Parser::new(LONGEST),
            shown: Shown::default(),
        }
    }

    /// Takes the next bytes of the answer; gives what they show, once all is seen that is to be.
    pub(super) fn push(&mut self, frame: Bytes, out: &mut VecDeque<Piece>) -> Option<Lesson> {
        let lesson = match self.watched {
            // Nearly all lie whole in one frame. What does not shows nothing.
            Watched::Whole => Some(of_whole(&frame)),
            Watched::Unasked | Watched::Asked => {
                let (asked, mut shown) = (self.watched == Watched::Asked, self.shown);
                self.parser
                    .push(&frame, |event| shown.note(event.data, asked));
                self.shown = shown;
                self.shown.over.then(|| self.lesson()).flatten()
            }
        };
        out.push_back(Piece::Pass(frame));
        lesson
    }

    /// The answer came to its end.
    pub(super) fn finish(&mut self) -> Option<Lesson> {
        let (asked, mut shown) = (self.watched == Watched::Asked, self.shown);
        self.parser.finish(|event| shown.note(event.data, asked));
        self.shown = shown;
        self.lesson()
    }

    /// A stream shows that something is not there only once it has ended well.
    fn lesson(&self) -> Option<Lesson> {
        let Shown {
            usage,
            measured,
            beside,
            finished,
            ..
        } = self.shown;
        match self.watched {
            Watched::Whole => None,
            Watched::Asked if measured => Some(Lesson::Measured),
            Watched::Asked => beside.then_some(Lesson::Beside),
            Watched::Unasked if usage => Some(Lesson::Unasked),
            Watched::Unasked if measured => Some(Lesson::Measured),
            Watched::Unasked => finished.then_some(Lesson::OnlyAsked),
        }
    }
}

impl Shown {
    fn note(&mut self, data: &[u8], asked: bool) {
        let data = data.trim_ascii();
        self.over |= data == b"[DONE]";
        let mut sought = ["choices", "usage", "x_groq", TIMINGS, METRICS].map(Sought::new);
        if read(data, &mut sought, &mut |_, _| {}).is_none() {
            return;
        }
        let [choices, usage, groq, timings, metrics] = sought.map(|sought| sought.found.last());
        let choices = choices.filter(|choices| choices.kind() == Kind::Array);
        let added = choices.is_some_and(|choices| is_added(choices, self.finished));
        let choices = || choices.into_iter().flat_map(Value::elements);
        let inside = choices()
            .chain(groq)
            .filter_map(|holder| holder.get("usage"));
        let reports = usage.into_iter().chain(inside).any(counts);
        self.usage |= reports;
        let is_there =
            |member: Option<Value<'_>>| member.is_some_and(|member| member.kind() == Kind::Object);
        if asked {
            // Measurements were moved only where they are in the event that asking adds.
            self.measured |= reports && added && (is_there(timings) || is_there(metrics));
            self.beside |= reports && !added;
        } else {
            self.measured |= is_there(timings);
        }
        let ended = |choice: Value<'_>| {
            let reason = choice.get("finish_reason");
            reason.is_some_and(|reason| reason.kind() == Kind::String)
        };
        self.finished |= choices().any(ended);
    }
}

fn of_whole(body: &[u8]) -> Lesson {
    let mut sought = [Sought::new(TIMINGS)];
    let is_object = read(body, &mut sought, &mut |_, _| {}).is_some();
    let timings = sought[0].found.last();
    match timings.filter(|timings| is_object && timings.kind() == Kind::Object) {
        Some(_) => Lesson::Measured,
        None => Lesson::Plain,
    }
}
