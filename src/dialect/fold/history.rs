//! What a request repeats of its conversation, and what an answer adds to it, as hashes.
//!
//! Of the model's turns only what clients send back as it was: text and calls. The rules are those of
//! [`Answer`](crate::exchange::Answer); how a text or arguments are hashed is `canonical`'s.

use std::time::Duration;

use super::canonical;
use super::known;
use super::texts::Texts;
use crate::dialect::part::{
    CallPart, Message, Part, Place, PromptKind, Role, Tools, Visitor, Words,
};
use crate::exchange::{
    Answer, Call, Digest, History, Item, Segment, Speaker, ToolCall, ToolResult,
};
use crate::parse::hash::{chain, hash};
use crate::parse::json::Value;

/// Most items of a request that are kept, and most results.
const ITEMS_MAX: usize = 4096;

/// Room made at once for items, and for turns of the model where there is one: a list that grows is moved each time.
const ITEMS_USUAL: usize = 16;
const TURNS_USUAL: usize = 8;

/// Most calls of one turn that are kept, and most of its items' ids.
const CALLS_MAX: usize = 128;

/// Most ids in texts that are kept.
const IDS_IN_TEXT_MAX: usize = 32;

/// The hash of bytes as they were sent.
#[must_use]
pub fn raw(bytes: &[u8]) -> Digest {
    Digest(hash(bytes))
}

/// The hash of several hashes in their order.
#[must_use]
pub fn of_all(digests: impl IntoIterator<Item = Digest>) -> Digest {
    let digests = digests.into_iter();
    Digest(digests.fold(0, |before, next| chain(before, next.0)))
}

/// The history in a request.
#[derive(Debug, Default)]
pub struct PromptHistory {
    history: History,
    /// Prompts that were announced.
    prompts: usize,
    /// Who says the item that is being shown; `None` before the first, and for what is not kept.
    role: Option<Role>,
    /// What the model says in this turn, so far.
    text: String,
    /// The turn that is being shown.
    turn: Option<Answer>,
}

impl PromptHistory {
    /// The history; `None` where the request has none, or several.
    #[must_use]
    pub fn finish(mut self) -> Option<History> {
        self.close();
        (self.prompts == 1).then_some(self.history)
    }

    /// The item is over, and the turn if it was the model's.
    fn close(&mut self) {
        self.role = None;
        let Some(mut turn) = self.turn.take() else {
            return;
        };
        let said = canonical::said(&self.text);
        (turn.text, turn.text_prefixes) = canonical::text_and_beginnings(said);
        turn.text_chars = chars(said);
        let history = &mut self.history;
        if history.answers.capacity() == 0 {
            history.answers.reserve(TURNS_USUAL);
        }
        history.answers.push(turn);
        note_ids(&mut history.ids_in_text, &self.text);
        self.text.clear();
    }

    /// A part of what the user says in an item. Each is read by itself: put together, a long one would have to be copied.
    fn asked(&mut self, text: &str) {
        let history = &mut self.history;
        if let Some(item) = history.items.last_mut()
            && let Some(words) = canonical::words(canonical::said(text))
        {
            item.text = Some(match item.text {
                Some(before) => of_all([before, words]),
                None => words,
            });
        }
        note_ids(&mut history.ids_in_text, text);
    }

    fn call(&mut self, call: &CallPart<'_>) {
        let Some(turn) = &mut self.turn else { return };
        let number = turn.calls.len();
        if number == CALLS_MAX {
            self.history.truncated = true;
            return;
        }
        turn.calls.push(Call {
            number,
            id: call.id.map(word),
            name: call.name.map(word),
            arguments: Some(known::arguments(call.arguments.unwrap_or(Words::NONE))),
            strings: Vec::new(),
            arguments_end: None,
        });
    }

    fn tools(&mut self, tools: Tools<'_>) {
        let more = segment(tools.definitions);
        let tools = &mut self.history.tools;
        *tools = Some(match *tools {
            None => more,
            Some(tools) => Segment {
                raw: of_all([tools.raw, more.raw]),
                bytes: tools.bytes.saturating_add(more.bytes),
            },
        });
    }

    /// The id of an item that the request brings or names.
    fn item_id(&mut self, id: Digest) {
        let history = &mut self.history;
        if history.item_ids.len() < ITEMS_MAX {
            history.item_ids.push(id);
        }
        match &mut self.turn {
            Some(turn) if turn.item_ids.len() < CALLS_MAX => turn.item_ids.push(id),
            _ => {}
        }
    }
}

impl Visitor for PromptHistory {
    fn prompt(&mut self, _kind: PromptKind) {
        self.prompts += 1;
    }

    fn message(&mut self, message: &Message<'_>) {
        let goes_on = message.role == Role::Assistant && self.turn.is_some();
        if !goes_on {
            self.close();
        }
        let items = &mut self.history.items;
        if items.len() == ITEMS_MAX {
            self.history.truncated = true;
            self.role = None;
            return;
        }
        if items.capacity() == 0 {
            items.reserve(ITEMS_USUAL);
        }
        if message.role == Role::Assistant && !goes_on {
            self.turn = Some(Answer {
                at: items.len(),
                ..Answer::default()
            });
        }
        items.push(Item {
            segment: segment(message.item),
            speaker: speaker(message.role),
            text: None,
        });
        self.role = Some(message.role);
        if let Some(id) = message.id {
            self.item_id(word(id));
        }
    }

    fn part(&mut self, place: Place, part: &Part<'_>) {
        if let Part::Tools(tools) = part {
            return self.tools(*tools);
        }
        let Some(role) = self.role else { return };
        match part {
            // What a tool says may be in a user's item.
            Part::Text(text) if place.role == role => match role {
                Role::User => self.asked(&text.decode()),
                Role::Assistant => text.decode_into(&mut self.text),
                Role::System | Role::Tool | Role::Other => {}
            },
            Part::ToolCall(call) => self.call(call),
            Part::ToolResult(id) => {
                let history = &mut self.history;
                if history.results.len() == ITEMS_MAX {
                    history.truncated = true;
                    return;
                }
                history.results.push(ToolResult {
                    at: history.items.len().saturating_sub(1),
                    id: id.map(word),
                });
            }
            _ => {}
        }
    }

    fn parameter(&mut self, name: &'static str, value: Value<'_>) {
        self.history.parameters.push((name, raw(value.raw())));
    }

    fn cache_lifetime(&mut self, lifetime: Duration) {
        self.history.cache_lifetime = Some(lifetime);
    }
}

/// Sets what the calls of an answer say, by the texts that were gathered of it.
pub fn read_arguments(texts: &Texts, calls: &mut [ToolCall]) {
    if !texts.is_cut() {
        for (number, call) in calls.iter_mut().enumerate() {
            call.arguments = Some(canonical::arguments(texts.arguments(number as u64)));
        }
    }
}

/// What an answer adds to a history, by the texts that were gathered of it; `None` where these are not all there were.
#[must_use]
pub fn answer(texts: &Texts, calls: &[ToolCall], item_ids: &[Digest]) -> Option<Answer> {
    if texts.is_cut() {
        return None;
    }
    let said = canonical::said(texts.content());
    let calls = calls.iter().enumerate();
    Some(Answer {
        at: 0,
        text: canonical::text(said),
        text_chars: chars(said),
        text_prefixes: Vec::new(),
        calls: calls
            .filter(|(_, call)| call.kind.is_client_run())
            .map(|(number, call)| Call {
                number,
                id: call.id.as_deref().map(canonical::word),
                name: Some(&*call.name)
                    .filter(|name| !name.is_empty())
                    .map(canonical::word),
                arguments: call.arguments,
                strings: canonical::long_strings(texts.arguments(number as u64)),
                arguments_end: call.arguments_end,
            })
            .collect(),
        item_ids: item_ids.to_vec(),
    })
}

fn segment(value: Value<'_>) -> Segment {
    Segment {
        raw: raw(value.raw()),
        bytes: value.raw().len().try_into().unwrap_or(u32::MAX),
    }
}

fn word(words: Words<'_>) -> Digest {
    canonical::word(&words.decode())
}

fn chars(text: &str) -> u32 {
    text.chars().count().try_into().unwrap_or(u32::MAX)
}

/// Who that is in the record of an exchange.
pub(in crate::dialect) const fn speaker(role: Role) -> Speaker {
    match role {
        Role::System => Speaker::System,
        Role::User => Speaker::User,
        Role::Assistant => Speaker::Assistant,
        Role::Tool => Speaker::Tool,
        Role::Other => Speaker::Other,
    }
}

/// Notes what in a text looks like the id of a call.
fn note_ids(ids: &mut Vec<Digest>, text: &str) {
    canonical::each_call_id(text, |id| note_last(ids, canonical::word(id)));
}

/// Keeps the last ones, each once.
fn note_last(ids: &mut Vec<Digest>, id: Digest) {
    ids.retain(|known| *known != id);
    if ids.len() == IDS_IN_TEXT_MAX {
        ids.remove(0);
    }
    ids.push(id);
}
