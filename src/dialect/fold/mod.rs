//! Folds over the parts of a prompt or of an answer, and which of them are on.
//!
//! A fold is a [`Visitor`] with something to say once all parts have been shown. It knows no API: a fold that is added here
//! works for each of them.

mod binary;
mod canonical;
mod content;
pub mod history;
mod known;
mod length;
mod name;
mod texts;
mod tokens;

pub(in crate::dialect) use binary::{Digesting, of_inline};
pub use content::{AnswerContent, PromptContent, Said};
pub use history::PromptHistory;
pub(in crate::dialect) use history::speaker;
pub use length::PromptLength;
pub(in crate::dialect) use name::name;
pub use texts::{TEXT_MAX, Texts};
pub use tokens::PromptTokens;

use std::time::Duration;

use super::part::{Message, Part, Place, PromptKind, Visitor, Words};
use crate::exchange::Digest;
use crate::parse::json::Value;

/// The folds over a prompt that are on when its request is read.
#[derive(Debug, Default)]
pub struct PromptFolds {
    /// How long it is.
    pub length: PromptLength,
    /// What it repeats of a conversation.
    pub history: Option<PromptHistory>,
}

impl Visitor for PromptFolds {
    fn prompt(&mut self, kind: PromptKind) {
        self.length.prompt(kind);
        self.history.prompt(kind);
    }

    fn message(&mut self, message: &Message<'_>) {
        self.length.message(message);
        self.history.message(message);
    }

    fn part(&mut self, place: Place, part: &Part<'_>) {
        self.length.part(place, part);
        self.history.part(place, part);
    }

    fn parameter(&mut self, name: &'static str, value: Value<'_>) {
        self.history.parameter(name, value);
    }

    fn cache_lifetime(&mut self, lifetime: Duration) {
        self.history.cache_lifetime(lifetime);
    }
}

/// The folds over an answer that are on while it is read, besides its lengths, which are facts of the response.
#[derive(Debug, Default)]
pub struct AnswerFolds {
    /// What was generated, for its tokens to be counted, and for the history.
    pub texts: Option<Texts>,
    /// The ids of the answer's items, where the API gives them some.
    pub item_ids: Vec<Digest>,
    /// What was said, for those who are to see it.
    pub content: Option<Box<AnswerContent>>,
}

/// Most ids of items that are kept.
const ITEM_IDS_MAX: usize = 128;

impl AnswerFolds {
    /// Those that gather what was generated.
    #[must_use]
    pub fn gathering(texts: Texts) -> Self {
        Self {
            texts: Some(texts),
            ..Self::default()
        }
    }

    /// An item of the answer has this id.
    pub(super) fn item(&mut self, id: Words<'_>) {
        let id = canonical::word(&id.decode());
        if self.item_ids.len() < ITEM_IDS_MAX && !self.item_ids.contains(&id) {
            self.item_ids.push(id);
        }
    }
}

impl Visitor for AnswerFolds {
    #[inline(always)]
    fn part(&mut self, place: Place, part: &Part<'_>) {
        self.texts.part(place, part);
        if let Some(content) = &mut self.content {
            content.part(place, part);
        }
    }
}
