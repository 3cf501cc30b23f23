//! Events with usage, told apart: the one that asking adds, and what a stream has by itself.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::parse::json::{Kind, Text, Value};
use crate::parse::sse::{Event, Parser};
use crate::proxy::object::{Sought, read};

/// Longest event that is looked into; a longer one passes. Real ones have some hundred bytes.
pub(super) const LONGEST: usize = 16 << 10;

/// Members that every chunk has by the reference.
const REFERENCE: [&str; 4] = ["id", "object", "created", "model"];
/// Members that say who answered: they may go with an event that is taken out, where an upstream moved them there
/// (vLLM 0.32 has its fingerprint on the last chunk only).
const IDENTIFIERS: [&str; 2] = ["system_fingerprint", "service_tier"];

/// What a failure stands in: news wherever it comes.
const ERROR: &str = "error";

/// What stands in an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// No usage.
    Nothing,
    /// What asking adds, and nothing else but these identifiers, which no other chunk has.
    Added(Vec<&'static str>),
    /// What asking adds, and with it what the upstream would have said elsewhere: measurements, or what is not known.
    Shared,
    /// Usage in a chunk that would have come without it.
    Beside,
}

/// Looks at an event of a stream whose chunks have the `usual` members, and that comes behind a finish reason or not.
pub(super) fn look(event: &[u8], usual: &Usual, finished: impl Fn() -> bool) -> Found {
    if event.len() > LONGEST || usage_in(event).is_none() {
        return Found::Nothing;
    }
    let finished = finished();
    let found = match only_line(event) {
        Some(data) => look_at(data, usual, finished),
        None => look_at_lines(event, usual, finished),
    };
    match found {
        // It stands where no choice is, such as on a line that is no data. In parts the event would have passed already.
        Found::Added(_) | Found::Shared if Delta::of(event).passes(finished) => Found::Beside,
        found => found,
    }
}

fn look_at_lines(event: &[u8], usual: &Usual, finished: bool) -> Found {
    let mut found = Found::Nothing;
    let mut parser = Parser::new(LONGEST);
    let mut look = |event: Event<'_>| found = look_at(event.data, usual, finished);
    parser.push(event, &mut look);
    parser.finish(&mut look);
    found
}

fn look_at(data: &[u8], usual: &Usual, finished: bool) -> Found {
    let mut sought = ["choices", "usage"].map(Sought::new);
    let (mut moved, mut shared) = (Vec::new(), false);
    let mut beside = |name: Text<'_>, value: Value<'_>| {
        let says_nothing = value.is_null() || REFERENCE.iter().any(|known| name.is(known));
        if says_nothing || !name.is(ERROR) && usual.have(name, value) {
            return;
        }
        match IDENTIFIERS.iter().find(|known| name.is(known)) {
            Some(identifier) if value.kind() == Kind::String => moved.push(*identifier),
            _ => shared = true,
        }
    };
    if read(data, &mut sought, &mut beside).is_none() {
        return Found::Nothing;
    }
    let [choices, usage] = sought.map(|sought| sought.found.last());
    let Some(usage) = usage.filter(|usage| usage.kind() == Kind::Object) else {
        return Found::Nothing;
    };
    match choices {
        Some(choices) if is_added(choices, finished) => match shared {
            true => Found::Shared,
            false => Found::Added(moved),
        },
        _ if counts(usage) => Found::Beside,
        _ => Found::Nothing,
    }
}

/// The data of an event that has nothing else, on one line, as most do.
fn only_line(event: &[u8]) -> Option<&[u8]> {
    let line = event.strip_prefix(b"data:")?;
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let end = line.iter().position(is_end).unwrap_or(line.len());
    let (data, ends) = line.split_at(end);
    ends.iter().all(is_end).then_some(data)
}

/// Whether these are choices as only the event has them that asking adds: none, or, from LiteLLM (1.106) behind a finish
/// reason, one without output: an empty delta in a chat, no text in a text completion.
pub(super) fn is_added(choices: Value<'_>, finished: bool) -> bool {
    let mut elements = choices.elements();
    let (first, more) = (elements.next(), elements.next().is_some());
    choices.kind() == Kind::Array
        && first.is_none_or(|choice| finished && !more && is_empty(choice))
}

fn is_empty(choice: Value<'_>) -> bool {
    let mut members = choice.members();
    choice.kind() == Kind::Object
        && members.all(|(name, value)| {
            let nothing = match value.kind() {
                Kind::Object => name.is("delta") && value.members().next().is_none(),
                Kind::String => name.is("text") && value.as_text().is_some_and(Text::is_empty),
                kind => kind == Kind::Null,
            };
            nothing || name.is("index")
        })
}

/// Whether usage counts anything: LiteLLM (1.106) puts zeros into every chunk of a text completion that did not ask.
pub(super) fn counts(usage: Value<'_>) -> bool {
    let is_count = |value: Value<'_>| value.as_f64().is_some_and(|count| count > 0.0);
    usage.kind() == Kind::Object && usage.members().any(|(_, value)| is_count(value))
}

/// Searches that are made ready once: making them ready took longer than searching a chunk.
static DELTA: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""delta""#));
static FINISH: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""finish_reason""#));
static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""usage""#));

/// Where the first usage stands that is more than the `null` which servers that were asked for it put into every chunk.
pub(super) fn usage_in(bytes: &[u8]) -> Option<usize> {
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

/// What has come of an event shows of its deltas: a member's name cannot stand in a string unescaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Delta {
    Unseen,
    /// It is empty, as far as it has come.
    Empty,
    Output,
}

impl Delta {
    /// The most that any of them shows.
    pub(super) fn of(event: &[u8]) -> Self {
        let names = DELTA.find_iter(event);
        let shown = names.map(|at| Self::behind_name(&event[at + DELTA.needle().len()..]));
        shown.max().unwrap_or(Self::Unseen)
    }

    /// Whether the event is not the one that was asked for: output is in it, or, before a finish reason, any delta.
    pub(super) fn passes(self, finished: bool) -> bool {
        self == Self::Output || self == Self::Empty && !finished
    }

    fn behind_name(rest: &[u8]) -> Self {
        let mut rest = rest.trim_ascii_start();
        for open in [b":", b"{"] {
            match rest.strip_prefix(open) {
                Some(inside) => rest = inside.trim_ascii_start(),
                None if rest.is_empty() => return Self::Empty,
                None => return Self::Output,
            }
        }
        match rest.first() {
            None | Some(b'}') => Self::Empty,
            Some(_) => Self::Output,
        }
    }
}

/// Whether the last of these bytes of a stream have a finish reason.
fn have_finish(bytes: &[u8]) -> bool {
    let name = FINISH.needle().len();
    FINISH.find_iter(bytes).any(|at| {
        let value = bytes[at + name..].trim_ascii_start().strip_prefix(b":");
        value.is_some_and(|value| value.trim_ascii_start().starts_with(b"\""))
    })
}

/// The last bytes of a stream: they show whether an event comes right behind one with a finish reason.
#[derive(Debug)]
pub(super) struct Tail([u8; Self::BYTES]);

impl Default for Tail {
    fn default() -> Self {
        Self([0; Self::BYTES])
    }
}

impl Tail {
    /// What stands behind a finish reason in its event is less.
    const BYTES: usize = 160;

    /// The stream goes on with these bytes.
    pub(super) fn push(&mut self, frame: &[u8]) {
        match frame.last_chunk() {
            Some(last) => self.0 = *last,
            None => {
                self.0.copy_within(frame.len().., 0);
                self.0[Self::BYTES - frame.len()..].copy_from_slice(frame);
            }
        }
    }

    /// Whether what begins after these bytes of the next frame comes behind a finish reason.
    pub(super) fn has_finish(&self, begun: &[u8]) -> bool {
        let mut last = Self(self.0);
        last.push(begun);
        have_finish(&last.0)
    }
}

/// The members that the chunks of a stream have, as those of its first chunk with a choice.
///
/// Kept as hashes, so that a stream holds no copy of a chunk for them. A text or a number may be another in each chunk, as the padding
/// (`obfuscation`) is that OpenAI sends; what has members or elements is the same only where it says the same.
#[derive(Debug, Default)]
pub(super) struct Usual {
    hashes: [u32; Self::MOST],
    count: usize,
    known: bool,
    /// The line that has not ended yet, while they are not known.
    begun: Vec<u8>,
}

impl Usual {
    /// Most that are kept; what is beyond them is taken for unusual, and stays in the stream.
    const MOST: usize = 20;
    /// Longest line that is put together; a chunk beyond it is passed over.
    const LINE: usize = 4 << 10;

    /// Learns from the next bytes of a stream, unless they are known.
    pub(super) fn learn(&mut self, frame: &[u8]) {
        if self.known {
            return;
        }
        for line in frame.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let ends = matches!(line.last(), Some(b'\n' | b'\r'));
            if ends && self.begun.is_empty() {
                self.known = self.take(line);
            } else if self.begun.len() <= Self::LINE {
                self.begun.extend_from_slice(line);
            }
            if ends && !self.begun.is_empty() {
                let line = std::mem::take(&mut self.begun);
                self.known = self.take(&line);
            }
            if self.known {
                return;
            }
        }
    }

    /// Takes the members of a chunk with a choice, if the line is one.
    fn take(&mut self, line: &[u8]) -> bool {
        let Some(data) = line.strip_prefix(b"data:") else {
            return false;
        };
        let mut sought = [Sought::new("choices")];
        self.count = 0;
        let mut note = |name: Text<'_>, value: Value<'_>| {
            // What is `null` there says nothing of what stands there later.
            if self.count < Self::MOST && !value.is_null() {
                self.hashes[self.count] = hash(name, value);
                self.count += 1;
            }
        };
        let whole = read(data, &mut sought, &mut note).is_some();
        let choices = sought[0].found.last();
        let is_chunk = whole && choices.is_some_and(|choices| choices.elements().next().is_some());
        if !is_chunk {
            self.count = 0;
        }
        is_chunk
    }

    fn have(&self, name: Text<'_>, value: Value<'_>) -> bool {
        self.hashes[..self.count].contains(&hash(name, value))
    }
}

/// FNV-1a of a member, of which only the name where its value may change. Whoever could make two of them alike is the upstream, of its
/// own event.
fn hash(name: Text<'_>, value: Value<'_>) -> u32 {
    let mix = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    let said: &[u8] = match value.kind() {
        Kind::Object | Kind::Array => value.raw(),
        _ => &[],
    };
    name.raw().iter().chain(said).fold(0x811c_9dc5, mix)
}
