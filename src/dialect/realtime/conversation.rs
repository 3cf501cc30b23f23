//! What a session's responses are given to read, held to be shown: instructions, tools, and the items of the conversation.
//!
//! The model reads the whole conversation for each response, as it reads the messages of a chat, so that is the input of each.
//! It lies at the server, whose events say what is in it and in which order. What the client sends becomes a part of it when
//! the server says so; at a server that says nothing of items, when it answers a request that came after them.

use std::collections::VecDeque;
use std::time::Duration;

use super::item::{HeldItem, ITEMS_MAX, SoundBuffer, named, text};
use super::own::OwnPrompt;
use super::standing::Standing;
use crate::dialect::fold::{Said, name};
use crate::parse::json::Value;

/// Most bytes of texts of them. More than any such model can read.
const BYTES_MAX: usize = 1 << 20;

/// The code of the error by which too little sound is refused as an item.
const COMMIT_REFUSED: &str = "input_audio_buffer_commit_empty";

/// A conversation, as far as it is held.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// Most bytes of texts.
    most: usize,
    standing: Standing,
    items: Vec<HeldItem>,
    /// How many bytes of texts the items have, those that wait among them.
    bytes: usize,
    /// What the client has sent and the server has not confirmed.
    unconfirmed: VecDeque<Unconfirmed>,
    sound: SoundBuffer,
    format: Option<String>,
    /// How many changes there were to what is in it.
    changes: u64,
    /// How many responses are in progress, which read what was in it when they began.
    reading: usize,
    /// The server says which of the items that the client sends are in it.
    confirms: bool,
    /// Something that was said is not here.
    is_lost: bool,
}

/// An item that the client has sent.
#[derive(Debug)]
struct Unconfirmed {
    at: Duration,
    event_id: Option<String>,
    item: HeldItem,
    /// Where it is to be.
    previous: Option<Previous>,
}

/// The place of an item.
#[derive(Debug)]
enum Previous {
    /// Before all others.
    Root,
    /// Behind the item of this id.
    Item(String),
}

impl Conversation {
    pub(super) fn within(bytes: usize) -> Self {
        Self {
            most: bytes.min(BYTES_MAX),
            ..Self::default()
        }
    }

    /// How many bytes of texts it holds.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.standing.bytes()
    }

    /// Something was not seen.
    pub(super) fn miss(&mut self) {
        self.is_lost = true;
        self.sound.miss();
    }

    /// The format of sound that the server makes by these settings of a session.
    pub(super) fn format_of(session: Value<'_>, side: &str) -> Option<String> {
        let old = format!("{side}_audio_format");
        let format = || session.get("audio")?.get(side)?.get("format")?.get("type");
        named(format().or_else(|| session.get(&old)))
    }

    /// The server says how the session stands.
    pub(super) fn told(&mut self, event: Value<'_>) {
        if let Some(session) = event.get("session") {
            let told = Standing::read(session, self.most);
            self.standing = told.over(&self.standing);
            self.format = Self::format_of(session, "input").or(self.format.take());
        }
    }

    /// The client has sent an event of this type.
    pub(super) fn client(&mut self, at: Duration, kind: &str, event: Value<'_>) {
        match kind {
            "conversation.item.create" => self.create(at, event),
            "input_audio_buffer.append" => {
                let sound = text(event.get("audio"));
                sound.into_iter().for_each(|sound| self.sound.append(sound));
            }
            "input_audio_buffer.commit" => self.sound.commit(),
            "input_audio_buffer.clear" => self.sound.clear(),
            _ => {}
        }
    }

    fn create(&mut self, at: Duration, event: Value<'_>) {
        let Some(item) = event.get("item") else {
            return;
        };
        let item = HeldItem::read(item, self.most, self.format.as_deref());
        self.bytes += item.bytes();
        self.unconfirmed.push_back(Unconfirmed {
            at,
            event_id: named(event.get("event_id")),
            item,
            previous: Previous::read(event.get("previous_item_id")),
        });
        self.shrink();
    }

    /// The server has sent an event of this type.
    pub(super) fn server(&mut self, kind: &str, event: Value<'_>) {
        match kind {
            "session.created" | "session.updated" => self.told(event),
            "conversation.item.created"
            | "conversation.item.added"
            | "conversation.item.done"
            | "conversation.item.retrieved" => {
                let [item, previous] = event.select(["item", "previous_item_id"]);
                item.into_iter().for_each(|item| self.item(item, previous));
            }
            "conversation.item.deleted" => {
                let at = self.place_named(event.get("item_id"));
                at.into_iter().for_each(|at| self.remove(at));
            }
            "conversation.item.truncated" => self.truncated(event),
            "conversation.item.input_audio_transcription.completed" => self.transcribed(event),
            "input_audio_buffer.committed" => self.committed(event),
            _ => {}
        }
    }

    /// An item of a response is whole, or the server speaks of one in the conversation, behind the `previous` one.
    pub(super) fn item(&mut self, item: Value<'_>, previous: Option<Value<'_>>) {
        let item = HeldItem::read(item, self.most, self.format.as_deref());
        let (item, asked) = match self.confirm(&item) {
            Some(sent) => (sent.item.updated_by(item), sent.previous),
            None => (item, None),
        };
        self.put(item, Previous::read(previous).or(asked));
    }

    /// An error of this code refuses what the client calls so.
    pub(super) fn refused(&mut self, cause: Option<&str>, code: Option<&str>) {
        if code == Some(COMMIT_REFUSED) {
            self.sound.refused();
        }
        let cause = cause.map(name);
        let by_id = |it: &Unconfirmed| it.event_id.is_some() && it.event_id == cause;
        if let Some(at) = self.unconfirmed.iter().position(by_id) {
            let refused = self.unconfirmed.remove(at);
            self.bytes -= refused.map_or(0, |refused| refused.item.bytes());
        }
    }

    fn committed(&mut self, event: Value<'_>) {
        let sound = self.sound.take(self.format.as_deref());
        if let Some(id) = named(event.get("item_id")) {
            self.put(
                HeldItem::of_sound(id, sound),
                Previous::read(event.get("previous_item_id")),
            );
        }
    }

    fn transcribed(&mut self, event: Value<'_>) {
        let [item, place, transcript] = event.select(["item_id", "content_index", "transcript"]);
        if let Some((at, said)) = self.place_named(item).zip(text(transcript)) {
            let said = said.decode().into_owned();
            self.change(at, |item| item.set_transcript(place, said));
        }
    }

    /// What an item says is cut off. Responses in progress have read all of it.
    fn truncated(&mut self, event: Value<'_>) {
        let Some(mut at) = self.place_named(event.get("item_id")) else {
            return;
        };
        let mut after = self.items[at].clone();
        after.cut(event.get("content_index"));
        if self.reading > 0 && after.bytes() < self.items[at].bytes() {
            self.bytes += after.bytes();
            self.remove(at);
            at += 1;
            after.number = self.changes;
            self.items.insert(at, after);
        } else {
            self.change(at, |item| *item = after);
        }
        self.shrink();
    }

    fn change(&mut self, at: usize, change: impl FnOnce(&mut HeldItem)) {
        let item = &mut self.items[at];
        self.bytes -= item.bytes();
        change(item);
        self.bytes += item.bytes();
        self.shrink();
    }

    /// Takes an item away. Responses in progress have read it.
    fn remove(&mut self, at: usize) {
        if self.reading > 0 {
            self.changes += 1;
            self.items[at].gone = Some(self.changes);
        } else {
            self.bytes -= self.items.remove(at).bytes();
        }
    }

    /// Puts an item into the conversation, behind the `previous` one; where it is there already, what is new of it.
    fn put(&mut self, mut item: HeldItem, previous: Option<Previous>) {
        let known = item.id.as_deref().and_then(|id| self.place(id));
        if let Some(at) = known {
            let before = self.items.remove(at);
            self.bytes -= before.bytes();
            let item = before.updated_by(item);
            self.bytes += item.bytes();
            self.items.insert(at, item);
        } else {
            let at = match previous {
                Some(Previous::Root) => Some(0),
                Some(Previous::Item(id)) => self.place(&id).map(|at| at + 1),
                None => None,
            };
            self.bytes += item.bytes();
            self.changes += 1;
            item.number = self.changes;
            self.items.insert(at.unwrap_or(self.items.len()), item);
        }
        self.shrink();
    }

    /// What the client has sent of which the server speaks: an item of its id, or one that had none.
    fn confirm(&mut self, item: &HeldItem) -> Option<Unconfirmed> {
        let mut unconfirmed = self.unconfirmed.iter();
        let is_it = |sent: &Unconfirmed| sent.item.id.is_some() && sent.item.id == item.id;
        let at = unconfirmed.position(is_it).or_else(|| {
            let is_new = item.id.as_deref().and_then(|id| self.place(id)).is_none();
            let mut unconfirmed = self.unconfirmed.iter().filter(|_| is_new);
            unconfirmed.position(|sent| item.may_be(&sent.item))
        })?;
        let sent = self.unconfirmed.remove(at)?;
        self.bytes -= sent.item.bytes();
        self.confirms = true;
        Some(sent)
    }

    /// The client's request of that instant is answered, and so it was read behind what the client had sent before; but for
    /// what the server has not taken, where it says what it takes.
    pub(super) fn answers(&mut self, asked: Duration) {
        let is_behind = |sent: &Unconfirmed| sent.at > asked;
        let count = self.unconfirmed.iter().position(is_behind);
        let count = count.unwrap_or(self.unconfirmed.len());
        let sent: Vec<_> = self.unconfirmed.drain(..count).collect();
        for sent in sent {
            self.bytes -= sent.item.bytes();
            if !self.confirms {
                self.put(sent.item, sent.previous);
            }
        }
    }

    /// A response begins: where the conversation is, and what stands for it.
    pub(super) fn begin(&mut self) -> (u64, Standing) {
        self.reading += 1;
        (self.changes, self.standing.clone())
    }

    /// A response is over that began there. What was held for it alone is let go.
    pub(super) fn end(&mut self) {
        self.reading = self.reading.saturating_sub(1);
        if self.reading == 0 {
            self.items.retain(|item| item.gone.is_none());
            let items = self.items.iter().map(HeldItem::bytes);
            let waiting = self.unconfirmed.iter().map(|sent| sent.item.bytes());
            self.bytes = items.chain(waiting).sum();
        }
    }

    /// What a response is given to read that began so.
    pub(super) fn said(&self, own: Option<OwnPrompt>, (mark, standing): (u64, Standing)) -> Said {
        let own = own.unwrap_or_default();
        let standing = own.standing.over(&standing);
        let is_read =
            |item: &&HeldItem| item.number <= mark && item.gone.is_none_or(|gone| gone > mark);
        let items: Vec<&HeldItem> = match &own.input {
            Some(input) => input.iter().collect(),
            None => self.items.iter().filter(is_read).collect(),
        };
        let is_lost = own.is_lost || (self.is_lost && own.input.is_none());
        Said {
            bytes: items.iter().map(|it| it.bytes()).sum::<usize>() + standing.bytes(),
            lost: is_lost || standing.is_lost() || items.iter().any(|it| it.is_lost),
            unseen: own.is_unseen,
            input: items.into_iter().map(HeldItem::message).collect(),
            system: standing.system(),
            tools: standing.tools(),
        }
    }

    /// What a `response.create` says of its prompt.
    pub(super) fn own(&self, event: Value<'_>) -> OwnPrompt {
        let known = |id: Option<Value<'_>>| {
            if let Some(at) = self.place_named(id) {
                return Some(self.items[at].clone());
            }
            let id = named(id)?;
            let mut sent = self.unconfirmed.iter().map(|sent| &sent.item);
            sent.find(|item| item.id.as_ref() == Some(&id)).cloned()
        };
        OwnPrompt::read(event, self.most, self.format.as_deref(), &known)
    }

    fn place(&self, id: &str) -> Option<usize> {
        let mut items = self.items.iter();
        items.rposition(|item| item.gone.is_none() && item.id.as_deref() == Some(id))
    }

    fn place_named(&self, id: Option<Value<'_>>) -> Option<usize> {
        self.place(&named(id)?)
    }

    /// Lets the oldest go as long as there is too much.
    fn shrink(&mut self) {
        while self.items.len() + self.unconfirmed.len() > ITEMS_MAX || self.bytes > self.most {
            let oldest = match self.items.is_empty() {
                true => self.unconfirmed.pop_front().map(|sent| sent.item),
                false => Some(self.items.remove(0)),
            };
            let Some(oldest) = oldest else { return };
            self.bytes -= oldest.bytes();
            self.is_lost = true;
        }
    }

    /// Lets everything go.
    pub(super) fn lose(&mut self) {
        *self = Self {
            most: self.most,
            changes: self.changes,
            reading: self.reading,
            confirms: self.confirms,
            format: self.format.take(),
            is_lost: true,
            ..Self::default()
        };
    }
}

impl Previous {
    /// What an event says of it. `null` says the same as nothing: servers send it for the first item, and some for each.
    fn read(member: Option<Value<'_>>) -> Option<Self> {
        let id = named(member)?;
        Some(match &*id {
            "root" => Self::Root,
            _ => Self::Item(id),
        })
    }
}
