//! The parts of a conversation: what a request gives a model to read, and what the model generates, one after another.
//!
//! A dialect knows where its API keeps them, and shows each of them to a [`Visitor`]. What is made of them (a length, a
//! count of tokens, a hash, a record) is a fold over them and knows no API. Parts are borrowed from the body or the event in
//! which they came.

use std::borrow::Cow;
use std::time::Duration;

use crate::parse::json::{self, Value};

/// Sees the parts of a prompt or of an answer.
pub trait Visitor {
    /// A prompt follows. A request without one is not announced.
    fn prompt(&mut self, _kind: PromptKind) {}

    /// A message of the prompt follows. A prompt that is not made of messages has none.
    fn message(&mut self, _message: &Message<'_>) {}

    /// A part of the prompt, or the next part of the answer.
    fn part(&mut self, place: Place, part: &Part<'_>);

    /// A member of the request beside the prompt that the provider's cache of prompts depends on.
    fn parameter(&mut self, _name: &'static str, _value: Value<'_>) {}

    /// The request asks for its prompt to be kept in the provider's cache for that long since its last use.
    fn cache_lifetime(&mut self, _lifetime: Duration) {}
}

/// One that may be off.
impl<V: Visitor> Visitor for Option<V> {
    fn prompt(&mut self, kind: PromptKind) {
        if let Some(visitor) = self {
            visitor.prompt(kind);
        }
    }

    fn message(&mut self, message: &Message<'_>) {
        if let Some(visitor) = self {
            visitor.message(message);
        }
    }

    #[inline(always)]
    fn part(&mut self, place: Place, part: &Part<'_>) {
        if let Some(visitor) = self {
            visitor.part(place, part);
        }
    }

    fn parameter(&mut self, name: &'static str, value: Value<'_>) {
        if let Some(visitor) = self {
            visitor.parameter(name, value);
        }
    }

    fn cache_lifetime(&mut self, lifetime: Duration) {
        if let Some(visitor) = self {
            visitor.cache_lifetime(lifetime);
        }
    }
}

/// How a prompt reaches the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromptKind {
    /// As messages, each framed by the model's template.
    Messages,
    /// As it stands, each text by itself.
    Plain,
    /// In a way that the request does not say: as pairs that are compared, or as what is to be drawn or spoken.
    Unknown,
}

/// One message of a prompt, before its parts.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Who says it.
    pub role: Role,
    /// The name of who says it, where the message has one.
    pub name: Option<Words<'a>>,
    /// The message's own id, where the API gives it one.
    pub id: Option<Words<'a>>,
    /// All of it, as it was sent.
    pub item: Value<'a>,
}

/// Where a part stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Who said it.
    pub role: Role,
    /// The choice of the answer that it is of; 0 in a prompt.
    pub choice: u64,
}

impl Place {
    /// In a prompt.
    #[must_use]
    pub const fn said_by(role: Role) -> Self {
        Self { role, choice: 0 }
    }

    /// In a choice of an answer.
    #[must_use]
    pub const fn answer(choice: u64) -> Self {
        let role = Role::Assistant;
        Self { role, choice }
    }
}

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Who set the model up, developers included.
    System,
    /// Who asks.
    User,
    /// The model.
    Assistant,
    /// A tool that was called.
    Tool,
    /// Somebody else.
    Other,
}

impl Role {
    /// By its name on the wire.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name {
            "system" | "developer" => Self::System,
            "user" => Self::User,
            "assistant" => Self::Assistant,
            "tool" | "function" => Self::Tool,
            _ => Self::Other,
        }
    }
}

/// A part, or a fragment of one. Fragments of a text follow each other within their place and kind.
#[derive(Debug, Clone, Copy)]
pub enum Part<'a> {
    /// Text.
    Text(Words<'a>),
    /// Text inside a part that is no text itself, such as what a tool of the provider's found.
    Inner(Words<'a>),
    /// Reasoning.
    Reasoning(Words<'a>),
    /// A summary of reasoning for people, which is not what the model wrote.
    Summary(Words<'a>),
    /// Why the model will not answer.
    Refusal(Words<'a>),
    /// Text that is to follow the answer.
    Suffix(Words<'a>),
    /// The call of a tool that the client runs.
    ToolCall(CallPart<'a>),
    /// The result of the call of this id begins: what follows of the role [`Role::Tool`] is of it.
    ToolResult(Option<Words<'a>>),
    /// The tools that the model may call.
    Tools(Tools<'a>),
    /// An image, sound, or a file.
    Binary(Binary<'a>),
    /// Text that was sent as tokens: the list of them.
    Tokens(Value<'a>),
    /// What was said before, as tokens: the list of them.
    Context(Value<'a>),
    /// Something that the model reads or writes and that is not here: an earlier turn that the provider holds, sealed
    /// reasoning.
    Hidden,
    /// Anything else, such as a call of a tool that the provider runs.
    Other(Value<'a>),
}

/// A text.
#[derive(Debug, Clone, Copy)]
pub enum Words<'a> {
    /// As a JSON string writes it.
    Json(json::Text<'a>),
    /// As it is.
    Plain(&'a str),
}

impl<'a> Words<'a> {
    /// Nothing.
    pub const NONE: Self = Self::Plain("");

    /// What a JSON string says, and of any other value how it is written.
    #[must_use]
    pub fn of_json(value: Value<'a>) -> Self {
        match value.as_text() {
            Some(text) => Self::Json(text),
            None => Self::Plain(value.written()),
        }
    }

    /// How many Unicode code points it has.
    #[must_use]
    pub fn chars(self) -> u64 {
        match self {
            Self::Json(text) => text.chars(),
            Self::Plain(text) => text.chars().count() as u64,
        }
    }

    /// How many bytes of UTF-8 it has.
    #[must_use]
    pub fn bytes(self) -> u64 {
        match self {
            Self::Json(text) => text.bytes(),
            Self::Plain(text) => text.len() as u64,
        }
    }

    /// The text itself.
    #[must_use]
    pub fn decode(self) -> Cow<'a, str> {
        match self {
            Self::Json(text) => text.decode(),
            Self::Plain(text) => Cow::Borrowed(text),
        }
    }

    /// Adds the text itself to another.
    pub fn decode_into(self, text: &mut String) {
        match self {
            Self::Json(words) => words.decode_into(text),
            Self::Plain(words) => text.push_str(words),
        }
    }

    /// Whether it has no character.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        match self {
            Self::Json(text) => text.is_empty(),
            Self::Plain(text) => text.is_empty(),
        }
    }
}

impl<'a> From<json::Text<'a>> for Words<'a> {
    fn from(text: json::Text<'a>) -> Self {
        Self::Json(text)
    }
}

impl<'a> From<&'a str> for Words<'a> {
    fn from(text: &'a str) -> Self {
        Self::Plain(text)
    }
}

/// A call of a tool, or a fragment of one: each member says what is new.
#[derive(Debug, Clone, Copy)]
pub struct CallPart<'a> {
    /// Which call it is, of its message or of the answer.
    pub number: u64,
    /// The id by which the result will name the call.
    pub id: Option<Words<'a>>,
    /// The tool's name, or the next piece of it.
    pub name: Option<Words<'a>>,
    /// The arguments as JSON text, or the next piece of it.
    pub arguments: Option<Words<'a>>,
    /// The arguments that came before are void: these say them again.
    pub again: bool,
}

/// The tools on offer.
#[derive(Debug, Clone, Copy)]
pub struct Tools<'a> {
    /// The list of their definitions.
    pub definitions: Value<'a>,
    /// The types of tools that the client runs, where the API has others.
    pub client_types: Option<&'static [&'static str]>,
}

impl<'a> Tools<'a> {
    /// The definition of each, and whether the client runs it. One that the provider runs is not defined in the request, and
    /// neither is what it finds.
    pub fn each(self) -> impl Iterator<Item = (Value<'a>, bool)> {
        self.definitions.elements().map(move |definition| {
            let is_named = |types: &[&str]| {
                let kind = definition.get("type").and_then(Value::as_text);
                types
                    .iter()
                    .any(|known| kind.map_or(known.is_empty(), |kind| kind.is(known)))
            };
            (definition, self.client_types.is_none_or(is_named))
        })
    }
}

/// What is no text.
#[derive(Debug, Clone, Copy)]
pub struct Binary<'a> {
    /// What it is.
    pub medium: Medium,
    /// Where it is.
    pub source: Source<'a>,
    /// Its media type or format, where that is said beside it.
    pub format: Option<Words<'a>>,
}

/// What a binary part is to be taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// A picture.
    Image,
    /// Sound.
    Audio,
    /// Moving pictures.
    Video,
    /// A document, or any other file.
    File,
}

/// Where a binary part is.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// Here, in Base64 or as a `data:` URL.
    Inline(Words<'a>),
    /// At this URL.
    Url(Words<'a>),
    /// At the provider, by this id.
    Id(Words<'a>),
    /// Nowhere that is known.
    Unknown,
}
