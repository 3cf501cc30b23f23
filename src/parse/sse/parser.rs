//! Taking events apart: their name and data.

use super::framer::{Framer, Segment};

/// UTF-8's byte order mark, which may stand at the very start of a stream.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Held bytes beyond this are given back after the event they belong to.
const HELD_KEPT: usize = 64 << 10;

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// The `event` field; empty where there is none.
    pub name: &'a [u8],
    /// The `data` lines, joined by line feeds. Not decoded: it may hold any bytes.
    pub data: &'a [u8],
    /// The event was longer than the bound: name and data were not kept, and are empty.
    pub oversized: bool,
}

/// How a stream is written otherwise than with `data: ` and a line feed. Most of it the specification allows; who reads
/// streams without a parser trips over it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Oddities {
    /// Lines end with a carriage return, with or without a line feed behind it.
    pub carriage_returns: bool,
    /// No space behind the colon of data that is not empty.
    pub no_space: bool,
    /// More than one space there.
    pub more_spaces: bool,
    /// Data on several lines.
    pub several_lines: bool,
    /// A byte order mark, or fields other than `data`, `event` and `error`.
    pub other_fields: bool,
    /// The field `error`, which the specification does not know.
    pub error_field: bool,
    /// The last event lacks the blank line behind it.
    pub unended: bool,
}

/// Reads events out of a stream that comes in pieces. Never fails: unknown fields are ignored, an event beyond the bound
/// is skipped and reported as such.
///
/// `id` and `retry` are ignored: nobody reconnects here.
#[derive(Debug)]
pub struct Parser {
    framer: Framer,
    /// The event so far, where it did not lie whole in one push.
    held: Vec<u8>,
    /// Several data lines, joined; kept for its allocation.
    joined: Vec<u8>,
    /// Longest event in bytes, its blank line not counted.
    limit: usize,
    at_start: bool,
    skip: Skip,
    comments: u64,
    oddities: Oddities,
}

/// Why the rest of the current event is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Skip {
    /// It is read.
    Nothing,
    /// It is beyond the bound.
    Oversized,
    /// Its beginning was missed.
    Gap,
}

impl Parser {
    /// A parser at the start of a stream that reads events of at most `limit` bytes and holds about as many.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            framer: Framer::new(),
            held: Vec::new(),
            joined: Vec::new(),
            limit,
            at_start: true,
            skip: Skip::Nothing,
            comments: 0,
            oddities: Oddities::default(),
        }
    }

    /// Takes the next piece of the stream and hands on each event that ends in it.
    pub fn push(&mut self, bytes: &[u8], mut on_event: impl FnMut(Event<'_>)) {
        let mut framer = std::mem::take(&mut self.framer);
        for segment in framer.push(bytes) {
            match segment {
                Segment::Open(range) => self.hold(&bytes[range]),
                Segment::End(range) if self.held.is_empty() => {
                    self.end(&bytes[range], &mut on_event)
                }
                Segment::End(range) => {
                    self.hold(&bytes[range]);
                    self.end_held(&mut on_event);
                }
                Segment::Late(_) => {}
            }
        }
        self.framer = framer;
    }

    /// The stream is over: hands on what came after the last blank line, which the specification would drop, and
    /// where a sentinel, a usage object or an error may stand. Pushing anew begins a new stream.
    pub fn finish(&mut self, mut on_event: impl FnMut(Event<'_>)) {
        let before = self.oddities;
        let mut unended = false;
        self.end_held(&mut |event: Event<'_>| {
            unended = true;
            on_event(event);
        });
        // What may be half an event tells nothing of how the stream is written.
        self.oddities = Oddities {
            unended,
            error_field: self.oddities.error_field,
            ..before
        };
        self.framer = Framer::new();
        self.at_start = true;
    }

    /// Pieces of the stream were missed: skips to the next event boundary. What has been read of the current event is
    /// dropped.
    pub fn resync(&mut self) {
        self.framer.resync();
        self.held.clear();
        self.skip = Skip::Gap;
        self.at_start = false;
    }

    /// Comment lines so far, in whole events.
    #[must_use]
    pub const fn comments(&self) -> u64 {
        self.comments
    }

    /// What was odd so far, in whole events.
    #[must_use]
    pub const fn oddities(&self) -> Oddities {
        self.oddities
    }

    fn hold(&mut self, bytes: &[u8]) {
        if self.skip != Skip::Nothing {
            return;
        }
        let text = text_len(bytes);
        if text > 0 && self.held.len() + text > self.limit {
            self.held = Vec::new();
            self.skip = Skip::Oversized;
        } else {
            self.held.extend_from_slice(bytes);
        }
    }

    fn end_held(&mut self, on_event: &mut impl FnMut(Event<'_>)) {
        let mut held = std::mem::take(&mut self.held);
        self.end(&held, on_event);
        if held.capacity() <= HELD_KEPT {
            held.clear();
            self.held = held;
        }
    }

    /// Reads one whole event.
    fn end(&mut self, block: &[u8], on_event: &mut impl FnMut(Event<'_>)) {
        let at_start = std::mem::take(&mut self.at_start);
        match std::mem::replace(&mut self.skip, Skip::Nothing) {
            Skip::Nothing if text_len(block) <= self.limit => {
                let unmarked = block.strip_prefix(BYTE_ORDER_MARK).filter(|_| at_start);
                self.oddities.other_fields |= unmarked.is_some();
                self.read(unmarked.unwrap_or(block), on_event);
            }
            Skip::Nothing | Skip::Oversized => on_event(Event {
                name: b"",
                data: b"",
                oversized: true,
            }),
            Skip::Gap => {}
        }
    }

    fn read(&mut self, block: &[u8], on_event: &mut impl FnMut(Event<'_>)) {
        let mut name: &[u8] = b"";
        let mut data: Option<&[u8]> = None;
        let mut several = false;
        let odd = &mut self.oddities;
        let lines = lines(block, &mut odd.carriage_returns);
        for line in lines.filter(|line| !line.is_empty()) {
            match field(line) {
                (b"data", spaced) => {
                    let value = unspaced(spaced);
                    odd.no_space |= value.len() == spaced.len() && !value.is_empty();
                    odd.more_spaces |= value.first() == Some(&b' ');
                    if let Some(first) = data.replace(value) {
                        if !several {
                            self.joined.clear();
                            self.joined.extend_from_slice(first);
                        }
                        several = true;
                        self.joined.push(b'\n');
                        self.joined.extend_from_slice(value);
                    }
                }
                (b"event", value) => name = unspaced(value),
                (b"", _) => self.comments += 1,
                (b"error", value) => {
                    odd.error_field = true;
                    on_event(Event {
                        name: b"error",
                        data: unspaced(value),
                        oversized: false,
                    });
                }
                _ => odd.other_fields = true,
            }
        }
        odd.several_lines |= several;
        if let Some(single) = data {
            on_event(Event {
                name,
                data: if several { &self.joined } else { single },
                oversized: false,
            });
        }
        if self.joined.capacity() > HELD_KEPT {
            self.joined = Vec::new();
        }
    }
}

/// The length of an event without the line ends behind it, of which a cut may hide one.
fn text_len(block: &[u8]) -> usize {
    let line_ends = block
        .iter()
        .rev()
        .take_while(|byte| matches!(byte, b'\n' | b'\r'))
        .count();
    block.len() - line_ends
}

/// The lines of a block. The empty line between the two bytes of a CRLF is no field and does no harm. Notes whether one
/// ends with a carriage return.
fn lines<'a>(block: &'a [u8], carriage_returns: &mut bool) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = block;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = match rest[0] {
            // The blank line behind every event: to begin a search takes 50 instructions.
            b'\n' | b'\r' => 0,
            _ => memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len()),
        };
        let line = &rest[..end];
        *carriage_returns |= rest.get(end) == Some(&b'\r');
        rest = rest.get(end + 1..).unwrap_or_default();
        Some(line)
    })
}

/// A line's field name and value, the space after the colon still before it. The name of a comment is empty.
fn field(line: &[u8]) -> (&[u8], &[u8]) {
    // Nearly every line has this name, and the search takes 40 instructions to begin.
    if let Some(value) = line.strip_prefix(b"data:") {
        return (b"data", value);
    }
    let Some(colon) = memchr::memchr(b':', line) else {
        return (line, b"");
    };
    (&line[..colon], &line[colon + 1..])
}

/// A value without the one space that may stand before it.
fn unspaced(value: &[u8]) -> &[u8] {
    value.strip_prefix(b" ").unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_held_is_bounded() {
        let mut parser = Parser::new(1000);
        for _ in 0..1000 {
            parser.push(b"data: 0123456789", |_| {});
            assert!(parser.held.capacity() <= 2048);
        }
        parser.push(&[b'x'; 100_000], |_| {});
        assert_eq!(parser.held.capacity(), 0);
    }
}
