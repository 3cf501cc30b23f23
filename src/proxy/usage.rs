//! The one edit of bytes: asking for usage where a streamed completion did not, and taking the answer out again.
//!
//! A request gains `stream_options.include_usage` by a splice; every other byte stays as it was sent. The event that
//! this adds to the stream, the one with usage and no choices, is taken out between the tee and the client, so that the
//! client sees what it would have seen. Anything that is not plainly one JSON object, or in which the client has spoken
//! about `stream_options` in any way that could be taken for its will, is left alone. Besides the dialects this is the
//! only file that spells a wire key. OpenAI API reference: "Create chat completion", `stream_options`.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use memchr::memmem::Finder;

use crate::json::{self, Kind, Text, Value};
use crate::message::Fields;
use crate::sse::{Framer, Parser, Segment};
use crate::tee::{Edit, Piece};

/// Longest event that can be the one asked for; a longer one passes. Real ones have some hundred bytes.
const LONGEST_USAGE_EVENT: usize = 16 << 10;

/// Whether a request is a completion, chat or text, by its path's tail.
#[must_use]
pub fn is_completion(method: &Method, path: &str) -> bool {
    method == Method::POST && path.trim_end_matches('/').ends_with("/completions")
}

/// Whether an upstream is asked for usage.
#[derive(Debug)]
pub struct Asking {
    wanted: bool,
    refused: AtomicBool,
}

impl Asking {
    /// Asks if `wanted`, until it is refused.
    #[must_use]
    pub const fn new(wanted: bool) -> Self {
        Self {
            wanted,
            refused: AtomicBool::new(false),
        }
    }

    /// Whether to ask.
    #[must_use]
    pub fn asks(&self) -> bool {
        self.wanted && !self.refused.load(Ordering::Relaxed)
    }

    /// The upstream does not understand the question; it is not asked again. Returns whether that is news.
    pub fn refused(&self) -> bool {
        !self.refused.swap(true, Ordering::Relaxed)
    }
}

/// What a request body says about where it goes and whether it may be edited.
#[derive(Debug, Default)]
pub struct Inspected<'a> {
    /// `model`.
    pub model: Option<Text<'a>>,
    /// How to ask for usage; `None` where that is not to be done.
    pub splice: Option<Splice>,
}

/// Bytes to be put into a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Splice {
    /// How many bytes of the body stand before them; never none.
    pub at: usize,
    /// The bytes.
    pub text: &'static str,
}

impl<'a> Inspected<'a> {
    /// Reads a body.
    #[must_use]
    pub fn of(body: &'a [u8]) -> Self {
        let mut sought = ["model", "stream", "stream_options"].map(Sought::new);
        let Some(request) = read(body, &mut sought) else {
            return Self::default();
        };
        let [model, stream, options] = sought.map(|sought| sought.found);
        Self {
            model: model.last().and_then(Value::as_text),
            splice: splice(body, request, stream, options),
        }
    }
}

/// How to ask a `request` with these members for usage.
fn splice(
    body: &[u8],
    request: Value<'_>,
    stream: Occurs<'_>,
    options: Occurs<'_>,
) -> Option<Splice> {
    let Occurs::Once(stream) = stream else {
        return None;
    };
    if stream.as_bool() != Some(true) {
        return None;
    }
    match options {
        Occurs::Absent => Some(Splice {
            at: after_brace(body, request),
            text: r#""stream_options":{"include_usage":true},"#,
        }),
        Occurs::Once(options) if options.kind() == Kind::Object => {
            let mut sought = [Sought::new("include_usage")];
            let mut text = r#""include_usage":true"#;
            for (key, value) in options.members() {
                note(&mut sought, key, value);
                text = r#""include_usage":true,"#;
            }
            let at = after_brace(body, options);
            let absent = matches!(sought[0].found, Occurs::Absent);
            absent.then_some(Splice { at, text })
        }
        _ => None,
    }
}

/// How often a member is there that may be there once.
#[derive(Clone, Copy)]
enum Occurs<'a> {
    Absent,
    Once(Value<'a>),
    /// Twice, or spelled with escapes: servers differ in what they make of it. The last of them.
    Ambiguous(Value<'a>),
}

impl<'a> Occurs<'a> {
    const fn last(self) -> Option<Value<'a>> {
        match self {
            Self::Absent => None,
            Self::Once(value) | Self::Ambiguous(value) => Some(value),
        }
    }
}

/// A member that is looked for.
struct Sought<'a> {
    name: &'static str,
    found: Occurs<'a>,
}

impl Sought<'_> {
    const fn new(name: &'static str) -> Self {
        let found = Occurs::Absent;
        Self { name, found }
    }
}

/// Reads an object for its members; `None` where that is none.
// Inline it would be there once more for each kind of object.
#[inline(never)]
fn read<'a>(object: &'a [u8], sought: &mut [Sought<'a>]) -> Option<Value<'a>> {
    let each = |key: Text<'_>, value| note(sought, key, value);
    let read = json::text(object).and_then(|text| json::parse_object(text, each));
    read.ok()
}

/// Takes note of a member, if it has one of the names.
// Inline it would be there once more for each name.
#[inline(never)]
fn note<'a>(sought: &mut [Sought<'a>], key: Text<'_>, value: Value<'a>) {
    if let Some(sought) = sought.iter_mut().find(|sought| key.is(sought.name)) {
        sought.found = match sought.found {
            Occurs::Absent if !key.has_escapes() => Occurs::Once(value),
            _ => Occurs::Ambiguous(value),
        };
    }
}

/// The place after an object's opening brace. `object` was parsed from `body`, so it lies in it.
fn after_brace(body: &[u8], object: Value<'_>) -> usize {
    object.raw().as_ptr() as usize - body.as_ptr() as usize + 1
}

/// Takes the usage event out of a stream.
///
/// Whole events pass as they come. Of an event that has not ended yet, only as much is held back as could still turn
/// out to be the one to take out.
#[derive(Debug, Default)]
pub struct Filter {
    framer: Framer,
    /// The event so far, while it could be the one.
    held: Vec<Bytes>,
    held_bytes: usize,
    /// The current event is not the one; the rest of it passes at once.
    released: bool,
    /// The event before was the one, and a line feed that still belongs to it goes with it.
    removed_last: bool,
}

impl Filter {
    /// Whether it can find anything in a response: not in what is no stream of events, nor in a coded one.
    #[must_use]
    pub fn can_read(fields: &Fields) -> bool {
        const STREAM: &str = "text/event-stream";
        let value = |name| fields.text(name).unwrap_or_default();
        let kind = value(CONTENT_TYPE).trim_ascii_start().get(..STREAM.len());
        kind.is_some_and(|kind| kind.eq_ignore_ascii_case(STREAM))
            && matches!(value(CONTENT_ENCODING).trim_ascii(), "" | "identity")
    }

    /// Goes past the events that end in this frame before any usage stands in it. Returns where they end.
    fn skip(&mut self, frame: &[u8]) -> usize {
        // What is held has to be decided about, and so has a line feed that goes with the event before.
        if !self.held.is_empty() || self.removed_last {
            return 0;
        }
        let clear = usage_in(frame).unwrap_or(frame.len());
        let skipped = self.framer.skip(&frame[..clear]);
        self.released &= skipped == 0;
        skipped
    }

    /// Decides about the events of a frame from `start` on, where what came before passes.
    fn decide(&mut self, frame: &Bytes, start: usize, out: &mut VecDeque<Piece>) {
        let mut framer = std::mem::take(&mut self.framer);
        // What of this frame has been decided on lies before `from`.
        let mut from = 0;
        for segment in framer.push_from(frame, start) {
            let range = segment.range();
            match segment {
                Segment::Late(_) if self.removed_last => {
                    out.push_back(Piece::Remove(frame.slice(range.clone())));
                    from = range.end;
                }
                Segment::Late(_) => {}
                Segment::End(_) => {
                    self.removed_last = !self.released && self.is_asked_for(&frame[range.clone()]);
                    self.released = false;
                    if self.removed_last {
                        pass(frame, from..range.start, out);
                        self.let_go(Piece::Remove, out);
                        out.push_back(Piece::Remove(frame.slice(range.clone())));
                        from = range.end;
                    } else {
                        self.let_go(Piece::Pass, out);
                    }
                }
                Segment::Open(_) if self.released => {}
                Segment::Open(_) => {
                    self.held_bytes += range.len();
                    if self.held_bytes > LONGEST_USAGE_EVENT || has_delta(&frame[range.clone()]) {
                        self.released = true;
                        self.let_go(Piece::Pass, out);
                    } else {
                        pass(frame, from..range.start, out);
                        from = range.end;
                        self.held.push(frame.slice(range));
                    }
                }
            }
        }
        pass(frame, from..frame.len(), out);
        self.framer = framer;
    }

    /// Whether the event that ends with `last` is the one to take out.
    fn is_asked_for(&self, last: &[u8]) -> bool {
        if self.held.is_empty() {
            return is_usage_event(last);
        }
        let event: Vec<u8> = self.held.iter().flatten().chain(last).copied().collect();
        is_usage_event(&event)
    }

    /// What was held is decided about.
    fn let_go(&mut self, decided: fn(Bytes) -> Piece, out: &mut VecDeque<Piece>) {
        self.held_bytes = 0;
        for bytes in self.held.drain(..) {
            out.push_back(decided(bytes));
        }
    }
}

impl Edit for Filter {
    fn push(&mut self, frame: Bytes, out: &mut VecDeque<Piece>) {
        let skipped = self.skip(&frame);
        if skipped > 0 && skipped == frame.len() {
            out.push_back(Piece::Pass(frame));
        } else {
            self.decide(&frame, skipped, out);
        }
        corrupt(out);
    }

    fn finish(&mut self, out: &mut VecDeque<Piece>) {
        let asked_for = !self.held.is_empty() && self.is_asked_for(b"");
        let decided = if asked_for {
            Piece::Remove
        } else {
            Piece::Pass
        };
        self.let_go(decided, out);
    }
}

/// A part of a frame passes.
fn pass(frame: &Bytes, part: Range<usize>, out: &mut VecDeque<Piece>) {
    if !part.is_empty() {
        out.push_back(Piece::Pass(frame.slice(part)));
    }
}

/// Searches that are made ready once: making them ready took longer than searching a chunk.
static DELTA: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""delta""#));
static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""usage""#));

/// Every chunk with choices has a delta, and a member's name cannot stand in a string unescaped.
fn has_delta(event: &[u8]) -> bool {
    DELTA.find(event).is_some()
}

/// Where the first usage stands that is more than the `null` which servers that were asked for it put into every chunk.
fn usage_in(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + USAGE.find(&bytes[from..])?;
        from = at + USAGE.needle().len();
        let value = bytes[from..].strip_prefix(b":").unwrap_or_default();
        if !value.trim_ascii_start().starts_with(b"null") {
            return Some(at);
        }
    }
}

/// Whether an event is the one that asking for usage adds: usage, and no choices.
fn is_usage_event(event: &[u8]) -> bool {
    if event.len() > LONGEST_USAGE_EVENT || usage_in(event).is_none() || has_delta(event) {
        return false;
    }
    if let Some(data) = only_line(event) {
        return is_usage(data);
    }
    let mut found = false;
    let mut parser = Parser::new(LONGEST_USAGE_EVENT);
    let mut look = |event: crate::sse::Event<'_>| found = is_usage(event.data);
    parser.push(event, &mut look);
    parser.finish(&mut look);
    found
}

/// The data of an event that has nothing else, on one line, as most do.
fn only_line(event: &[u8]) -> Option<&[u8]> {
    let line = event.strip_prefix(b"data:")?;
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let end = line.iter().position(is_end).unwrap_or(line.len());
    let (data, ends) = line.split_at(end);
    ends.iter().all(is_end).then_some(data)
}

/// Whether the data of an event have usage, and no choices.
fn is_usage(data: &[u8]) -> bool {
    let mut sought = ["choices", "usage"].map(Sought::new);
    if read(data, &mut sought).is_none() {
        return false;
    }
    let [choices, usage] = sought.map(|sought| sought.found.last());
    let is_empty = |list: Value<'_>| list.kind() == Kind::Array && list.elements().next().is_none();
    choices.is_some_and(is_empty) && usage.is_some_and(|usage| usage.kind() == Kind::Object)
}

/// In the test build a stream that carries this text is damaged behind the tee's back, to show that the proof finds it.
#[cfg(feature = "fault-injection")]
fn corrupt(out: &mut VecDeque<Piece>) {
    for piece in out {
        if let Piece::Pass(bytes) = piece
            && let Some(at) = memchr::memmem::find(bytes, b"damage-this-frame")
        {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1;
            *bytes = damaged.into();
        }
    }
}

#[cfg(not(feature = "fault-injection"))]
const fn corrupt(_: &mut VecDeque<Piece>) {}

#[cfg(test)]
mod tests;
