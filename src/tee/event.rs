//! What the byte path tells of an exchange, how it closes, and the traits by which the two sides of the tee know each other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Method, StatusCode, Uri, Version};
use tokio::time::Instant;

use super::proof::Verdict;
use super::tap::Tap;
use super::tunnel::Side;
use crate::message::Fields;

/// Opens exchanges: the seam by which the byte path finds its observer.
pub trait Open: Send + Sync + 'static {
    /// An exchange begins.
    fn open(&self, head: &Arc<RequestHead>) -> Opened;
}

/// A request's head, as it arrived. The byte path and the observer share it.
#[derive(Debug)]
pub struct RequestHead {
    /// When it was parsed.
    pub received: Instant,
    /// The same by the wall clock.
    pub received_at: SystemTime,
    /// Method.
    pub method: Method,
    /// Request target.
    pub uri: Uri,
    /// HTTP version of the client's connection.
    pub version: Version,
    /// Header fields.
    pub fields: Fields,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The client's end of the connection.
    pub peer: Option<SocketAddr>,
}

/// What opening an exchange gives the byte path.
#[derive(Debug)]
pub struct Opened {
    /// Shows frames and times to the observer.
    pub tap: Tap,
    /// Trace context for the upstream; `None` leaves the client's own trace headers alone.
    pub trace_context: Option<TraceContext>,
}

/// The trace context that goes upstream in place of the client's (W3C Trace Context).
#[derive(Debug, Clone)]
pub struct TraceContext {
    /// Names the span that the upstream's spans belong under.
    pub traceparent: [u8; 55],
    /// Whether the client's `tracestate` goes with it. Where a new trace begins it speaks of another one (§4.3).
    pub keep_tracestate: bool,
}

/// Folds what a [`Tap`] shows it. Runs off the byte path; a panic in it is caught and counted.
pub trait Observer: Send + 'static {
    /// Takes one event; they come in the order in which they were shown.
    fn observe(&mut self, event: Event);

    /// Whether it is to be shown what passes through a tunnel, of which a copy has to be made. Asked when the exchange opens.
    fn wants_tunnel(&self) -> bool {
        false
    }

    /// The exchange is over. Called at most once, after every event.
    fn close(self: Box<Self>, closing: Closing);
}

/// Something that happened on the byte path.
#[derive(Debug)]
pub enum Event {
    /// A frame of the client's request body.
    RequestFrame(Instant, Bytes),
    /// The last byte of the request body was read; how many there were.
    RequestEnd(Instant, u64),
    /// The request was routed, edited where it is edited, and is about to be sent.
    Forwarded {
        /// When.
        at: Instant,
        /// Where to.
        upstream: Arc<UpstreamName>,
        /// The target, absolute.
        uri: Box<Uri>,
        /// Whether usage was asked for on the client's behalf.
        usage_asked: bool,
    },
    /// An upstream connection took the request.
    Sent(Instant),
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
    /// The connection changes its protocol, by an answer with these fields. What its sides send from here on is no HTTP.
    Switched(Box<Fields>),
    /// What one side of a tunnel sent.
    TunnelFrame(Side, Instant, Bytes),
    /// One side of a tunnel is over; how many bytes it sent.
    TunnelEnd(Side, Instant, u64),
    /// So many frames went by unseen, here.
    Missed(u64),
}

/// How an upstream is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamName {
    /// Name in the configuration.
    pub name: Arc<str>,
    /// Provider of the model.
    pub provider: Arc<str>,
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
