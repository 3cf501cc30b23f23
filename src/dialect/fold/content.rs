//! What was said, put together as messages: for those who are to see it.
//!
//! Fragments of a text are joined within their choice and kind, pieces of a sound too, those of a call by its number. Of what
//! is no text type, size and hash are kept; what is of a kind that is not known is named and not kept.

use std::borrow::Cow;

use super::binary::{Digesting, of_inline};
use super::history::speaker;
use super::name::name;
use crate::dialect::part::{
    Binary, CallPart, Medium, Message, Part, Place, PromptKind, Role, Source, Tools, Visitor, Words,
};
use crate::exchange::{ContentMessage, ContentPart, ContentTool, Response, Speaker};
use crate::parse::json::{Kind, Value};

/// Most parts of one side that are kept.
const PARTS_MAX: usize = 16 << 10;

/// How many bytes of texts may still be kept.
#[derive(Debug)]
struct Room {
    left: usize,
    held: usize,
    parts: usize,
    lost: bool,
}

impl Room {
    const fn of(bytes: usize) -> Self {
        Self {
            left: bytes,
            held: 0,
            parts: 0,
            lost: false,
        }
    }

    /// Whether so much more may be kept; nothing more is from the first time on that it may not.
    fn takes(&mut self, bytes: u64) -> bool {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.lost |= bytes > self.left;
        if !self.lost {
            self.left -= bytes;
            self.held += bytes;
        }
        !self.lost
    }

    fn takes_part(&mut self) -> bool {
        self.parts += 1;
        self.lost |= self.parts > PARTS_MAX;
        !self.lost
    }

    fn text(&mut self, words: Words<'_>) -> Option<String> {
        self.takes(words.bytes())
            .then(|| words.decode().into_owned())
    }

    /// What something calls itself, or is called.
    fn name(&mut self, words: Words<'_>) -> Option<String> {
        let name = name(&words.decode());
        self.takes(name.len() as u64).then_some(name)
    }
}

/// The messages of a request.
#[derive(Debug)]
pub struct PromptContent {
    room: Room,
    system: Vec<ContentPart>,
    input: Vec<ContentMessage>,
    tools: Vec<ContentTool>,
    /// What is shown is of instructions that stand apart, of a message, or of neither.
    within: Within,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    Nothing,
    System,
    Message,
}

/// What a request said.
#[derive(Debug, Default)]
pub struct Said {
    /// Instructions that stand apart from the messages.
    pub system: Vec<ContentPart>,
    /// The messages.
    pub input: Vec<ContentMessage>,
    /// The tools on offer.
    pub tools: Vec<ContentTool>,
    /// How many bytes of texts that is.
    pub bytes: usize,
    /// Whether there was more than may be kept.
    pub lost: bool,
    /// Whether it names something that was not seen.
    pub unseen: bool,
}

impl PromptContent {
    /// Keeps at most so many bytes of texts.
    #[must_use]
    pub const fn within(bytes: usize) -> Self {
        Self {
            room: Room::of(bytes),
            system: Vec::new(),
            input: Vec::new(),
            tools: Vec::new(),
            within: Within::Nothing,
        }
    }

    /// What it came to.
    #[must_use]
    pub fn finish(self) -> Said {
        Said {
            system: self.system,
            input: self.input,
            tools: self.tools,
            bytes: self.room.held,
            lost: self.room.lost,
            unseen: false,
        }
    }

    /// The parts that the next one comes to.
    fn parts(&mut self, place: Place) -> &mut Vec<ContentPart> {
        if self.within == Within::System {
            return &mut self.system;
        }
        if self.within == Within::Nothing || self.input.is_empty() {
            // A prompt that is no message: each text by itself.
            self.input.push(message(speaker(place.role)));
        }
        let last = self.input.len() - 1;
        &mut self.input[last].parts
    }

    fn push(&mut self, place: Place, part: ContentPart) {
        if self.room.takes_part() {
            self.parts(place).push(part);
        }
    }

    /// Adds what a tool said to its result; says whether there is one.
    fn add_to_result(&mut self, place: Place, text: Words<'_>) -> bool {
        let last = self.input.last_mut().and_then(|it| it.parts.last_mut());
        let Some(ContentPart::ToolCallResponse { response, .. }) =
            last.filter(|_| place.role == Role::Tool)
        else {
            return false;
        };
        if self.room.takes(text.bytes()) {
            if !response.is_empty() {
                response.push('\n');
            }
            text.decode_into(response);
        }
        true
    }

    fn tools(&mut self, tools: Tools<'_>) {
        for (definition, _) in tools.each() {
            let [kind, function, custom] = definition.select(["type", "function", "custom"]);
            let is_object = |value: &Value<'_>| value.kind() == Kind::Object;
            let holder = function.or(custom).filter(is_object).unwrap_or(definition);
            let [called, description, parameters, schema] =
                holder.select(["name", "description", "parameters", "input_schema"]);
            let parameters = parameters.or(schema).filter(is_object);
            let written = definition.written().len() as u64;
            if !self.room.takes_part() || !self.room.takes(written) {
                return;
            }
            let name_of = |value| text_of(value).map(|text| name(&text));
            self.tools.push(ContentTool {
                kind: name_of(kind).unwrap_or_else(|| "function".to_owned()),
                name: name_of(called)
                    .or_else(|| name_of(kind))
                    .unwrap_or_default(),
                description: text_of(description).map(Cow::into_owned),
                parameters: parameters.map(|schema| schema.written().to_owned()),
            });
        }
    }
}

const fn message(speaker: Speaker) -> ContentMessage {
    ContentMessage {
        speaker,
        name: None,
        parts: Vec::new(),
        finish_reason: None,
    }
}

impl Visitor for PromptContent {
    fn prompt(&mut self, _kind: PromptKind) {
        self.within = Within::Nothing;
    }

    fn message(&mut self, shown: &Message<'_>) {
        // What is no object among messages is a member of its own: `instructions`, `system`.
        if shown.role == Role::System && shown.item.kind() != Kind::Object {
            self.within = Within::System;
            return;
        }
        self.within = Within::Message;
        if self.room.takes_part() {
            let name = shown.name.and_then(|name| self.room.name(name));
            self.input.push(ContentMessage {
                name,
                ..message(speaker(shown.role))
            });
        }
    }

    fn part(&mut self, place: Place, part: &Part<'_>) {
        match part {
            Part::Text(text) | Part::Inner(text) if self.add_to_result(place, *text) => {}
            Part::Text(text) | Part::Inner(text) | Part::Suffix(text) => {
                let text = self.room.text(*text).map(ContentPart::Text);
                text.into_iter().for_each(|text| self.push(place, text));
            }
            Part::Reasoning(text) | Part::Summary(text) => {
                let text = self.room.text(*text).map(ContentPart::Reasoning);
                text.into_iter().for_each(|text| self.push(place, text));
            }
            Part::Refusal(text) => {
                let text = self.room.text(*text).map(ContentPart::Refusal);
                text.into_iter().for_each(|text| self.push(place, text));
            }
            Part::ToolCall(call) => {
                let call = begin_call(&mut self.room, call);
                call.into_iter().for_each(|call| self.push(place, call));
            }
            Part::ToolResult(id) => {
                let id = id.and_then(|id| self.room.name(id));
                let response = String::new();
                self.push(place, ContentPart::ToolCallResponse { id, response });
            }
            Part::Tools(tools) => self.tools(*tools),
            Part::Binary(binary) => {
                let part = of_binary(&mut self.room, *binary);
                part.into_iter().for_each(|part| self.push(place, part));
            }
            Part::Tokens(list) | Part::Context(list) => {
                let part = other(&mut self.room, Words::Plain("tokens"), *list);
                part.into_iter().for_each(|part| self.push(place, part));
            }
            Part::Other(value) => {
                let part = other(&mut self.room, type_of(*value), *value);
                part.into_iter().for_each(|part| self.push(place, part));
            }
            Part::Hidden => {}
        }
    }
}

/// What a model generated, as it comes.
#[derive(Debug)]
pub struct AnswerContent {
    room: Room,
    choices: Vec<(u64, Vec<AnswerPart>)>,
}

#[derive(Debug)]
struct AnswerPart {
    /// Which call it is, where it is one.
    call: Option<u64>,
    /// The sound so far, where it is one that comes in pieces.
    sound: Option<Digesting>,
    part: ContentPart,
}

impl AnswerPart {
    fn into_part(self) -> ContentPart {
        match (self.part, self.sound) {
            (
                ContentPart::Blob {
                    modality,
                    mime_type,
                    ..
                },
                Some(sound),
            ) => sound.into_blob(modality, mime_type),
            (part, _) => part,
        }
    }

    const fn is_text(&self) -> bool {
        matches!(self.part, ContentPart::Text(_))
    }
}

/// The part that a piece of its kind goes on with: the last one, or the one before it where the last one comes beside it, as
/// sound does beside its transcript.
fn going_on(
    parts: &mut [AnswerPart],
    is_same: impl Fn(&mut AnswerPart) -> bool,
    is_beside: impl Fn(&AnswerPart) -> bool,
) -> Option<usize> {
    let last = parts.len().checked_sub(1)?;
    if is_same(&mut parts[last]) {
        return Some(last);
    }
    let before = last.checked_sub(1)?;
    (is_beside(&parts[last]) && is_same(&mut parts[before])).then_some(before)
}

impl AnswerContent {
    /// Keeps at most so many bytes of texts.
    #[must_use]
    pub const fn within(bytes: usize) -> Self {
        Self {
            room: Room::of(bytes),
            choices: Vec::new(),
        }
    }

    /// How many bytes of texts it holds.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.room.held
    }

    /// Whether there was more than may be kept.
    #[must_use]
    pub const fn is_lost(&self) -> bool {
        self.room.lost
    }

    /// Lets go what it holds, and keeps nothing more.
    pub fn lose(&mut self) {
        self.room = Room::of(0);
        self.room.lost = true;
        self.choices = Vec::new();
    }

    /// A message for each choice, with why it ended. Choices that the response is known not to have are its first one's.
    #[must_use]
    pub fn into_messages(mut self, response: &Response) -> Vec<ContentMessage> {
        self.choices.sort_by_key(|(choice, _)| *choice);
        let known = &response.choices;
        if let ([only], true) = (known.as_slice(), self.choices.len() > 1) {
            let parts = self.choices.drain(..).flat_map(|(_, parts)| parts);
            let parts = parts.collect();
            self.choices.push((only.index, parts));
        }
        let messages = self.choices.into_iter().map(|(choice, parts)| {
            let ended = known.iter().find(|known| known.index == choice);
            ContentMessage {
                parts: parts.into_iter().map(AnswerPart::into_part).collect(),
                finish_reason: ended.and_then(|ended| ended.finish_reason.clone()),
                ..message(Speaker::Assistant)
            }
        });
        messages.collect()
    }

    fn parts(&mut self, choice: u64) -> &mut Vec<AnswerPart> {
        let known = self.choices.iter().position(|(known, _)| *known == choice);
        let at = known.unwrap_or_else(|| {
            self.choices.push((choice, Vec::new()));
            self.choices.len() - 1
        });
        &mut self.choices[at].1
    }

    fn push(&mut self, choice: u64, call: Option<u64>, part: ContentPart) {
        if self.room.takes_part() {
            self.parts(choice).push(AnswerPart {
                call,
                sound: None,
                part,
            });
        }
    }

    /// Adds to the text that the choice ended with so far where that is of the same kind, which `same` tells.
    fn text(
        &mut self,
        choice: u64,
        text: Words<'_>,
        new: fn(String) -> ContentPart,
        same: fn(&mut ContentPart) -> Option<&mut String>,
    ) {
        if text.is_empty() || !self.room.takes(text.bytes()) {
            return;
        }
        let parts = self.parts(choice);
        let is_same = |one: &mut AnswerPart| same(&mut one.part).is_some();
        let at = going_on(parts, is_same, |last| last.sound.is_some());
        if let Some(known) = at.and_then(|at| same(&mut parts[at].part)) {
            text.decode_into(known);
        } else {
            self.push(choice, None, new(text.decode().into_owned()));
        }
    }

    /// Adds to the sound that the choice ended with so far, or to that beside its transcript.
    fn sound(&mut self, choice: u64, format: Option<Words<'_>>, data: Words<'_>) {
        let parts = self.parts(choice);
        let at = going_on(parts, |one| one.sound.is_some(), AnswerPart::is_text);
        if let Some(sound) = at.and_then(|at| parts[at].sound.as_mut()) {
            return sound.add(&data.decode());
        }
        let mime_type = format.and_then(|format| self.room.name(format));
        let mut sound = Digesting::default();
        sound.add(&data.decode());
        if self.room.takes_part() {
            let part = Digesting::default().into_blob("audio", mime_type);
            self.parts(choice).push(AnswerPart {
                call: None,
                sound: Some(sound),
                part,
            });
        }
    }

    fn call(&mut self, choice: u64, call: &CallPart<'_>) {
        let parts = self.parts(choice);
        let known = parts.iter().position(|part| part.call == Some(call.number));
        let Some(at) = known else {
            let begun = begin_call(&mut self.room, call);
            return begun
                .into_iter()
                .for_each(|part| self.push(choice, Some(call.number), part));
        };
        let texts = [call.id, call.name, call.arguments].into_iter().flatten();
        if !self.room.takes(texts.map(Words::bytes).sum()) {
            return;
        }
        let ContentPart::ToolCall {
            id,
            name,
            arguments,
        } = &mut self.parts(choice)[at].part
        else {
            return;
        };
        if let Some(new) = call.id.filter(|_| id.is_none()) {
            *id = Some(self::name(&new.decode()));
        }
        if let Some(new) = call.name {
            new.decode_into(name);
        }
        if let Some(new) = call.arguments {
            if call.again {
                arguments.clear();
            }
            new.decode_into(arguments);
        }
    }
}

impl Visitor for AnswerContent {
    // Never inlined into what reads a chunk: mostly there is no such fold.
    #[inline(never)]
    fn part(&mut self, place: Place, part: &Part<'_>) {
        let choice = place.choice;
        match part {
            Part::Text(text) => self.text(choice, *text, ContentPart::Text, |part| match part {
                ContentPart::Text(text) => Some(text),
                _ => None,
            }),
            Part::Reasoning(text) | Part::Summary(text) => {
                self.text(choice, *text, ContentPart::Reasoning, |part| match part {
                    ContentPart::Reasoning(text) => Some(text),
                    _ => None,
                });
            }
            Part::Refusal(text) => {
                self.text(choice, *text, ContentPart::Refusal, |part| match part {
                    ContentPart::Refusal(text) => Some(text),
                    _ => None,
                });
            }
            Part::ToolCall(call) => self.call(choice, call),
            Part::Binary(Binary {
                medium: Medium::Audio,
                source: Source::Inline(data),
                format,
            }) => self.sound(choice, *format, *data),
            Part::Binary(binary) => {
                let part = of_binary(&mut self.room, *binary);
                part.into_iter()
                    .for_each(|part| self.push(choice, None, part));
            }
            Part::Other(value) if value.kind() == Kind::Object => {
                let part = other(&mut self.room, type_of(*value), *value);
                part.into_iter()
                    .for_each(|part| self.push(choice, None, part));
            }
            // Fragments of what is not known, and what is not here.
            _ => {}
        }
    }
}

fn begin_call(room: &mut Room, call: &CallPart<'_>) -> Option<ContentPart> {
    let name_of = |words: Option<Words<'_>>| words.map(|words| name(&words.decode()));
    let (id, called) = (name_of(call.id), name_of(call.name).unwrap_or_default());
    let arguments = call.arguments.unwrap_or(Words::NONE);
    let names = called.len() + id.as_ref().map_or(0, String::len);
    let fits = room.takes(names as u64 + arguments.bytes());
    fits.then(|| ContentPart::ToolCall {
        id,
        name: called,
        arguments: arguments.decode().into_owned(),
    })
}

fn text_of(value: Option<Value<'_>>) -> Option<Cow<'_, str>> {
    Some(value?.as_text()?.decode())
}

fn type_of(value: Value<'_>) -> Words<'_> {
    let kind = value.get("type").and_then(Value::as_text);
    kind.map_or(Words::Plain("unknown"), Words::Json)
}

fn other(room: &mut Room, kind: Words<'_>, value: Value<'_>) -> Option<ContentPart> {
    room.name(kind).map(|kind| ContentPart::Other {
        kind,
        bytes: value.written().len() as u64,
    })
}

/// An image, a sound or a file, without its bytes.
fn of_binary(room: &mut Room, binary: Binary<'_>) -> Option<ContentPart> {
    let modality = match binary.medium {
        Medium::Image => "image",
        Medium::Audio => "audio",
        Medium::Video => "video",
        Medium::File => "document",
    };
    let mime_type = binary.format.map(|format| name(&format.decode()));
    let part = match binary.source {
        Source::Inline(data) => of_inline(modality, mime_type, &data.decode()),
        Source::Url(uri) => ContentPart::Uri {
            modality,
            mime_type,
            uri: room.text(uri)?,
        },
        Source::Id(id) => ContentPart::File {
            modality,
            mime_type,
            file_id: room.name(id)?,
        },
        Source::Unknown => return None,
    };
    let format = part.mime_type().map_or(0, str::len);
    room.takes(format as u64).then_some(part)
}

#[cfg(test)]
mod tests;
