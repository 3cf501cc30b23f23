//! Takes the event that was asked for out of a stream.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;

use super::comments::Comments;
use super::event::{Delta, Found, LONGEST, Tail, Usual, look, usage_in};
use crate::parse::sse::{Framer, Segment};
use crate::tee::Piece;

/// Takes the usage event out of a stream.
///
/// Whole events pass as they come. Of an event that has not ended yet, only as much is held back as could still turn
/// out to be the one to take out.
#[derive(Debug, Default)]
pub struct Filter {
    /// Usage is known not to come by itself.
    only_asked: bool,
    usual: Usual,
    framer: Framer,
    comments: Comments,
    tail: Tail,
    /// The event so far.
    held: Vec<Bytes>,
    held_bytes: usize,
    /// The current event comes behind a finish reason, where some of it is held.
    finished: bool,
    /// How the current event passes.
    passing: Passing,
    /// The event before was the one, and a line feed that still belongs to it goes with it.
    removed_last: bool,
    outcome: Outcome,
}

/// What a stream has shown of usage.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Usage beside output came before any event was taken out: it may come by itself, and then all of it stays.
    pub(super) beside: bool,
    /// The event that was asked for has more in it than usage, and stayed.
    pub(super) shared: bool,
    /// Identifiers that were taken out with usage, and that no other chunk had.
    pub(super) moved: Vec<&'static str>,
    /// Usage was in an event that was too long to be looked into.
    unread: bool,
}

impl Outcome {
    /// Whether usage reached the client that may be there because it was asked for.
    pub(super) const fn has_left_any(&self) -> bool {
        self.beside || self.shared || self.unread
    }
}

/// How an event that has not ended passes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Passing {
    /// It is held, since it could be the one.
    #[default]
    Held,
    /// It is not the one, and passes at once; what has passed is kept, to be looked at.
    AtOnce,
    /// It is too long to be looked at.
    Unread,
}

impl Filter {
    /// A filter for a stream that was asked, of an upstream that is known to report usage `only_asked`, or not yet known.
    #[must_use]
    pub fn new(only_asked: bool) -> Self {
        Self {
            only_asked,
            ..Self::default()
        }
    }

    /// Goes past the events that end in this frame before any usage stands in it. Returns where they end.
    fn skip(&mut self, frame: &[u8]) -> usize {
        // What is held has to be decided about, and so has a line feed that goes with the event before.
        let begun = !self.held.is_empty() || self.passing != Passing::Held;
        if begun || self.removed_last {
            return 0;
        }
        let clear = usage_in(frame).unwrap_or(frame.len());
        let skipped = self.framer.skip(&frame[..clear]);
        if skipped > 0 {
            self.comments = Comments::default();
        }
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
                    let event = self.without_comments(frame, range);
                    self.comments = Comments::default();
                    self.removed_last = self.is_asked_for(frame, event.clone());
                    if self.removed_last {
                        pass(frame, from..event.start, out);
                        self.let_go(Piece::Remove, out);
                        out.push_back(Piece::Remove(frame.slice(event.clone())));
                        from = event.end;
                    } else {
                        self.let_go(Piece::Pass, out);
                    }
                }
                Segment::Open(_) => {
                    let range = self.without_comments(frame, range);
                    if range.is_empty() {
                        continue;
                    }
                    let open = frame.slice(range.clone());
                    if self.held_bytes == 0 {
                        self.finished = self.tail.has_finish(&frame[..range.start]);
                    }
                    self.held_bytes += open.len();
                    let before = self.passing;
                    self.passing = self.goes_on(&open);
                    if self.passing == Passing::Held {
                        pass(frame, from..range.start, out);
                        from = range.end;
                    } else if before == Passing::Held {
                        out.extend(self.held.iter().cloned().map(Piece::Pass));
                    }
                    if self.passing == Passing::Unread {
                        self.note_unread(&open);
                        self.held.clear();
                    } else {
                        self.held.push(open);
                    }
                }
            }
        }
        pass(frame, from..frame.len(), out);
        self.framer = framer;
    }

    /// The next part of an event, without the comments that stand before the event: they are no part of what was asked for, and keep a
    /// client waiting that would give up.
    fn without_comments(&mut self, frame: &[u8], event: Range<usize>) -> Range<usize> {
        match self.held_bytes == 0 && self.passing == Passing::Held {
            true => event.start + self.comments.take(&frame[event.clone()])..event.end,
            false => event,
        }
    }

    /// How an event passes that goes on with these bytes.
    fn goes_on(&self, open: &[u8]) -> Passing {
        match self.passing {
            _ if self.held_bytes > LONGEST => Passing::Unread,
            Passing::Held if Delta::of(open).passes(self.finished) => Passing::AtOnce,
            passing => passing,
        }
    }

    /// Whether the event that ends with this part of a frame is the one to take out.
    fn is_asked_for(&mut self, frame: &[u8], last: Range<usize>) -> bool {
        let found = if self.passing == Passing::Unread {
            self.note_unread(&frame[last]);
            return false;
        } else if self.held.is_empty() {
            let finished = || self.tail.has_finish(&frame[..last.start]);
            look(&frame[last.clone()], &self.usual, finished)
        } else {
            let event = self.held.iter().flatten().chain(&frame[last]);
            let event: Vec<u8> = event.copied().collect();
            look(&event, &self.usual, || self.finished)
        };
        let outcome = &mut self.outcome;
        match found {
            Found::Nothing => {}
            Found::Added(moved)
                if self.passing == Passing::Held && (self.only_asked || !outcome.beside) =>
            {
                outcome.moved.extend(moved);
                return true;
            }
            Found::Shared => outcome.shared = true,
            Found::Added(_) | Found::Beside => outcome.beside = true,
        }
        false
    }

    /// Notes usage in a part of an event that is too long to be looked into.
    fn note_unread(&mut self, part: &[u8]) {
        let whole = self.held.iter().any(|held| usage_in(held).is_some());
        self.outcome.unread |= whole || usage_in(part).is_some();
    }

    /// What was held is decided about, unless it has passed already.
    fn let_go(&mut self, decided: fn(Bytes) -> Piece, out: &mut VecDeque<Piece>) {
        self.held_bytes = 0;
        let passing = std::mem::take(&mut self.passing);
        let held = self.held.drain(..).map(decided);
        if passing == Passing::Held {
            out.extend(held);
        }
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, frame: Bytes, out: &mut VecDeque<Piece>) {
        self.usual.learn(&frame);
        let skipped = self.skip(&frame);
        if skipped == 0 || skipped < frame.len() {
            self.decide(&frame, skipped, out);
            self.tail.push(&frame);
        } else {
            self.tail.push(&frame);
            out.push_back(Piece::Pass(frame));
        }
        corrupt(out);
    }

    /// The stream is over.
    pub fn finish(&mut self, out: &mut VecDeque<Piece>) {
        let asked_for = !self.held.is_empty() && self.is_asked_for(b"", 0..0);
        let decided = if asked_for {
            Piece::Remove
        } else {
            Piece::Pass
        };
        self.let_go(decided, out);
    }

    /// What the stream has shown so far.
    pub(super) const fn outcome(&mut self) -> &mut Outcome {
        &mut self.outcome
    }
}

/// A part of a frame passes.
fn pass(frame: &Bytes, part: Range<usize>, out: &mut VecDeque<Piece>) {
    if !part.is_empty() {
        out.push_back(Piece::Pass(frame.slice(part)));
    }
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
