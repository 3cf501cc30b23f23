//! Every fact of one exchange: one client request and its response, from the first byte in to the last byte out.
//!
//! Plain data with public fields. `None` means "not observed", `Some(0)` means "observed to be zero"; a gap is never
//! filled with a zero. Durations are measured on one monotonic clock from [`Exchange::started_at`]. Derived numbers are
//! methods, so that every sink agrees on them. This folder knows nothing but `std`, and exact decimals.

mod api;
mod attempt;
mod content;
mod conversation;
mod cost;
mod derived;
mod drift;
mod ending;
mod headers;
mod hex;
mod history;
mod operation;
mod quirk;
pub mod sampling;
mod template;
mod texts;
mod timing;
mod trace;
mod unknown;
mod weight;

pub use api::{
    ApiError, Choice, Estimate, OutputType, Request, Response, ToolCall, ToolKind, Usage,
    UsageSource,
};
pub use attempt::{Attempt, Endpoint, Upstream, Why};
pub use content::{
    Content, ContentHash, ContentMessage, ContentPart, ContentPolicy, ContentTool, Missing, Stored,
    StoredLinks, StoredObject,
};
pub use conversation::{
    Again, CacheVerdict, Changed, Conversation, Identity, Parent, RepeatedCall, Reuse, Rule,
    ToolWait,
};
pub use cost::{Cost, Price, Unpriced};
pub use drift::{Drift, Novelty, Served};
pub use ending::{Aftermath, End, Failure, Fate, Integrity, Problems, UpstreamFailure};
pub use headers::{Headers, Limited, RateLimit};
pub use hex::Hex;
pub use history::{
    Answer, CACHE_PARAMETERS, Call, Digest, History, Item, Segment, Speaker, TOOL_CHOICE,
    ToolResult,
};
pub use operation::Operation;
pub use quirk::{Quirk, Quirks};
pub use sampling::{Sampling, Threshold};
pub use template::Template;
pub use texts::Replace;
pub use timing::{Flow, ServerTimes, Stall, Times};
pub use trace::{ToldUpstream, Trace, trace_id};
pub use unknown::{Unknown, Unknowns};

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

/// One request and its response.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Wall clock at the instant the request head was parsed; every [`Times`] entry counts from here.
    pub started_at: SystemTime,
    /// What kind of call this is; `None` for anything no dialect knows, which has HTTP facts only.
    pub operation: Option<Operation>,
    /// Whether it is one response of a session, such as a WebSocket. The session is an exchange of its own, which has the
    /// HTTP facts and the SERVER span; the times of this one count from the instant at which the response was asked for.
    pub of_session: bool,
    /// Whether its path is that of a call to a model and its body is not, so that it was taken for one until that was read.
    pub mistaken: bool,
    /// The HTTP side of the client's request.
    pub http: Http,
    /// What the client told of the call beside it, in headers and baggage, of what an operator has listed: names and values.
    pub annotations: Vec<(Arc<str>, String)>,
    /// Which key the client sent: a keyed hash of it. `None` where it sent none, and where nobody asks for it.
    pub key_fingerprint: Option<Hex>,
    /// The conversation, where a header or the baggage names it.
    pub named_conversation: Option<String>,
    /// The template that its prompt was made from, where the client tells of one beside the call.
    pub template: Option<Box<Template>>,
    /// The hash of the constant part of its prompt, the system prompt and the tools; `None` where it has none, where the client names a
    /// template, and where no conversations are told apart.
    pub prompt_fingerprint: Option<Digest>,
    /// The trace this exchange belongs to; `None` when traces are off.
    pub trace: Option<Trace>,
    /// Whether that trace is kept, and why; `None` where all are that the client and the sampler keep. Set by the pipeline.
    pub sampling: Option<Sampling>,
    /// The upstream that answered, else the last one that the request was sent to; `None` when no route took it.
    pub upstream: Option<Upstream>,
    /// Where that upstream was reached.
    pub endpoint: Option<Endpoint>,
    /// Each time it was sent, in order; none for a response of a session, which is asked for over an open connection.
    pub attempts: Vec<Attempt>,
    /// What the request asked for; empty for a body that was not read or not understood.
    pub request: Request,
    /// What the response said.
    pub response: Response,
    /// Token counts, as reported.
    pub usage: Usage,
    /// What that costs; `None` where no usage is known, and where prices are off. Set by the pipeline.
    pub price: Option<Price>,
    /// That something else stands behind the model's name than was told of last; `None` where it does not. Set by the pipeline.
    pub drift: Option<Box<Drift>>,
    /// What the response said is left of the upstream's limits.
    pub rate_limits: Vec<RateLimit>,
    /// When what happened.
    pub times: Times,
    /// What flowed: events, chunks, bytes, gaps.
    pub flow: Flow,
    /// How it ended.
    pub end: End,
    /// What went wrong; `None` on success and when the client left.
    pub failure: Option<Failure>,
    /// What came of the upstream's answer when the client had left; `None` where it had not, and where no answer had begun and
    /// none was waited for.
    pub aftermath: Option<Aftermath>,
    /// What comparing its bytes says; `None` where no response body was passed on.
    pub integrity: Option<Integrity>,
    /// Whether another request with the same body was with the same upstream at the same time, and over first. Set by the
    /// pipeline.
    pub is_identical: bool,
    /// What the request repeats of a conversation, and what the answer adds to it; `None` where nobody asks for it, and
    /// where the API has no conversations.
    pub history: Option<Box<History>>,
    /// Which conversation it is part of; `None` where nobody asks for it, and where the API has none. Set by the pipeline.
    pub conversation: Option<Box<Conversation>>,
    /// What was said; `None` where no policy asks for it. The pipeline takes out of it what is not to be told.
    pub content: Option<Box<Content>>,
    /// Names of members that went along with a usage event that was taken out, and that no other chunk had.
    pub moved: Vec<&'static str>,
    /// What the observer could not make sense of, or did not see.
    pub problems: Problems,
    /// Where the upstream departed from the reference.
    pub quirks: Quirks,
    /// What came that is not known.
    pub unknown: Unknowns,
}

impl Exchange {
    /// An exchange of which nothing is known but when it began.
    #[must_use]
    pub fn begin(started_at: SystemTime) -> Self {
        Self {
            started_at,
            operation: None,
            of_session: false,
            mistaken: false,
            http: Http::default(),
            annotations: Vec::new(),
            key_fingerprint: None,
            named_conversation: None,
            template: None,
            prompt_fingerprint: None,
            trace: None,
            sampling: None,
            upstream: None,
            endpoint: None,
            attempts: Vec::new(),
            request: Request::default(),
            response: Response::default(),
            usage: Usage::default(),
            price: None,
            drift: None,
            rate_limits: Vec::new(),
            times: Times::default(),
            flow: Flow::default(),
            end: End::ClientLeft,
            failure: None,
            aftermath: None,
            integrity: None,
            is_identical: false,
            history: None,
            conversation: None,
            content: None,
            moved: Vec::new(),
            problems: Problems::default(),
            quirks: Quirks::default(),
            unknown: Unknowns::default(),
        }
    }
}

/// The client's HTTP request and the answer's head.
#[derive(Debug, Clone, Default)]
pub struct Http {
    /// Request method as sent.
    pub method: Cow<'static, str>,
    /// `http` or `https`, as the client reached the listener.
    pub scheme: &'static str,
    /// Path as sent, without the query. Shared with who remembers it.
    pub path: Arc<str>,
    /// Query as sent, with the values of key-like parameters replaced; `None` where there is none.
    pub query: Option<String>,
    /// Low-cardinality path template; `None` for paths no dialect knows.
    pub route: Option<&'static str>,
    /// `1.0`, `1.1` or `2`, of the client's connection.
    pub version: &'static str,
    /// The `Host` (or `:authority`) the client asked for.
    pub host: Option<String>,
    /// `User-Agent` of the client.
    pub user_agent: Option<String>,
    /// The trace that the client's `traceparent` names; `None` where there is none, or several.
    pub trace_id: Option<u128>,
    /// Which time of those that the client's library has sent it again this is: `x-stainless-retry-count`. `None` where it does
    /// not say.
    pub retry_count: Option<u64>,
    /// The client's end of its connection.
    pub peer: Option<SocketAddr>,
    /// Status sent to the client; `None` when it left before one was.
    pub status: Option<u16>,
    /// Those of the response's header fields that are kept.
    pub response_headers: Headers,
    /// Bytes of the request body as the client sent it, as far as it came; `None` where nothing of it was seen, or not
    /// all that came.
    pub request_bytes: Option<u64>,
    /// Bytes of the response body as read from the upstream, still coded.
    pub response_bytes: u64,
    /// What passed after the connection had changed its protocol; `None` where it did not.
    pub tunnel: Option<Tunnel>,
}

/// What passed through a connection that was HTTP's no longer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tunnel {
    /// Bytes that the client sent.
    pub from_client: u64,
    /// Bytes that the upstream sent.
    pub from_upstream: u64,
}
