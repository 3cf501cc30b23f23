//! What the byte path shows of an exchange, how an exchange closes, and what an observer of one has to do.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio::time::Instant;

use crate::message::{Fields, Target};

/// Something that happened on the byte path.
#[derive(Debug)]
pub enum Event {
    /// A frame of the client's request body.
    RequestFrame(Instant, Bytes),
    /// The last byte of the request body was read; how many there were.
    RequestEnd(Instant, u64),
    /// The request's body named the trace that it belongs to.
    Joined(Box<Joined>),
    /// The request was routed, edited where it is edited, and is about to be sent.
    Forwarded(Forwarded),
    /// The request has waited for a connection that others had.
    Waited {
        /// For how long.
        time: Duration,
        /// Which time of those that it was forwarded, from 0.
        attempt: usize,
    },
    /// An upstream connection took the request.
    Sent {
        /// When.
        at: Instant,
        /// Which time of those that it was forwarded, from 0.
        attempt: usize,
    },
    /// The request that was forwarded last gets no response; why, as a low-cardinality word.
    Unanswered(Instant, &'static str),
    /// The upstream's response head was parsed.
    ResponseHead {
        /// When.
        at: Instant,
        /// Its status.
        status: StatusCode,
        /// Its header fields.
        fields: Fields,
    },
    /// A frame of the upstream's response body.
    ResponseFrame(Instant, Bytes),
    /// The client has left, and the upstream's answer is read on for what it reports.
    Left(Instant),
    /// The connection changes its protocol, by an answer with these fields. What its sides send from here on is no HTTP.
    Switched(Box<Fields>),
    /// What one side of a tunnel sent.
    TunnelFrame(Side, Instant, Bytes),
    /// One side of a tunnel is over; how many bytes it sent.
    TunnelEnd(Side, Instant, u64),
    /// So many frames went by unseen, here.
    Missed(u64),
}

/// Folds what a [`Tap`](super::Tap) shows it. Runs off the byte path; a panic in it is caught and counted.
pub trait Observer: Send + 'static {
    /// Takes one event; they come in the order in which they were shown.
    fn observe(&mut self, event: Event);

    /// Whether it is to be shown what passes through a tunnel, of which a copy has to be made. Asked when the exchange opens.
    fn wants_tunnel(&self) -> bool {
        false
    }

    /// Somebody wants to see how far the exchange has come, which is not over. Called after every event so far.
    fn look(&mut self) {}

    /// The exchange is over. Called at most once, after every event.
    fn close(self: Box<Self>, closing: Closing);
}

/// The client's trace, as the body of its request named it.
#[derive(Debug)]
pub struct Joined {
    /// Its id.
    pub trace_id: u128,
    /// The client's span.
    pub parent_span_id: Option<u64>,
    /// Whether the spans are exported.
    pub sampled: bool,
    /// What the client decided about that; `None` where it left that open.
    pub parent_sampled: Option<bool>,
    /// Whether the trace id is known to be random.
    pub random: bool,
    /// `tracestate`.
    pub tracestate: Option<String>,
}

/// A request that is about to be sent.
#[derive(Debug)]
pub struct Forwarded {
    /// When.
    pub at: Instant,
    /// Where to.
    pub upstream: Arc<UpstreamName>,
    /// By which route of the configuration, by its place there; `None` where that is not known.
    pub route: Option<usize>,
    /// The target there.
    pub target: Box<Target>,
    /// Why.
    pub why: Why,
    /// Whether usage was asked for on the client's behalf.
    pub usage_asked: bool,
}

/// Why a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The client sent it.
    First,
    /// The upstream may have refused only what was asked for on the client's behalf.
    UsageRefused,
    /// The upstream said that it had not processed it.
    Unprocessed,
    /// The connection, which had been used before, closed before anything came. Such requests may be processed twice.
    ConnectionClosed,
}

/// How an upstream is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamName {
    /// Name in the configuration.
    pub name: Arc<str>,
    /// Provider of the model; `None` where neither the configuration nor the host says it.
    pub provider: Option<Arc<str>>,
    /// Scheme, host and port of its URL, without user and password.
    pub origin: Arc<str>,
    /// Host of its URL.
    pub address: Arc<str>,
    /// Port of its URL.
    pub port: u16,
}

/// How an exchange closed, and the exact counts that travel with its end.
#[derive(Debug)]
pub struct Closing {
    /// When.
    pub at: Instant,
    /// How.
    pub close: Close,
    /// Status the client got; `None` when it left before one was sent.
    pub status: Option<StatusCode>,
    /// Bytes of the response body read from the upstream.
    pub response_bytes: u64,
    /// Time frames spent between the read and the hand-over, summed.
    pub held: Duration,
    /// What comparing both sides of the body says; `None` where no body was passed on.
    pub verdict: Option<Verdict>,
    /// Names of members that went along with what the edit took out.
    pub moved: Vec<&'static str>,
    /// What came of the upstream's answer behind the departure of the client; `None` where the client had not left, and where
    /// there was no answer to speak of.
    pub aftermath: Option<Aftermath>,
}

/// What came of an upstream's answer whose client had left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aftermath {
    /// When the upstream was let go of: its connection closed, its stream reset, or its answer read to the end.
    pub until: Instant,
    /// Bytes of the answer that came and that nobody got: those that were read on; where the upstream was cancelled at once,
    /// those that waited in the connection to be read, as they stood there.
    pub bytes: u64,
    /// How the upstream was let go of.
    pub fate: Fate,
}

/// How an upstream was let go of whose client had left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// At once.
    Cancelled,
    /// At once too, where its answer would have been read on, if not as many were already.
    NotDrained,
    /// Its answer was read to the end.
    Drained,
    /// Its answer was read up to a limit.
    LimitReached,
    /// Its answer, or the way to it, broke off while it was read.
    Broken,
    /// Reading stopped with the process.
    Stopped,
}

impl Fate {
    /// Whether nothing of an answer was read on.
    #[must_use]
    pub const fn is_at_once(self) -> bool {
        matches!(self, Self::Cancelled | Self::NotDrained)
    }
}

/// How an exchange closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Close {
    /// The whole response was handed over.
    Complete,
    /// The client went away.
    Dropped,
    /// It failed on the way.
    Failed(Fault),
}

/// A failure that the byte path itself saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What kind of failure.
    pub class: FaultClass,
    /// Low-cardinality identifier, for `error.type`.
    pub kind: &'static str,
    /// What the transport said.
    pub message: String,
}

/// Kinds of failure on the byte path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultClass {
    /// The upstream could not be reached.
    Refused,
    /// The upstream broke off.
    Cut,
    /// A time limit of ours ran out.
    Timeout,
    /// We turned the request away.
    Rejected,
}

/// What comparing the bytes of a response read with those handed over says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The same bytes.
    Equal,
    /// The same bytes as far as the client took them.
    Prefix,
    /// The same bytes but for what the edit took out.
    Removed,
    /// The same bytes but for lines that we added between them; something may have been taken out too.
    Added,
    /// The same bytes, something among them that the edit was to take out.
    Left,
    /// Other bytes.
    Different,
}

/// A side of a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Who asked for it.
    Client,
    /// Who was asked.
    Upstream,
}

/// Errors of an upstream's body, as far as the tee needs to know it.
pub trait Describe {
    /// The failure to report.
    fn fault(&self) -> Fault;
}
