//! Framing of server-sent events, on bytes.
//!
//! Two layers: a [`Framer`] finds where events end in a raw stream, and holds nothing; a [`Parser`] takes them apart.
//! Governing text: WHATWG HTML, "Server-sent events", 9.2.5 and 9.2.6. Where it departs, it is to see more: what is
//! left at the end of a stream is still looked at, and a line with the unknown field name `error` is surfaced, since
//! some builds of llama.cpp send errors so. This file knows nothing of JSON, HTTP, clocks or tasks.

mod framer;
mod parser;

pub use framer::{Framer, Segment};
pub use parser::{Event, Oddities, Parser};

/// What the beginning of a response body says about its form, whatever its `Content-Type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sniff {
    /// Only white space so far, or too little to tell.
    Undecided,
    /// It begins as a stream of events does.
    Stream,
    /// It begins as something else: JSON, HTML, text, sound.
    Other,
}

/// Tells a stream of events from another body by its first bytes: `beginning` is what has come so far.
#[must_use]
pub fn sniff(beginning: &[u8]) -> Sniff {
    const STARTS: [&[u8]; 6] = [b":", b"data:", b"event:", b"id:", b"retry:", b"error: {"];
    let beginning = beginning
        .strip_prefix(parser::BYTE_ORDER_MARK)
        .unwrap_or(beginning);
    let text = beginning.trim_ascii_start();
    if STARTS.iter().any(|start| text.starts_with(start)) {
        Sniff::Stream
    } else if STARTS.iter().any(|start| start.starts_with(text))
        || parser::BYTE_ORDER_MARK.starts_with(text)
    {
        Sniff::Undecided
    } else {
        Sniff::Other
    }
}

#[cfg(test)]
mod tests;
