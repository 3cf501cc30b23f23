//! What was said: the messages of a request and of its answer, in the order in which they stand there.
//!
//! It is there only where a policy asks for it. Its shape is that of the GenAI conventions' schemas of messages, so that
//! every vocabulary can be written from it. Of what is no text there are type, size and hash, never the bytes.

use std::fmt;

use bytes::Bytes;
use serde::{Serialize, Serializer};

use super::Speaker;

/// Where content goes. Nowhere by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ContentPolicy {
    /// Into attributes of the inference span.
    pub attributes: bool,
    /// Into log records of their own.
    pub events: bool,
    /// Into the store of prompts, by its hash.
    pub store: bool,
}

impl ContentPolicy {
    /// Whether it goes anywhere.
    #[must_use]
    pub const fn is_on(self) -> bool {
        self.attributes || self.events || self.store
    }
}

/// What was said in one exchange.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Content {
    /// Where it goes.
    pub policy: ContentPolicy,
    /// Most bytes of texts that one attribute or event shows.
    pub shown_bytes: usize,
    /// Instructions that stand apart from the messages, as in the Responses API and in Anthropic's.
    pub system: Vec<ContentPart>,
    /// The messages of the request.
    pub input: Vec<ContentMessage>,
    /// What was generated, a message for each choice.
    pub output: Vec<ContentMessage>,
    /// The tools on offer.
    pub tools: Vec<ContentTool>,
    /// Why not all of it is here; empty where all of it is.
    pub missing: Vec<Missing>,
    /// The same as it is stored; `None` where it is not. Set by the pipeline, once it is looked through.
    pub stored: Option<Box<Stored>>,
}

/// What was said as the store of prompts has it: objects that are named by the hash of their bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The list of what the prompt is made of.
    pub prompt: ContentHash,
    /// The list of the answer's messages, which also names the prompt; `None` where nothing was generated.
    pub answer: Option<ContentHash>,
    /// Where people find both; `None` where no place is configured.
    pub links: Option<StoredLinks>,
    /// All objects, those that name others behind them.
    pub objects: Vec<StoredObject>,
}

/// Where people find what is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLinks {
    /// The prompt.
    pub prompt: String,
    /// The answer.
    pub answer: Option<String>,
}

/// One object of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// Its name.
    pub hash: ContentHash,
    /// What it says: JSON.
    pub bytes: Bytes,
    /// Whether it names others, and so comes after them.
    pub is_manifest: bool,
}

/// The SHA-256 of an object's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentHash(pub [u8; 32]);

impl ContentHash {
    /// Reads what [`Display`](fmt::Display) writes: 64 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let mut hash = [0; 32];
        if text.len() != 2 * hash.len() {
            return None;
        }
        for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
            let value = (digit(pair[0])? << 4) | digit(pair[1])?;
            *byte = u8::try_from(value).ok()?;
        }
        Some(Self(hash))
    }
}

impl ContentHash {
    /// Its hexadecimal digits.
    fn digits(self) -> [u8; 64] {
        let mut digits = [0; 64];
        for (pair, byte) in digits.chunks_mut(2).zip(self.0) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 0xf)];
        }
        digits
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Text of ASCII digits.
fn ascii(digits: &[u8; 64]) -> &str {
    std::str::from_utf8(digits).expect("digits are ASCII")
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ascii(&self.digits()))
    }
}

impl Serialize for ContentHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(ascii(&self.digits()))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why something that was said is not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The request passed unseen, in whole or in part, or was too long to be read.
    Request,
    /// So did the answer.
    Response,
    /// More was said than may be held (`limits.memory`, `limits.inspect_bytes`).
    Memory,
}

impl Missing {
    /// The value of `streamgauge.content.missing`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
            Self::Memory => "memory",
        }
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq)]
pub struct ContentMessage {
    /// Who says it.
    pub speaker: Speaker,
    /// The name of who says it, where the message has one.
    pub name: Option<String>,
    /// What it says, in order.
    pub parts: Vec<ContentPart>,
    /// Why a choice ended, in the wire's own word; `None` in a request, and where no reason came.
    pub finish_reason: Option<String>,
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum ContentPart {
    /// Text.
    Text(String),
    /// Reasoning, or a summary of it.
    Reasoning(String),
    /// Why the model will not answer.
    Refusal(String),
    /// The call of a tool.
    ToolCall {
        /// The call's id.
        id: Option<String>,
        /// The tool's name.
        name: String,
        /// The arguments as they were written: JSON as a rule.
        arguments: String,
    },
    /// The result of a call.
    ToolCallResponse {
        /// The call's id.
        id: Option<String>,
        /// What the tool said.
        response: String,
    },
    /// An image, sound or a file that came along: never its bytes.
    Blob {
        /// What it is: `image`, `audio`, `video`, `document`.
        modality: &'static str,
        /// Its media type or format.
        mime_type: Option<String>,
        /// Its size, decoded.
        bytes: u64,
        /// The SHA-256 of that; of the text as it came where it is no Base64.
        sha256: [u8; 32],
    },
    /// The same, by a URL.
    Uri {
        /// What it is.
        modality: &'static str,
        /// Its media type or format.
        mime_type: Option<String>,
        /// Where it is.
        uri: String,
    },
    /// The same, by the id of a file that the provider holds.
    File {
        /// What it is.
        modality: &'static str,
        /// Its media type or format.
        mime_type: Option<String>,
        /// The file's id.
        file_id: String,
    },
    /// Anything else, such as the call of a tool that the provider runs: what it calls itself, and its size.
    Other {
        /// Its type on the wire.
        kind: String,
        /// How long it is as JSON.
        bytes: u64,
    },
}

/// The definition of a tool.
#[derive(Debug, Clone, PartialEq)]
pub struct ContentTool {
    /// Its type: `function` as a rule.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What the model is told of it.
    pub description: Option<String>,
    /// The JSON schema of its arguments, as it was written.
    pub parameters: Option<String>,
}

impl Content {
    /// Replaces texts, `by` what each says.
    pub fn replace_texts(&mut self, by: &dyn Fn(&str) -> Option<String>) {
        let Self {
            policy: _,
            shown_bytes: _,
            system,
            input,
            output,
            tools,
            missing: _,
            stored: _,
        } = self;
        system.iter_mut().for_each(|part| part.replace_texts(by));
        for message in input.iter_mut().chain(output) {
            let ContentMessage {
                speaker: _,
                name,
                parts,
                finish_reason,
            } = message;
            parts.iter_mut().for_each(|part| part.replace_texts(by));
            replace(name.iter_mut().chain(finish_reason), by);
        }
        for tool in tools {
            let ContentTool {
                kind,
                name,
                description,
                parameters,
            } = tool;
            replace([kind, name], by);
            replace(description.iter_mut().chain(parameters), by);
        }
    }
}

impl ContentPart {
    /// The media type or format of what is no text.
    #[must_use]
    pub fn mime_type(&self) -> Option<&str> {
        match self {
            Self::Blob { mime_type, .. }
            | Self::Uri { mime_type, .. }
            | Self::File { mime_type, .. } => mime_type.as_deref(),
            _ => None,
        }
    }

    fn replace_texts(&mut self, by: &dyn Fn(&str) -> Option<String>) {
        match self {
            Self::Text(text) | Self::Reasoning(text) | Self::Refusal(text) => replace([text], by),
            Self::ToolCall {
                id,
                name,
                arguments,
            } => replace(id.iter_mut().chain([name, arguments]), by),
            Self::ToolCallResponse { id, response } => replace(id.iter_mut().chain([response]), by),
            Self::Blob { mime_type, .. } => replace(mime_type, by),
            Self::Uri { mime_type, uri, .. } => replace(mime_type.iter_mut().chain([uri]), by),
            Self::File {
                mime_type, file_id, ..
            } => replace(mime_type.iter_mut().chain([file_id]), by),
            Self::Other { kind, bytes: _ } => replace([kind], by),
        }
    }
}

fn replace<'t>(
    texts: impl IntoIterator<Item = &'t mut String>,
    by: &dyn Fn(&str) -> Option<String>,
) {
    for text in texts {
        if let Some(other) = by(text) {
            *text = other;
        }
    }
}
