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
        self.end_held(&mut on_event);
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
        for line in lines(block) {
            match field(line) {
                (b"data", value) => match data.replace(value) {
                    None => {}
                    Some(first) => {
                        if !several {
                            self.joined.clear();
                            self.joined.extend_from_slice(first);
                        }
                        several = true;
                        self.joined.push(b'\n');
                        self.joined.extend_from_slice(value);
                    }
                },
                (b"event", value) => name = value,
                (b"", _) if !line.is_empty() => self.comments += 1,
                (b"error", value) => on_event(Event {
                    name: b"error",
                    data: value,
                    oversized: false,
                }),
                _ => {}
            }
        }
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

/// The lines of a block. The empty line between the two bytes of a CRLF is no field and does no harm.
fn lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = block;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        Some(line)
    })
}

/// A line's field name and value; one space after the colon belongs to neither. The name of a comment is empty.
fn field(line: &[u8]) -> (&[u8], &[u8]) {
    let Some(colon) = memchr::memchr(b':', line) else {
        return (line, b"");
    };
    let value = &line[colon + 1..];
    (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
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
