//! Tool calls that come as items of a response: announced, filled by fragments of their arguments, and repeated whole.

use crate::dialect::contract::Facts;
use crate::dialect::kit::member::{cut, keep};
use crate::dialect::part::{CallPart, Part, Words};
use crate::exchange::{ToolCall, ToolKind};
use crate::parse::json::{Text, Value};

/// Most tool calls that are kept.
const CALLS_KEPT: usize = 128;

/// Longest name that is kept, in bytes.
const NAME_KEPT: usize = 256;

/// What the wire calls each item in [`Response::tool_calls`](crate::exchange::Response::tool_calls), beside it.
#[derive(Debug, Default)]
pub(in crate::dialect) struct ItemCalls {
    items: Vec<AnnouncedItem>,
}

#[derive(Debug)]
struct AnnouncedItem {
    id: Option<String>,
    index: Option<u64>,
    /// It was counted as a search.
    is_counted: bool,
    /// Fragments of its arguments came, so that a whole text of them is a repetition.
    in_fragments: bool,
}

/// What an event says of the item it is about.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::dialect) struct ItemKey<'a> {
    /// The id by which the call's result will name it.
    pub(in crate::dialect) call: Option<Text<'a>>,
    /// The item's own id, where the API gives it one.
    pub(in crate::dialect) item: Option<Text<'a>>,
    /// Its place among the items of the response.
    pub(in crate::dialect) index: Option<u64>,
}

impl ItemCalls {
    /// A call is there: notes it with its name and the kind of its tool, unless that was done before. Says whether it was
    /// new.
    pub(in crate::dialect) fn begin(
        &mut self,
        key: ItemKey<'_>,
        (name, kind): (&str, ToolKind),
        facts: &mut Facts,
    ) -> bool {
        let response = &mut facts.response;
        let name = cut(name, NAME_KEPT);
        let known = self.find_same(key, &response.tool_calls);
        let at = match known {
            Some(at) => at,
            None if self.items.len() == CALLS_KEPT => {
                response.truncated = true;
                facts.show(0, &Part::Hidden);
                return true;
            }
            None => {
                response.tool_calls.push(ToolCall {
                    index: self.items.len() as u64,
                    ..ToolCall::default()
                });
                self.items.push(AnnouncedItem {
                    id: key.item.map(keep),
                    index: key.index,
                    is_counted: false,
                    in_fragments: false,
                });
                self.items.len() - 1
            }
        };
        let call = &mut response.tool_calls[at];
        // The arguments of one that is known may have come before it was announced.
        if call.name.is_empty() {
            name.clone_into(&mut call.name);
            call.kind = kind;
            call.id = key.call.map(keep);
            let part = CallPart {
                number: at as u64,
                id: key.call.map(Words::Json),
                name: Some(name.into()),
                arguments: None,
                again: false,
            };
            facts.show(0, &Part::ToolCall(part));
        }
        known.is_none()
    }

    /// Counts a search of the web that the provider made, once.
    pub(in crate::dialect) fn count_search(&mut self, key: ItemKey<'_>, facts: &mut Facts) {
        let at = self.find(key, &facts.response.tool_calls);
        if let Some(item) = at.and_then(|at| self.items.get_mut(at))
            && !item.is_counted
        {
            item.is_counted = true;
            *facts.usage.web_searches.get_or_insert_default() += 1;
        }
    }

    /// Whether an item is a call that has begun.
    pub(in crate::dialect) fn has(&self, key: ItemKey<'_>, facts: &Facts) -> bool {
        self.find(key, &facts.response.tool_calls).is_some()
    }

    /// Adds a fragment to the arguments of a call of the provider's, if it is known.
    pub(in crate::dialect) fn add_known(
        &mut self,
        key: ItemKey<'_>,
        fragment: Text<'_>,
        facts: &mut Facts,
    ) {
        let at = self.find(key, &facts.response.tool_calls);
        if at.is_some_and(|at| !facts.response.tool_calls[at].kind.is_client_run()) {
            self.add(key, fragment, facts);
        }
    }

    /// Whether an item is a call of the client's that has begun.
    pub(in crate::dialect) fn has_client_call(&self, key: ItemKey<'_>, facts: &Facts) -> bool {
        let calls = &facts.response.tool_calls;
        self.find(key, calls)
            .is_some_and(|at| calls[at].kind.is_client_run())
    }

    /// Adds a fragment to a call's arguments; of a call that was not announced it is the beginning.
    pub(in crate::dialect) fn add(
        &mut self,
        key: ItemKey<'_>,
        fragment: Text<'_>,
        facts: &mut Facts,
    ) {
        if !self.has(key, facts) {
            self.begin(key, ("", ToolKind::Function), facts);
        }
        if let Some(at) = self.find(key, &facts.response.tool_calls) {
            let call = &facts.response.tool_calls[at];
            let first = !std::mem::replace(&mut self.items[at].in_fragments, true);
            // They may have come whole before.
            let again = first && call.arguments_chars > 0;
            show_arguments(at, fragment.into(), again, facts);
        }
    }

    /// Takes over a call's whole arguments, a text or any other value, where no fragments of them came.
    pub(in crate::dialect) fn set(
        &self,
        key: ItemKey<'_>,
        arguments: Value<'_>,
        facts: &mut Facts,
    ) {
        let calls = &mut facts.response.tool_calls;
        let at = self.find(key, calls);
        if let Some(at) = at.filter(|at| !self.items[*at].in_fragments && !arguments.is_null()) {
            let arguments = Words::of_json(arguments);
            // The event that ends an item may say them again: then they had come by the time they came first.
            let before = calls[at].arguments_end;
            show_arguments(at, arguments, before.is_some(), facts);
            let end = &mut facts.response.tool_calls[at].arguments_end;
            *end = before.or(*end);
        }
    }

    /// The call that an event goes on with: by id, else by its place, since some relays make up a new item id for every
    /// event; without a place the last one.
    fn find(&self, key: ItemKey<'_>, calls: &[ToolCall]) -> Option<usize> {
        self.find_by_id(key, calls).or_else(|| match key.index {
            Some(index) => self.find_by_index(index),
            None => self.items.len().checked_sub(1),
        })
    }

    /// The call that is announced, if it was before. Some servers give all items one place, so another id is another call.
    fn find_same(&self, key: ItemKey<'_>, calls: &[ToolCall]) -> Option<usize> {
        self.find_by_id(key, calls).or_else(|| {
            let at = self.find_by_index(key.index?)?;
            let other_item = key.item.is_some() && self.items[at].id.is_some();
            let other_call = key.call.is_some() && calls[at].id.is_some();
            (!other_item && !other_call).then_some(at)
        })
    }

    fn find_by_index(&self, index: u64) -> Option<usize> {
        let at_index = |item: &AnnouncedItem| item.index == Some(index);
        self.items.iter().rposition(at_index)
    }

    fn find_by_id(&self, key: ItemKey<'_>, calls: &[ToolCall]) -> Option<usize> {
        let is = |id: Option<Text<'_>>, known: &Option<String>| match (id, known) {
            (Some(id), Some(known)) => id.is(known),
            _ => false,
        };
        let by_call = calls.iter().rposition(|call| is(key.call, &call.id));
        by_call.or_else(|| self.items.iter().rposition(|item| is(key.item, &item.id)))
    }
}

/// Adds to the arguments of the call at this place; what came of them is void where they are said `again`.
fn show_arguments(at: usize, arguments: Words<'_>, again: bool, facts: &mut Facts) {
    let call = &mut facts.response.tool_calls[at];
    if again {
        call.arguments_chars = 0;
        call.arguments_bytes = 0;
    }
    call.arguments_chars += arguments.chars();
    call.arguments_bytes += arguments.bytes();
    call.arguments_end = Some(facts.at);
    let part = CallPart {
        number: at as u64,
        id: None,
        name: None,
        arguments: Some(arguments),
        again,
    };
    facts.show(0, &Part::ToolCall(part));
}
