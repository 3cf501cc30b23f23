//! What is known of one model, as one word, and what a lesson makes of it.
//!
//! Times are milliseconds since whatever beginning the caller counts from; there is no clock here.

use std::time::Duration;

/// When it is first looked whether usage comes by itself, after asking has succeeded.
pub(super) const FIRST_CHECK: Duration = Duration::from_secs(60);

/// What an answer shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lesson {
    /// The question was accepted, ours or the client's own.
    Accepted,
    /// It was rejected, and the request accepted without it.
    Refused,
    /// Usage came in a stream that did not ask for it.
    Unasked,
    /// A stream that was asked had usage beside its output: it may have come by itself.
    Beside,
    /// A stream that did not ask for usage had none.
    OnlyAsked,
    /// Measurements come with usage, or in its place.
    Measured,
    /// A whole answer shows nothing.
    Plain,
}

/// Whether usage may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Belief {
    Yes,
    Refuses,
    ByItself,
    Measures,
}

/// One word of the table: what is believed, what it stands on, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) belief: Belief,
    /// Asking has succeeded.
    pub(super) accepted: bool,
    /// A stream that did not ask has shown whether usage comes by itself.
    pub(super) checked: bool,
    /// A whole answer has been looked at.
    pub(super) seen: bool,
    /// When to look once more, in milliseconds since the beginning.
    pub(super) due: u64,
}

/// A time that does not come.
const NEVER: u64 = u64::MAX >> 8;

impl Known {
    /// What a word of the table says.
    pub(super) const fn of(word: u64) -> Self {
        Self {
            belief: match word & 3 {
                0 => Belief::Yes,
                1 => Belief::Refuses,
                2 => Belief::ByItself,
                _ => Belief::Measures,
            },
            accepted: word & 4 != 0,
            checked: word & 8 != 0,
            seen: word & 16 != 0,
            due: word >> 8,
        }
    }

    /// The word that says it.
    pub(super) const fn word(self) -> u64 {
        let belief = match self.belief {
            Belief::Yes => 0,
            Belief::Refuses => 1,
            Belief::ByItself => 2,
            Belief::Measures => 3,
        };
        belief
            | (self.accepted as u64) << 2
            | (self.checked as u64) << 3
            | (self.seen as u64) << 4
            | self.due << 8
    }

    /// Whether nothing that was seen forbids to ask.
    pub(super) fn may_be_asked(self) -> bool {
        !matches!(self.belief, Belief::Refuses | Belief::Measures)
    }

    /// What is known after a lesson; the same where it is no news.
    pub(super) fn after(self, lesson: Lesson, now: u64, recheck: Option<u64>) -> Self {
        let later = recheck.map_or(NEVER, |recheck| now + recheck);
        let check = recheck.map_or(NEVER, |recheck| now + recheck.min(millis(FIRST_CHECK)));
        match lesson {
            Lesson::Accepted => Self {
                belief: match self.belief {
                    Belief::Refuses => Belief::Yes,
                    other => other,
                },
                accepted: true,
                due: if self.accepted { self.due } else { check },
                ..self
            },
            Lesson::Refused => Self {
                belief: Belief::Refuses,
                accepted: false,
                due: later,
                ..self
            },
            Lesson::Unasked => Self {
                belief: Belief::ByItself,
                checked: true,
                due: later,
                ..self
            },
            // Only a stream that did not ask can tell: the next one.
            Lesson::Beside if !self.checked => Self {
                belief: Belief::ByItself,
                due: now,
                ..self
            },
            Lesson::OnlyAsked => Self {
                belief: match self.belief {
                    Belief::Refuses => Belief::Refuses,
                    _ => Belief::Yes,
                },
                checked: true,
                due: if self.belief == Belief::Refuses {
                    self.due
                } else {
                    later
                },
                ..self
            },
            // Each answer of such a server says so; most say nothing new.
            Lesson::Measured
                if self.belief == Belief::Measures && self.due > now + (later - now) / 2 =>
            {
                self
            }
            Lesson::Measured => Self {
                belief: Belief::Measures,
                due: later,
                ..self
            },
            Lesson::Plain => Self { seen: true, ..self },
            Lesson::Beside => self,
        }
    }
}

/// Milliseconds, however many.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).map_or(NEVER, |millis| millis.min(NEVER >> 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_keeps_what_is_known() {
        for word in 0..32 {
            let known = Known::of(word | 77 << 8);
            assert_eq!((known.word(), known.due), (word | 77 << 8, 77));
        }
        assert_eq!(Known::of(NEVER << 8).due, NEVER);
    }
}
