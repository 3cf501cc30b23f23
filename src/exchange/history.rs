//! What a request repeats of the conversation it goes on with, and what its answer adds to it: hashes, ids as hashes, and
//! sizes, never text.
//!
//! Two kinds of hashes stand side by side. A *raw* one is of bytes as they were sent: a client repeats its own items byte for
//! byte, and a prompt cache sees nothing else. A *canonical* one is of what an item says: clients write a model's message anew
//! before they send it back, with other members, other spacing in the arguments, or without the reasoning. The rules of what
//! is left out are those of [`Answer`]. Set by the dialect's folds; empty where a dialect has no conversations.

use std::time::Duration;

/// Names of the members of a request that are no items and that a prompt cache goes by, in whichever API.
pub const CACHE_PARAMETERS: [&str; 25] = [
    "model",
    "parallel_tool_calls",
    "response_format",
    "text",
    "format",
    "output_config",
    "output_format",
    "reasoning",
    "reasoning_effort",
    "thinking",
    "think",
    "verbosity",
    "speed",
    "modalities",
    "web_search_options",
    "prompt",
    "mcp_servers",
    "context_management",
    "truncation",
    "documents",
    "chat_template",
    "chat_template_kwargs",
    "prompt_cache_key",
    "cache_salt",
    "user",
];

/// The one that only Anthropic's cache goes by.
pub const TOOL_CHOICE: &str = "tool_choice";

/// A hash of 64 bits, the same in every process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub u64);

/// The conversation as a request and its answer show it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// Whose it is: the client's credential and the route, so that no two tenants share a conversation. Set by the
    /// observer.
    pub tenant: Option<Digest>,
    /// The request's body as it was sent: a retry has the same.
    pub body: Option<Digest>,
    /// Members of the request beside the items that are a part of the prompt or choose its cache, by their name, raw:
    /// `model`, `reasoning`, `response_format`, and the like. Those that only steer the sampling are not here.
    pub parameters: Vec<(&'static str, Digest)>,
    /// How long the request asks for its prompt to be kept in the provider's cache; `None` where it leaves that to the
    /// provider.
    pub cache_lifetime: Option<Duration>,
    /// The definitions of the tools, raw.
    pub tools: Option<Segment>,
    /// The items of the request, in order: messages, or the entries of `input`. A system prompt that stands apart, as `system`
    /// in the Messages API and `instructions` in the Responses API, is the first.
    pub items: Vec<Item>,
    /// The model's turns in the request, in order: each a run of adjacent items of the assistant.
    pub answers: Vec<Answer>,
    /// Results of tools in the request, in order.
    pub results: Vec<ToolResult>,
    /// Ids of earlier items that the request only names (`item_reference`), and those of the items it brings.
    pub item_ids: Vec<Digest>,
    /// What stands in the texts of users and of the model and looks like the id of a call, the last of them: some clients send
    /// a history as text.
    pub ids_in_text: Vec<Digest>,
    /// What the model generated, as it would stand in the next request; `None` where the response was not read whole. Of the
    /// first choice, and of all calls that the client is to carry out.
    pub answer: Option<Answer>,
    /// There was more than is kept: what was left out is at the end of the lists, but for the ids in texts.
    pub truncated: bool,
}

/// A part of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Its bytes, raw.
    pub raw: Digest,
    /// How many they are.
    pub bytes: u32,
}

/// One item of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Its bytes.
    pub segment: Segment,
    /// Who says it.
    pub speaker: Speaker,
    /// Its text, canonical and part by part, if a user says it; `None` where it has none.
    pub text: Option<Digest>,
}

/// Who says an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// System and developer.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// A tool.
    Tool,
    /// Somebody else.
    Other,
}

/// A turn of the model in canonical form. Reasoning (a leading `<think>…</think>` in the text, too), refusal, annotations,
/// sound, log probabilities, name, index, status, the order of members and the white space around a text are left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// How many items of the request stand before it; their number for the answer of the response.
    pub at: usize,
    /// Its text; `None` where there is none.
    pub text: Option<Digest>,
    /// How many code points that text has.
    pub text_chars: u32,
    /// Its text up to each of its last line ends: some clients add to what they send back. Of a turn in a request only.
    pub text_prefixes: Vec<Digest>,
    /// Its calls of tools, in order.
    pub calls: Vec<Call>,
    /// Ids of its items (`output[].id`).
    pub item_ids: Vec<Digest>,
}

/// A call of a tool.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Call {
    /// Which of the calls of its turn it is; of an answer, which of
    /// [`Response::tool_calls`](super::Response::tool_calls).
    pub number: usize,
    /// Its id.
    pub id: Option<Digest>,
    /// The tool's name.
    pub name: Option<Digest>,
    /// Its arguments: parsed JSON with sorted keys, nothing as `{}`; trimmed where they are no JSON.
    pub arguments: Option<Digest>,
    /// The longer strings in its arguments, as texts: the first words of a child agent are one of them. Of an answer only.
    pub strings: Vec<Digest>,
    /// When the last of its arguments came, since the start of the exchange; `None` in a request.
    pub arguments_end: Option<Duration>,
}

/// A result of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToolResult {
    /// Which item it is, or is in.
    pub at: usize,
    /// The id of the call; `None` where it has none, and then the order counts.
    pub id: Option<Digest>,
}
