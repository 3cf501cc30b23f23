//! What an exchange is to the others of its conversation. Inferred from what requests repeat, and so never more than likely.

use std::time::{Duration, SystemTime};

use super::{End, Threshold, ToolKind};

/// The place of an exchange in a conversation, and what the exchanges before it tell of it. Set by the pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    /// Which conversation: the same for all its exchanges, and for no other.
    pub id: u128,
    /// Which of the model's turns the answer is, from 1: turns that only the history shows are counted too.
    pub turn: u32,
    /// Which of several ways the conversation went: 0 for the first. A history that was edited, or went on twice, makes another.
    pub branch: u32,
    /// How many agents called one another to get here: 0 for a conversation that no agent of another began.
    pub depth: u32,
    /// How it was found out what it follows; `None` for a first exchange.
    pub linked_by: Option<Rule>,
    /// The exchange it follows; `None` for a first one, and where that one had no trace.
    pub previous: Option<Identity>,
    /// The conversation whose tool call began this one; `None` where that is not so.
    pub parent: Option<Parent>,
    /// Whether the same request was there before; `None` where it was not.
    pub again: Option<Again>,
    /// Calls of tools whose results became known by this exchange.
    pub waits: Vec<ToolWait>,
    /// Calls in the answer that were made in this conversation before, as often as the threshold says or more.
    pub repeated_calls: Vec<RepeatedCall>,
    /// How many exchanges in a row have said nothing new, this one included; `None` below the threshold.
    pub without_progress: Option<u32>,
    /// How long the history has become; `None` below the threshold, and until it has doubled after it was said last.
    pub grown_bytes: Option<u64>,
    /// Tokens that the exchanges of the conversation reported so far, this one included; `None` where none did.
    pub tokens: Option<u64>,
    /// What became of the part of the prompt that was sent before; `None` where nothing was.
    pub reuse: Option<Reuse>,
}

/// Which trace an exchange is in, and by which spans, for those that refer to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Its trace.
    pub trace_id: u128,
    /// The span above its own; `None` where it began the trace.
    pub parent_span_id: Option<u64>,
    /// Whether that is a span of another exchange, and not the client's.
    pub parent_is_ours: bool,
    /// The topmost of its spans.
    pub top_span_id: u64,
    /// Its inference span.
    pub client_span_id: u64,
    /// The flags of the trace.
    pub flags: u8,
    /// With which probability the trace is kept, for a span that is written into it later; `None` where that is not known, and where
    /// its `tracestate` says it. Set by the pipeline.
    pub threshold: Option<Threshold>,
}

impl Identity {
    /// Whether its spans are exported.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    /// Whether its trace id is known to be random.
    #[must_use]
    pub const fn is_random(&self) -> bool {
        self.flags & 2 == 2
    }
}

/// How it was found out which exchange another one follows, the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The request names the response: `previous_response_id`.
    ResponseId,
    /// The request names an item of the answer, or brings it.
    ItemId,
    /// It brings the answer's calls, by id, name and arguments.
    Calls,
    /// It brings the answer's calls, by name and arguments.
    CallNames,
    /// It brings the answer's text.
    Text,
    /// It brings the answer's text, and more behind it.
    TextPrefix,
    /// What stands before a turn in it is all of the other request, whose answer was not seen whole.
    Prefix,
    /// A call's id stands in one of its texts.
    CallIdInText,
    /// The conversation is named, and this one came next in it.
    Named,
}

impl Rule {
    /// The value of `streamgauge.conversation.linked_by`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ResponseId => "previous_response_id",
            Self::ItemId => "item_id",
            Self::Calls => "calls",
            Self::CallNames => "call_names",
            Self::Text => "text",
            Self::TextPrefix => "text_prefix",
            Self::Prefix => "prefix",
            Self::CallIdInText => "call_id_in_text",
            Self::Named => "named",
        }
    }
}

/// The exchange whose call of a tool began a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// Its conversation.
    pub id: u128,
    /// The exchange; `None` where it had no trace.
    pub exchange: Option<Identity>,
}

/// That a request is the same as an earlier one, byte for byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// The earlier one failed.
    Retry {
        /// How the earlier one ended.
        end: End,
        /// With which status; `None` where none came.
        status: Option<u16>,
        /// How often it was tried before.
        tries: u32,
    },
    /// The earlier one succeeded.
    Repeat,
}

/// The time from the end of a call's arguments until a request brought its result. It includes the client's own time and
/// the way there and back, so it is an upper bound of the tool's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolWait {
    /// The tool's name.
    pub name: String,
    /// The call's id, as the answer had it; `None` where it had none.
    pub call_id: Option<String>,
    /// What kind of tool.
    pub kind: ToolKind,
    /// The end of the arguments.
    pub began: SystemTime,
    /// From there to the arrival of the request.
    pub lasted: Duration,
    /// The exchange that called; `None` where it had no trace.
    pub called_by: Option<Identity>,
    /// The exchange that brought the result; `None` likewise.
    pub brought_by: Option<Identity>,
}

/// A call that was made before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepeatedCall {
    /// Which of [`Response::tool_calls`](super::Response::tool_calls).
    pub number: usize,
    /// How often it was made in this conversation, this time included.
    pub times: u32,
}

/// How much of a prompt was sent before, by the exchange that this one follows, and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reuse {
    /// Bytes of the prompt: of the tools and the items.
    pub prompt_bytes: u64,
    /// Bytes of the earlier prompt.
    pub earlier_bytes: u64,
    /// Bytes up to the first difference from the earlier prompt, or to its end.
    pub matched_bytes: u64,
    /// The first part of the earlier prompt that is not in this one as it was; `None` where all of it is.
    pub changed: Option<Changed>,
    /// Tokens that could have come from a cache: the matched share of the input tokens; `None` where no tokens were reported.
    pub possible_tokens: Option<u64>,
    /// Input tokens that a cache could have served and did not, had the prompt not changed; `None` where nothing is reported
    /// of a cache.
    pub lost_tokens: Option<u64>,
    /// What that comes to; `None` where nothing changed and nothing is reported of a cache.
    pub verdict: Option<CacheVerdict>,
}

/// The first part of a prompt that is not as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Changed {
    /// A member of the request that is no item: its name.
    Parameters(&'static str),
    /// The definitions of the tools.
    Tools,
    /// The system prompt.
    System,
    /// The item of this number, from 0. Of a long history it is the first that may be another.
    Message(u32),
}

impl Changed {
    /// Which kind of part: the label of metrics.
    #[must_use]
    pub const fn segment(self) -> &'static str {
        match self {
            Self::Parameters(_) => "parameters",
            Self::Tools => "tools",
            Self::System => "system",
            Self::Message(_) => "message",
        }
    }
}

/// Why a prompt's cache served what it served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CacheVerdict {
    /// What was sent before came from the cache, as far as such caches go.
    Reused,
    /// The prompt is another than before.
    PrefixChanged,
    /// It is the same, and the upstream had it no more, within the time that it promises, if it promises any.
    UpstreamMissed,
    /// It is the same, and shorter than what the provider caches.
    TooShort,
    /// It is the same, and came later than the provider promises to keep it.
    Expired,
    /// It is the same, and the provider, which says what it writes, wrote nothing to its cache either: nothing in it was
    /// marked for that, or it is too short for the model.
    NotCached,
}

impl CacheVerdict {
    /// The value of `streamgauge.prompt.cache`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reused => "reused",
            Self::PrefixChanged => "prefix_changed",
            Self::UpstreamMissed => "upstream_missed",
            Self::TooShort => "too_short",
            Self::Expired => "expired",
            Self::NotCached => "not_cached",
        }
    }
}
