//! How many tokens a prompt has, by the count of a tokenizer that the caller brings.

use crate::dialect::part::{Message, Part, Place, PromptKind, Visitor, Words};

/// Tokens that frame a message, its role among them, and those that begin the answer (OpenAI Cookbook, "How to count
/// tokens"). What other models have there is not known, so they count the same.
const PER_MESSAGE: u64 = 4;
const ANSWER: u64 = 3;

/// Counts each text of a prompt by itself, and what frames it.
#[derive(Debug)]
pub struct PromptTokens<F> {
    count: F,
    /// `None` before there is a prompt.
    tokens: Option<u64>,
    /// Not all of it can be counted.
    lost: bool,
}

impl<F: FnMut(&str) -> Option<u64>> PromptTokens<F> {
    /// `count` says how many tokens a text has, where that can be told.
    #[must_use]
    pub const fn new(count: F) -> Self {
        Self {
            count,
            tokens: None,
            lost: false,
        }
    }

    /// `None` where there is no prompt, or not all of it is text that is here: an image, a sound or a file makes the whole
    /// of it uncountable.
    #[must_use]
    pub fn tokens(&self) -> Option<u64> {
        self.tokens.filter(|_| !self.lost)
    }

    fn add(&mut self, tokens: Option<u64>) {
        match tokens {
            Some(tokens) => *self.tokens.get_or_insert_default() += tokens,
            None => self.lost = true,
        }
    }

    fn text(&mut self, text: Words<'_>) {
        // Counting is what costs here.
        if !self.lost {
            let tokens = (self.count)(&text.decode());
            self.add(tokens);
        }
    }
}

impl<F: FnMut(&str) -> Option<u64>> Visitor for PromptTokens<F> {
    fn prompt(&mut self, kind: PromptKind) {
        self.add(match kind {
            PromptKind::Messages => Some(ANSWER),
            PromptKind::Plain => Some(0),
            PromptKind::Unknown => None,
        });
    }

    fn message(&mut self, message: &Message<'_>) {
        self.add(Some(PER_MESSAGE));
        message.name.into_iter().for_each(|name| self.text(name));
    }

    fn part(&mut self, _place: Place, part: &Part<'_>) {
        match part {
            Part::Text(text)
            | Part::Inner(text)
            | Part::Reasoning(text)
            | Part::Refusal(text)
            | Part::Suffix(text) => self.text(*text),
            Part::ToolCall(call) => {
                let texts = [call.name, call.arguments].into_iter().flatten();
                texts.for_each(|text| self.text(text));
            }
            Part::Tools(tools) => {
                for (definition, by_client) in tools.each() {
                    if by_client {
                        self.text(Words::of_json(definition));
                    } else {
                        self.lost = true;
                    }
                }
            }
            Part::Tokens(list) | Part::Context(list) => {
                self.add(Some(list.elements().count() as u64));
            }
            Part::ToolResult(_) | Part::Summary(_) => {}
            Part::Binary(_) | Part::Hidden | Part::Other(_) => self.lost = true,
        }
    }
}
