//! The items of a conversation as they are held to be shown.
//!
//! An item comes in several events: from the client with its sound, from the server without it, and its transcript later
//! still. What one of them does not say another may have said.

use std::collections::VecDeque;

use crate::dialect::fold::{Digesting, PromptContent, Said, name, of_inline, speaker};
use crate::dialect::kit::member::count;
use crate::dialect::kit::prompt;
use crate::dialect::kit::typed::type_of;
use crate::dialect::openai_responses;
use crate::dialect::part::Place;
use crate::exchange::{ContentMessage, ContentPart, Speaker};
use crate::parse::json::{Text, Value};

/// Most items that are held, of a conversation or of one input; the oldest is let go.
pub(super) const ITEMS_MAX: usize = 512;

/// Most parts of one item that are held.
const PARTS_MAX: usize = 64;

/// One item.
#[derive(Debug, Clone)]
pub(super) struct HeldItem {
    /// Its id, once somebody gave it one.
    pub(super) id: Option<String>,
    /// Which change of the conversation brought it.
    pub(super) number: u64,
    /// Which one took it away, while it is held for responses that began before.
    pub(super) gone: Option<u64>,
    /// Who says it.
    pub(super) speaker: Speaker,
    /// There was more than is held.
    pub(super) is_lost: bool,
    contents: Vec<HeldContent>,
}

/// A part of an item.
#[derive(Debug, Clone, Default)]
struct HeldContent {
    parts: Vec<ContentPart>,
    /// How many bytes of texts these have.
    bytes: usize,
    sound: Option<ContentPart>,
    /// What the sound says.
    transcript: Option<String>,
    /// The server has cut the sound off, and dropped what it says.
    is_cut: bool,
    /// What there is to say of a sound that was not seen.
    unseen: Option<ContentPart>,
}

impl HeldItem {
    /// Reads an item, up to so many bytes of its texts. `format` is that of sound.
    pub(super) fn read(item: Value<'_>, bytes: usize, format: Option<&str>) -> Self {
        let [id, role, content] = item.select(["id", "role", "content"]);
        let mut held = Self {
            id: named(id),
            number: 0,
            gone: None,
            speaker: speaker(prompt::role_of(role)),
            is_lost: false,
            contents: Vec::new(),
        };
        let is_message = matches!(&*type_of(item), "message" | "");
        let Some(content) = content.filter(|_| is_message) else {
            let mut fold = PromptContent::within(bytes);
            openai_responses::show_item(item, &mut fold);
            held.take(fold.finish());
            return held;
        };
        let place = Place::said_by(prompt::role_of(role));
        let mut left = bytes;
        for part in content.elements() {
            held.is_lost |= held.contents.len() == PARTS_MAX;
            if held.is_lost {
                break;
            }
            if let Some(sound) = HeldContent::of_sound(part, format) {
                held.contents.push(sound);
            } else {
                let mut fold = PromptContent::within(left);
                prompt::part(part, place, &mut fold);
                held.take(fold.finish());
            }
            left = bytes.saturating_sub(held.bytes());
        }
        held
    }

    /// An item of the user's of which only the sound is known.
    pub(super) fn of_sound(id: String, sound: Option<ContentPart>) -> Self {
        let content = HeldContent {
            sound,
            ..HeldContent::default()
        };
        Self {
            id: Some(id),
            number: 0,
            gone: None,
            speaker: Speaker::User,
            is_lost: false,
            contents: vec![content],
        }
    }

    /// Takes what a fold came to as the next part.
    fn take(&mut self, said: Said) {
        self.is_lost |= said.lost;
        let mut parts = Vec::new();
        for message in said.input {
            if self.contents.is_empty() && message.speaker != Speaker::Other {
                self.speaker = message.speaker;
            }
            parts.extend(message.parts);
        }
        let held: usize = self.contents.iter().map(|it| it.parts.len()).sum();
        let room = PARTS_MAX.saturating_sub(held);
        self.is_lost |= parts.len() > room;
        parts.truncate(room);
        self.contents.push(HeldContent {
            parts,
            bytes: said.bytes,
            ..HeldContent::default()
        });
    }

    /// How many bytes of texts it has.
    pub(super) fn bytes(&self) -> usize {
        self.contents.iter().map(HeldContent::bytes).sum()
    }

    /// Whether it may be what the client has `sent` without an id. Sound that was committed is none of what it sent as text.
    pub(super) fn may_be(&self, sent: &Self) -> bool {
        let is_alike = self.contents.is_empty() || self.has_sound() == sent.has_sound();
        sent.id.is_none() && sent.speaker == self.speaker && is_alike
    }

    fn has_sound(&self) -> bool {
        let mut contents = self.contents.iter();
        contents.any(|it| it.sound.is_some() || it.unseen.is_some())
    }

    /// The same item as a later event has it, with what only the earlier one had.
    pub(super) fn updated_by(self, newer: Self) -> Self {
        let mut older = self.contents.into_iter();
        let newer_contents = newer.contents.into_iter();
        let mut contents: Vec<_> = newer_contents
            .map(|content| match older.next() {
                Some(before) => before.updated_by(content),
                None => content,
            })
            .collect();
        contents.extend(older);
        Self {
            id: newer.id.or(self.id),
            number: self.number.max(newer.number),
            gone: None,
            speaker: newer.speaker,
            is_lost: self.is_lost || newer.is_lost,
            contents,
        }
    }

    /// Sets what a sound of it says.
    pub(super) fn set_transcript(&mut self, place: Option<Value<'_>>, transcript: String) {
        let content = self.content_at(place).filter(|it| !it.is_cut);
        if let Some(content) = content {
            content.transcript = Some(transcript);
        }
    }

    /// The server has cut a sound of it off, and dropped its transcript: nobody has heard all of that.
    pub(super) fn cut(&mut self, place: Option<Value<'_>>) {
        if let Some(content) = self.content_at(place) {
            content.transcript = None;
            content.is_cut = true;
        }
    }

    fn content_at(&mut self, place: Option<Value<'_>>) -> Option<&mut HeldContent> {
        let at = usize::try_from(place.and_then(count).unwrap_or_default()).ok()?;
        if at >= PARTS_MAX {
            return None;
        }
        if self.contents.len() <= at {
            self.contents.resize_with(at + 1, HeldContent::default);
        }
        self.contents.get_mut(at)
    }

    /// As a message.
    pub(super) fn message(&self) -> ContentMessage {
        ContentMessage {
            speaker: self.speaker,
            name: None,
            parts: self.contents.iter().flat_map(HeldContent::parts).collect(),
            finish_reason: None,
        }
    }
}

impl HeldContent {
    /// A part that is sound, or what was made of one; `None` for any other.
    fn of_sound(part: Value<'_>, format: Option<&str>) -> Option<Self> {
        let kind = type_of(part);
        if !matches!(&*kind, "input_audio" | "output_audio" | "audio") {
            return None;
        }
        let [sound, transcript] = part.select(["audio", "transcript"]);
        let sound = text(sound).map(|sound| {
            let format = format.map(str::to_owned);
            of_inline("audio", format, &sound.decode())
        });
        Some(Self {
            sound,
            transcript: text(transcript).map(|said| said.decode().into_owned()),
            unseen: Some(ContentPart::Other {
                kind: kind.into_owned(),
                bytes: part.written().len() as u64,
            }),
            ..Self::default()
        })
    }

    fn bytes(&self) -> usize {
        let sound = self.sound.as_ref().and_then(ContentPart::mime_type);
        let transcript = self.transcript.as_ref().map_or(0, String::len);
        self.bytes + sound.map_or(0, str::len) + transcript
    }

    fn updated_by(self, newer: Self) -> Self {
        let (parts, bytes) = match newer.parts.is_empty() {
            true => (self.parts, self.bytes),
            false => (newer.parts, newer.bytes),
        };
        let is_cut = self.is_cut || newer.is_cut;
        let transcript = newer.transcript.or(self.transcript);
        Self {
            parts,
            bytes,
            sound: newer.sound.or(self.sound),
            transcript: transcript.filter(|_| !is_cut),
            is_cut,
            unseen: newer.unseen.or(self.unseen),
        }
    }

    /// Its parts: sound before what it says.
    fn parts(&self) -> impl Iterator<Item = ContentPart> {
        let said = self.transcript.clone().map(ContentPart::Text);
        let is_heard = self.sound.is_some() || said.is_some();
        let unseen = self.unseen.as_ref().filter(|_| !is_heard);
        let parts = self.parts.iter().chain(&self.sound).chain(unseen);
        parts.cloned().chain(said)
    }
}

/// Sound that the client sends before it is an item.
#[derive(Debug, Default)]
pub(super) struct SoundBuffer {
    /// What came since the client last committed or cleared it.
    open: Digesting,
    /// Some of that is not known.
    is_missed: bool,
    /// What the client has committed and the server has not made an item of.
    committed: VecDeque<Option<Digesting>>,
}

/// Most commits that wait for the server.
const COMMITS_MAX: usize = 16;

impl SoundBuffer {
    /// More sound.
    pub(super) fn append(&mut self, data: Text<'_>) {
        self.open.add(&data.decode());
    }

    /// What came is forgotten.
    pub(super) fn clear(&mut self) {
        self.close();
    }

    /// The client makes an item of it.
    pub(super) fn commit(&mut self) {
        if self.committed.len() == COMMITS_MAX {
            self.committed.pop_front();
        }
        let sound = self.close();
        self.committed.push_back(sound);
    }

    /// The server makes no item of what was committed, and so keeps it for the next: nobody knows what that will be.
    pub(super) fn refused(&mut self) {
        self.committed.pop_front();
        self.miss();
    }

    /// Some of it was not seen.
    pub(super) const fn miss(&mut self) {
        self.is_missed = true;
    }

    /// The server has made an item of it, at the client's word or its own: what was sent for it, where that is known.
    pub(super) fn take(&mut self, format: Option<&str>) -> Option<ContentPart> {
        let sound = match self.committed.pop_front() {
            Some(committed) => committed,
            None => self.close(),
        };
        sound.map(|sound| sound.into_blob("audio", format.map(str::to_owned)))
    }

    fn close(&mut self) -> Option<Digesting> {
        let sound = std::mem::take(&mut self.open);
        let is_missed = std::mem::take(&mut self.is_missed);
        Some(sound).filter(|sound| !is_missed && !sound.is_empty())
    }
}

/// A text that is not empty.
pub(super) fn text(member: Option<Value<'_>>) -> Option<Text<'_>> {
    member?.as_text().filter(|text| !text.is_empty())
}

/// A name or an id, as far as it is kept.
pub(super) fn named(member: Option<Value<'_>>) -> Option<String> {
    text(member).map(|text| name(&text.decode()))
}
