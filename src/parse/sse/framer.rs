//! Where events end in a raw stream, at any cut of it into frames.

use std::ops::Range;

/// A part of one pushed frame, as a range of its bytes. The segments of a frame cover it without gaps, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Begins or goes on with an event that does not end in this frame.
    Open(Range<usize>),
    /// The rest of an event, up to and including the blank line that ends it; the whole event where no
    /// [`Segment::Open`] came before. A blank line on its own is such a segment too, and so is a block of comments.
    End(Range<usize>),
    /// The line feed whose carriage return was the last byte of the frame before, and ended an event there: it belongs
    /// to that event, which was complete without it.
    Late(Range<usize>),
}

impl Segment {
    /// Its place in the frame.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        match self {
            Self::Open(range) | Self::End(range) | Self::Late(range) => range.clone(),
        }
    }
}

/// Cuts a stream into events. Lines end with LF, CR or CRLF, mixed at will. A carriage return ends its line at once,
/// without waiting for a line feed that may follow.
///
/// It holds no bytes: who needs an event whole keeps its open segments until the end comes.
#[derive(Debug, Clone)]
pub struct Framer {
    /// Whether the current line has no text yet.
    line_empty: bool,
    /// Whether the last byte was a carriage return, and what it ended.
    after_cr: AfterCr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AfterCr {
    No,
    Line,
    Event,
}

impl Default for Framer {
    fn default() -> Self {
        Self {
            line_empty: true,
            after_cr: AfterCr::No,
        }
    }
}

impl Framer {
    /// A framer at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next frame and yields its segments. All of them must be taken, or the rest of the frame is lost.
    pub fn push<'f>(&'f mut self, frame: &'f [u8]) -> impl Iterator<Item = Segment> + 'f {
        self.push_from(frame, 0)
    }

    /// Takes what follows in a frame after so many bytes of it, which were skipped. Segments are ranges of the frame.
    pub fn push_from<'f>(
        &'f mut self,
        frame: &'f [u8],
        mut at: usize,
    ) -> impl Iterator<Item = Segment> + 'f {
        std::iter::from_fn(move || {
            let segment = self.next_segment(frame, at)?;
            at = segment.range().end;
            Some(segment)
        })
    }

    /// Goes to the last place in `bytes` where an event ends whatever came before: behind two line feeds in a row. Returns
    /// how far that is; where there is none, nothing has changed and it is 0.
    pub fn skip(&mut self, bytes: &[u8]) -> usize {
        let is_second = |at: &usize| *at > 0 && bytes[at - 1] == b'\n';
        let Some(last) = memchr::memrchr_iter(b'\n', bytes).find(is_second) else {
            return 0;
        };
        *self = Self::default();
        last + 1
    }

    /// Forgets where in a line the stream stands, after frames that were not pushed: the next [`Segment::End`] is the
    /// end of an event whose beginning is unknown.
    pub fn resync(&mut self) {
        self.line_empty = false;
        self.after_cr = AfterCr::No;
    }

    fn next_segment(&mut self, frame: &[u8], start: usize) -> Option<Segment> {
        let mut at = start;
        let first = *frame.get(at)?;
        let after = std::mem::replace(&mut self.after_cr, AfterCr::No);
        if first == b'\n' && after != AfterCr::No {
            at += 1;
            if after == AfterCr::Event {
                return Some(Segment::Late(start..at));
            }
        }
        while let Some(text) = text_len(&frame[at..]) {
            let blank = self.line_empty && text == 0;
            self.line_empty = true;
            let end = at + text;
            at = end + 1;
            if frame[end] == b'\r' {
                match frame.get(at) {
                    Some(b'\n') => at += 1,
                    Some(_) => {}
                    None if blank => self.after_cr = AfterCr::Event,
                    None => self.after_cr = AfterCr::Line,
                }
            }
            if blank {
                return Some(Segment::End(start..at));
            }
        }
        if at < frame.len() {
            self.line_empty = false;
        }
        Some(Segment::Open(start..frame.len()))
    }
}

/// How much text stands before the next line end. Most lines with text are followed by one without, for which a search
/// of its own is 60 instructions too many.
fn text_len(bytes: &[u8]) -> Option<usize> {
    match bytes.first()? {
        b'\n' | b'\r' => Some(0),
        _ => memchr::memchr2(b'\n', b'\r', bytes),
    }
}
