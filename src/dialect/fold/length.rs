//! How long texts are, in Unicode code points.

use crate::dialect::part::{Part, Place, PromptKind, Visitor};
use crate::exchange::Response;
use crate::parse::json::Kind;

/// The length of a prompt's text, over all messages, tool results included. What is no text, such as an image, has none,
/// and neither have the calls and the reasoning of earlier turns.
#[derive(Debug, Default)]
pub struct PromptLength {
    chars: Option<u64>,
    /// Something came that may be text, and cannot be read as such.
    lost: bool,
}

impl PromptLength {
    /// `None` where there is no prompt, and where not all of its text is known, as in one that was sent as tokens.
    #[must_use]
    pub fn chars(&self) -> Option<u64> {
        self.chars.filter(|_| !self.lost)
    }
}

impl Visitor for PromptLength {
    fn prompt(&mut self, _kind: PromptKind) {
        self.chars.get_or_insert_default();
    }

    fn part(&mut self, _place: Place, part: &Part<'_>) {
        match part {
            Part::Text(text) | Part::Inner(text) => {
                *self.chars.get_or_insert_default() += text.chars()
            }
            Part::Tokens(_) => self.lost = true,
            // An object is of a kind that is new to us; a number is no message at all.
            Part::Other(value) => self.lost |= value.kind() != Kind::Object,
            _ => {}
        }
    }
}

/// The lengths of what was generated stand in the response itself.
impl Visitor for Response {
    #[inline(always)]
    fn part(&mut self, _place: Place, part: &Part<'_>) {
        let (length, text) = match part {
            Part::Text(text) => (&mut self.content_chars, text),
            Part::Reasoning(text) | Part::Summary(text) => (&mut self.reasoning_chars, text),
            Part::Refusal(text) => (&mut self.refusal_chars, text),
            _ => return,
        };
        *length = Some(length.unwrap_or_default() + text.chars());
    }
}
