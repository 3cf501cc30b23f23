//! Text that tokens can be counted in, where the wire reports no usage: what went to the model and what came from it.

use super::member::decode;
use super::typed::type_of;
use crate::json::{Kind, Text, Value};

/// Most text of one exchange that is gathered, in bytes, and the longest request body whose prompt is counted.
pub const TEXT_MAX: usize = 1 << 20;

/// Room made at once for the text of a choice that comes in pieces, in bytes.
const TEXT_USUAL: usize = 256;

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

/// Tokens that frame a message, its role among them, and those that begin the answer (OpenAI Cookbook, "How to count
/// tokens"). What other models have there is not known, so they count the same.
const PER_MESSAGE: u64 = 4;
const ANSWER: u64 = 3;

impl Prompt {
    /// One that is made of messages, with none so far.
    pub(super) fn of_messages() -> Self {
        Self {
            tokens: ANSWER,
            ..Self::default()
        }
    }

    /// Counts what frames the message whose texts follow.
    pub(super) const fn begin_message(&mut self) {
        self.tokens += PER_MESSAGE;
    }

    /// Takes a text, or a list of parts that are texts. `None` where it is anything else, such as an image.
    pub(super) fn read(&mut self, value: Value<'_>) -> Option<()> {
        match value.kind() {
            Kind::Null => {}
            Kind::Array => {
                for part in value.elements() {
                    let inner = || {
                        let [text, refusal] = part.select(["text", "refusal"]);
                        text.or(refusal)?.as_text()
                    };
                    let text = part.as_text().or_else(inner)?;
                    self.texts.push(text.decode().into_owned());
                }
            }
            _ => self.texts.push(value.as_text()?.decode().into_owned()),
        }
        Some(())
    }

    /// Takes what the model reads as JSON, such as a tool or the arguments of a call; a text of JSON as it is.
    pub(super) fn read_json(&mut self, value: Value<'_>) {
        let written = match value.as_text() {
            Some(text) => text.decode(),
            None if value.is_null() => return,
            None => decode(value.raw()),
        };
        self.texts.push(written.into_owned());
    }

    /// Takes the tools on offer. `None` where the type of one is not of these: it is the provider's own, and neither its
    /// definition nor what it finds is in the request.
    pub(super) fn read_tools(&mut self, tools: Option<Value<'_>>, types: &[&str]) -> Option<()> {
        for tool in tools.into_iter().flat_map(Value::elements) {
            types.contains(&&*type_of(tool)).then_some(())?;
            self.read_json(tool);
        }
        Some(())
    }
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
            // Grown from the first word on it would be moved four times over the next dozen.
            let mut first = String::with_capacity(text.len().max(TEXT_USUAL));
            first.push_str(text);
            texts.push((choice, first));
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
