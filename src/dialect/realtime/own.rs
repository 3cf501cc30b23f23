//! What a `response.create` says of its prompt.

use std::collections::VecDeque;

use super::item::{HeldItem, ITEMS_MAX, text};
use super::standing::Standing;
use crate::parse::json::{Kind, Value};

/// What a response is to read in place of the conversation, or beside it.
#[derive(Debug, Default)]
pub(super) struct OwnPrompt {
    pub(super) standing: Standing,
    /// What it is to read in place of the conversation.
    pub(super) input: Option<VecDeque<HeldItem>>,
    /// It leaves the conversation as it is.
    pub(super) is_apart: bool,
    /// Something of it is not here.
    pub(super) is_lost: bool,
    /// It names items that were not seen.
    pub(super) is_unseen: bool,
}

impl OwnPrompt {
    /// Reads it, up to so many bytes of texts of its input. `known` gives the item of an id, `format` is that of sound.
    pub(super) fn read(
        event: Value<'_>,
        bytes: usize,
        format: Option<&str>,
        known: &dyn Fn(Option<Value<'_>>) -> Option<HeldItem>,
    ) -> Self {
        let Some(response) = event.get("response") else {
            return Self::default();
        };
        let [input, conversation] = response.select(["input", "conversation"]);
        let mut own = Self {
            standing: Standing::read(response, bytes),
            is_apart: text(conversation).is_some_and(|it| it.is("none")),
            ..Self::default()
        };
        let input = input.filter(|input| input.kind() == Kind::Array);
        if let Some(input) = input {
            own.read_input(input, bytes, |item| {
                let is_named = text(item.get("type")).is_some_and(|it| it.is("item_reference"));
                match is_named {
                    true => known(item.get("id")),
                    false => Some(HeldItem::read(item, bytes, format)),
                }
            });
        }
        own
    }

    /// Takes the newest of its items.
    fn read_input<'a>(
        &mut self,
        input: Value<'a>,
        bytes: usize,
        read: impl Fn(Value<'a>) -> Option<HeldItem>,
    ) {
        let mut items = VecDeque::new();
        let mut held = 0;
        for item in input.elements() {
            let Some(item) = read(item) else {
                self.is_unseen = true;
                continue;
            };
            held += item.bytes();
            items.push_back(item);
            while items.len() > ITEMS_MAX || held > bytes {
                held -= items
                    .pop_front()
                    .map_or(held, |oldest: HeldItem| oldest.bytes());
                self.is_lost = true;
            }
        }
        self.input = Some(items);
    }

    /// How many bytes of texts it has.
    pub(super) fn bytes(&self) -> usize {
        let input = self.input.iter().flatten();
        input.map(HeldItem::bytes).sum::<usize>() + self.standing.bytes()
    }

    /// Lets them go.
    pub(super) fn lose(&mut self) {
        self.input = self.input.take().map(|_| VecDeque::new());
        self.standing = Standing::default();
        self.is_lost = true;
    }
}
