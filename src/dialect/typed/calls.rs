//! Tool calls that come as items of a response: announced, filled by fragments of their arguments, and repeated whole.

use crate::dialect::Facts;
use crate::dialect::member::{cut, decode, keep};
use crate::exchange::ToolCall;
use crate::json::{Text, Value};

/// Most tool calls that are kept.
const CALLS_KEPT: usize = 128;

/// Longest name that is kept, in bytes.
const NAME_KEPT: usize = 256;

/// What the wire calls each item in [`Response::tool_calls`](crate::exchange::Response::tool_calls), beside it.
#[derive(Debug, Default)]
pub(in crate::dialect) struct Calls {
    items: Vec<Item>,
}

#[derive(Debug)]
struct Item {
    id: Option<String>,
    index: Option<u64>,
    /// Fragments of its arguments came, so that a whole text of them is a repetition.
    in_fragments: bool,
}

/// What an event says of the item it is about.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::dialect) struct Key<'a> {
    /// The id by which the call's result will name it.
    pub(in crate::dialect) call: Option<Text<'a>>,
    /// The item's own id, where the API gives it one.
    pub(in crate::dialect) item: Option<Text<'a>>,
    /// Its place among the items of the response.
    pub(in crate::dialect) index: Option<u64>,
}

impl Calls {
    /// A call is there: notes it with its name, unless that was done before. Says whether it was new.
    pub(in crate::dialect) fn begin(
        &mut self,
        key: Key<'_>,
        name: &str,
        facts: &mut Facts,
    ) -> bool {
        let response = &mut facts.response;
        let name = cut(name, NAME_KEPT);
        if let Some(at) = self.find_same(key, &response.tool_calls) {
            // Its arguments came before it.
            let call = &mut response.tool_calls[at];
            if call.name.is_empty() {
                name.clone_into(&mut call.name);
                facts.generated.push_str(0, name);
                call.id = key.call.map(keep);
            }
            return false;
        }
        if self.items.len() == CALLS_KEPT {
            response.truncated = true;
            facts.generated.give_up();
            return true;
        }
        facts.generated.push_str(0, name);
        response.tool_calls.push(ToolCall {
            index: self.items.len() as u64,
            id: key.call.map(keep),
            name: name.to_owned(),
            ..ToolCall::default()
        });
        self.items.push(Item {
            id: key.item.map(keep),
            index: key.index,
            in_fragments: false,
        });
        true
    }

    /// Whether an item is a call that has begun.
    pub(in crate::dialect) fn has(&self, key: Key<'_>, facts: &Facts) -> bool {
        self.find(key, &facts.response.tool_calls).is_some()
    }

    /// Adds a fragment to a call's arguments; of a call that was not announced it is the beginning.
    pub(in crate::dialect) fn add(&mut self, key: Key<'_>, fragment: Text<'_>, facts: &mut Facts) {
        if !self.has(key, facts) {
            self.begin(key, "", facts);
        }
        if let Some(at) = self.find(key, &facts.response.tool_calls) {
            let call = &mut facts.response.tool_calls[at];
            let first = !std::mem::replace(&mut self.items[at].in_fragments, true);
            if first && call.arguments_chars > 0 {
                // They came whole before, and were gathered.
                call.arguments_chars = 0;
                facts.generated.give_up();
            }
            call.arguments_chars += fragment.chars();
            facts.generated.push(0, fragment);
        }
    }

    /// Takes over a call's whole arguments, a text or any other value, where no fragments of them came.
    pub(in crate::dialect) fn set(&self, key: Key<'_>, arguments: Value<'_>, facts: &mut Facts) {
        let calls = &mut facts.response.tool_calls;
        let at = self.find(key, calls);
        if let Some(at) = at.filter(|at| !self.items[*at].in_fragments && !arguments.is_null()) {
            let written = match arguments.as_text() {
                Some(text) => text.decode(),
                None => decode(arguments.raw()),
            };
            let chars = written.chars().count() as u64;
            // Said again by the event that ends the item.
            if std::mem::replace(&mut calls[at].arguments_chars, chars) == 0 {
                facts.generated.push_str(0, &written);
            }
        }
    }

    /// The call that an event goes on with: by id, else by its place, since some relays make up a new item id for every
    /// event; without a place the last one.
    fn find(&self, key: Key<'_>, calls: &[ToolCall]) -> Option<usize> {
        self.find_by_id(key, calls).or_else(|| match key.index {
            Some(index) => self.find_by_index(index),
            None => self.items.len().checked_sub(1),
        })
    }

    /// The call that is announced, if it was before. Some servers give all items one place, so another id is another call.
    fn find_same(&self, key: Key<'_>, calls: &[ToolCall]) -> Option<usize> {
        self.find_by_id(key, calls).or_else(|| {
            let at = self.find_by_index(key.index?)?;
            let other_item = key.item.is_some() && self.items[at].id.is_some();
            let other_call = key.call.is_some() && calls[at].id.is_some();
            (!other_item && !other_call).then_some(at)
        })
    }

    fn find_by_index(&self, index: u64) -> Option<usize> {
        let at_index = |item: &Item| item.index == Some(index);
        self.items.iter().rposition(at_index)
    }

    fn find_by_id(&self, key: Key<'_>, calls: &[ToolCall]) -> Option<usize> {
        let is = |id: Option<Text<'_>>, known: &Option<String>| match (id, known) {
            (Some(id), Some(known)) => id.is(known),
            _ => false,
        };
        let by_call = calls.iter().rposition(|call| is(key.call, &call.id));
        by_call.or_else(|| self.items.iter().rposition(|item| is(key.item, &item.id)))
    }
}
