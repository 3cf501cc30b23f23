//! What a session's responses are given to read, held to be shown: instructions, tools, and the items of the conversation.
//!
//! The model reads the whole conversation for each response, as it reads the messages of a chat, so that is the input of each.
//! It lies at the server, whose events say what is in it and in which order. What the client sends becomes a part of it when
//! the server says so; at a server that says nothing of items, when it answers a request that came after them.

use std::collections::VecDeque;
use std::time::Duration;

use super::item::{HeldItem, SoundBuffer, text};
use super::standing::Standing;
use crate::dialect::fold::Said;
use crate::dialect::kit::member::keep;
use crate::parse::json::{Kind, Value};

/// Most items that are held; the oldest is let go.
const ITEMS_MAX: usize = 512;

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
    /// How many items were added.
    added: u64,
    /// Something that was said is not here.
    is_lost: bool,
}

/// An item that the client has sent.
#[derive(Debug)]
struct Unconfirmed {
    at: Duration,
    event_id: Option<String>,
    item: HeldItem,
}

/// What a request for a response says of its prompt.
#[derive(Debug, Default)]
pub(super) struct OwnPrompt {
    standing: Standing,
    /// What it is to read in place of the conversation.
    input: Option<Vec<HeldItem>>,
    /// It leaves the conversation as it is.
    pub(super) is_apart: bool,
    /// Something of it is not here.
    is_lost: bool,
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
        text(format().or_else(|| session.get(&old))).map(keep)
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
            event_id: text(event.get("event_id")).map(keep),
            item,
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
            | "conversation.item.retrieved" => self.item(event),
            "conversation.item.deleted" => {
                if let Some(at) = self.place_named(event.get("item_id")) {
                    self.bytes -= self.items.remove(at).bytes();
                }
            }
            // The server drops the transcript of what nobody has heard.
            "conversation.item.truncated" => self.transcribed(event, false),
            "conversation.item.input_audio_transcription.completed" => {
                self.transcribed(event, true);
            }
            "input_audio_buffer.committed" => self.committed(event),
            _ => {}
        }
    }

    /// An item of a response is whole, or the server speaks of one in the conversation.
    pub(super) fn item(&mut self, event: Value<'_>) {
        if let Some(item) = event.get("item") {
            let item = HeldItem::read(item, self.most, self.format.as_deref());
            self.put(item, event.get("previous_item_id"));
        }
    }

    /// An error of this code refuses what the client calls so.
    pub(super) fn refused(&mut self, cause: Option<&str>, code: Option<&str>) {
        if code == Some(COMMIT_REFUSED) {
            self.sound.refused();
        }
        let by_id = |it: &Unconfirmed| it.event_id.is_some() && it.event_id.as_deref() == cause;
        if let Some(at) = self.unconfirmed.iter().position(by_id) {
            let refused = self.unconfirmed.remove(at);
            self.bytes -= refused.map_or(0, |refused| refused.item.bytes());
        }
    }

    fn committed(&mut self, event: Value<'_>) {
        let sound = self.sound.take(self.format.as_deref());
        if let Some(id) = text(event.get("item_id")) {
            let item = HeldItem::of_sound(keep(id), sound);
            self.put(item, event.get("previous_item_id"));
        }
    }

    fn transcribed(&mut self, event: Value<'_>, is_known: bool) {
        let Some(at) = self.place_named(event.get("item_id")) else {
            return;
        };
        let transcript = text(event.get("transcript")).filter(|_| is_known);
        let transcript = transcript.map(|said| said.decode().into_owned());
        let item = &mut self.items[at];
        self.bytes -= item.bytes();
        item.set_transcript(event.get("content_index"), transcript);
        self.bytes += item.bytes();
        self.shrink();
    }

    /// Puts an item into the conversation, behind the `previous` one; where it is there already, what is new of it.
    fn put(&mut self, item: HeldItem, previous: Option<Value<'_>>) {
        let mut item = match self.confirm(&item) {
            Some(sent) => sent.updated_by(item),
            None => item,
        };
        self.bytes += item.bytes();
        let known = item.id.as_deref().and_then(|id| self.place(id));
        if let Some(at) = known {
            let before = self.items.remove(at);
            self.bytes -= before.bytes() + item.bytes();
            let item = before.updated_by(item);
            self.bytes += item.bytes();
            self.items.insert(at, item);
        } else {
            let is_first = text(previous).is_some_and(|id| id.is("root"));
            let behind = self.place_named(previous).map(|at| at + 1);
            let at = behind.unwrap_or(if is_first { 0 } else { self.items.len() });
            self.added += 1;
            item.number = self.added;
            self.items.insert(at, item);
        }
        self.shrink();
    }

    /// The item that the client has sent, of which the server speaks: it has its id, or it had none.
    fn confirm(&mut self, item: &HeldItem) -> Option<HeldItem> {
        let id = |sent: &Unconfirmed| sent.item.id.is_some() && sent.item.id == item.id;
        let may_be = |sent: &Unconfirmed| {
            sent.item.id.is_none() && sent.item.speaker == item.speaker && self.is_new(item)
        };
        let by_id = self.unconfirmed.iter().position(id);
        let at = by_id.or_else(|| self.unconfirmed.iter().position(may_be))?;
        let sent = self.unconfirmed.remove(at)?.item;
        self.bytes -= sent.bytes();
        Some(sent)
    }

    fn is_new(&self, item: &HeldItem) -> bool {
        item.id.as_deref().and_then(|id| self.place(id)).is_none()
    }

    /// The client's request of that instant is answered, and so it was read behind what the client had sent before.
    pub(super) fn answers(&mut self, asked: Duration) {
        let is_behind = |sent: &Unconfirmed| sent.at > asked;
        let count = self.unconfirmed.iter().position(is_behind);
        let count = count.unwrap_or(self.unconfirmed.len());
        let sent: Vec<_> = self.unconfirmed.drain(..count).collect();
        for sent in sent {
            self.bytes -= sent.item.bytes();
            self.put(sent.item, None);
        }
    }

    /// Where the conversation is now.
    pub(super) const fn mark(&self) -> u64 {
        self.added
    }

    /// What a response is given to read that began at a mark.
    pub(super) fn said(&self, own: Option<OwnPrompt>, mark: u64) -> Said {
        let own = own.unwrap_or_default();
        let standing = own.standing.over(&self.standing);
        let before = self.items.iter().filter(|item| item.number <= mark);
        let items: Vec<&HeldItem> = match &own.input {
            Some(input) => input.iter().collect(),
            None => before.collect(),
        };
        let is_lost = own.is_lost || (self.is_lost && own.input.is_none());
        Said {
            bytes: items.iter().map(|it| it.bytes()).sum::<usize>() + standing.bytes(),
            lost: is_lost || standing.is_lost() || items.iter().any(|it| it.is_lost),
            input: items.into_iter().map(HeldItem::message).collect(),
            system: standing.system(),
            tools: standing.tools(),
        }
    }

    /// What a `response.create` says of its prompt.
    pub(super) fn own(&self, event: Value<'_>) -> OwnPrompt {
        let Some(response) = event.get("response") else {
            return OwnPrompt::default();
        };
        let [input, conversation] = response.select(["input", "conversation"]);
        let input = input.filter(|input| input.kind() == Kind::Array);
        let item = |item: Value<'_>| {
            let named = text(item.get("type")).is_some_and(|kind| kind.is("item_reference"));
            let known = self.place_named(item.get("id")).filter(|_| named);
            match known {
                Some(at) => self.items[at].clone(),
                None => HeldItem::read(item, self.most, self.format.as_deref()),
            }
        };
        OwnPrompt {
            standing: Standing::read(response, self.most),
            input: input.map(|input| input.elements().take(ITEMS_MAX).map(item).collect()),
            is_apart: text(conversation).is_some_and(|it| it.is("none")),
            is_lost: false,
        }
    }

    fn place(&self, id: &str) -> Option<usize> {
        let mut items = self.items.iter();
        items.rposition(|item| item.id.as_deref() == Some(id))
    }

    fn place_named(&self, id: Option<Value<'_>>) -> Option<usize> {
        self.place(&text(id)?.decode())
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
            added: self.added,
            format: self.format.take(),
            is_lost: true,
            ..Self::default()
        };
    }
}

impl OwnPrompt {
    /// How many bytes of texts it has.
    pub(super) fn bytes(&self) -> usize {
        let input = self.input.iter().flatten();
        input.map(HeldItem::bytes).sum::<usize>() + self.standing.bytes()
    }

    /// Lets them go.
    pub(super) fn lose(&mut self) {
        self.input = self.input.take().map(|_| Vec::new());
        self.standing = Standing::default();
        self.is_lost = true;
    }
}
