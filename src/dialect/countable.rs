//! Text that tokens can be counted in, where the wire reports no usage: what went to the model and what came from it.

use crate::json::Text;

/// Most text of one exchange that is gathered, in bytes, and the longest request body whose prompt is counted.
pub const TEXT_MAX: usize = 1 << 20;

/// Most choices whose text is gathered.
const CHOICES_MAX: usize = 128;

/// What a request gives a model to read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// Texts that are encoded each by itself.
    pub texts: Vec<String>,
    /// Tokens on top of them: what frames messages, and those that were sent as tokens.
    pub tokens: u64,
}

/// What a model generated, choice by choice, since tokens reach over the borders of chunks. Off unless it is made by
/// [`begin`](Self::begin).
#[derive(Debug, Default)]
pub struct Generated(Option<Vec<(u64, String)>>);

impl Generated {
    /// Begins to gather.
    #[must_use]
    pub const fn begin() -> Self {
        Self(Some(Vec::new()))
    }

    /// Adds a stretch of the text of a choice.
    pub fn push(&mut self, choice: u64, text: Text<'_>) {
        if self.0.is_some() {
            self.push_str(choice, &text.decode());
        }
    }

    /// As [`push`](Self::push), for decoded text. Too much of it ends the gathering.
    pub fn push_str(&mut self, choice: u64, text: &str) {
        let Some(texts) = &mut self.0 else { return };
        let held: usize = texts.iter().map(|(_, text)| text.len()).sum();
        let known = texts.iter_mut().find(|(known, _)| *known == choice);
        if held + text.len() > TEXT_MAX {
            self.give_up();
        } else if let Some((_, known)) = known {
            known.push_str(text);
        } else if texts.len() < CHOICES_MAX {
            texts.push((choice, text.to_owned()));
        } else {
            self.give_up();
        }
    }

    /// Frees what was gathered: it is not needed, or does not tell all that was generated.
    pub fn give_up(&mut self) {
        self.0 = None;
    }

    /// The text of each choice; `None` where it was not gathered, or given up.
    #[must_use]
    pub fn into_texts(self) -> Option<Vec<String>> {
        Some(self.0?.into_iter().map(|(_, text)| text).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_choice_is_put_together() {
        let mut generated = Generated::begin();
        for (choice, text) in [(0, "wa"), (1, "x"), (0, "ter")] {
            generated.push_str(choice, text);
        }
        let texts = generated.into_texts();
        assert_eq!(texts, Some(vec!["water".to_owned(), "x".to_owned()]));
    }

    #[test]
    fn nothing_is_held_unless_begun_nor_beyond_the_bound() {
        let mut off = Generated::default();
        off.push_str(0, "x");
        assert_eq!(off.into_texts(), None);
        let mut long = Generated::begin();
        long.push_str(0, &"x".repeat(TEXT_MAX));
        assert!(long.0.is_some());
        long.push_str(1, "x");
        long.push_str(1, "x");
        assert_eq!(long.into_texts(), None);
        let mut many = Generated::begin();
        for choice in 0..=CHOICES_MAX as u64 {
            many.push_str(choice, "x");
        }
        assert_eq!(many.into_texts(), None);
    }
}
