//! The seam: how the byte path opens an exchange.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use http::header::HOST;
use http::uri::Authority;
use http::{Method, Version};
use tokio::time::Instant;

use super::event::Closing;
use super::handle::Tap;
use crate::message::{Fields, Target};

/// Opens exchanges: the seam by which the byte path finds its observer.
pub trait Open: Send + Sync + 'static {
    /// An exchange begins.
    fn open(&self, head: &Arc<RequestHead>) -> Opened;

    /// The body of a request carries this trace context. Where it names a trace the exchange moves into that, and its trace
    /// headers are these from then on.
    fn join(&self, joins: Joins, context: &CarriedContext, tap: &Tap) -> Option<TraceHeaders>;

    /// What came is no request, and has been answered so: an exchange that is over as it begins.
    fn refuse(&self, refused: RefusedRequest);
}

/// What came in place of a request. Of its bytes nothing is shown.
#[derive(Debug)]
pub struct RefusedRequest {
    /// When it began to come.
    pub received: Instant,
    /// The same by the wall clock.
    pub received_at: SystemTime,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The client's end of the connection.
    pub peer: Option<SocketAddr>,
    /// How it was answered.
    pub closing: Closing,
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
    pub target: Target,
    /// HTTP version of the client's connection.
    pub version: Version,
    /// Header fields.
    pub fields: Fields,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The client's end of the connection.
    pub peer: Option<SocketAddr>,
}

impl RequestHead {
    /// The host that it is for, with its port where that is named. An authority in the target goes before the field (RFC 9112
    /// §3.2.2); it may carry user and password.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        let named = self.target.authority().map(Authority::as_str);
        named.or_else(|| self.fields.text(HOST))
    }
}

/// What opening an exchange gives the byte path.
#[derive(Debug)]
pub struct Opened {
    /// Shows frames and times to the observer.
    pub tap: Tap,
    /// Trace headers for the upstream; `None` leaves the client's own alone.
    pub trace_headers: Option<TraceHeaders>,
    /// There where no header named the client's trace, so that the body may.
    pub joins: Option<Joins>,
}

/// An exchange whose trace is the client's as soon as its body names that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joins {
    /// The span that the upstream's spans belong under.
    pub span_id: u64,
}

/// The trace context in the body of a request: names and values, both visible ASCII.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CarriedContext(pub Vec<(String, String)>);

/// The trace headers that go upstream in place of the client's.
#[derive(Debug, Clone)]
pub struct TraceHeaders {
    /// Those of W3C Trace Context; `None` leaves the client's own alone.
    pub w3c: Option<W3cHeaders>,
    /// Those of other formats, and what else is to be other than the client sent it: by name, `None` for what goes.
    pub others: Vec<(&'static str, Option<String>)>,
}

/// The headers of W3C Trace Context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct W3cHeaders {
    /// Names the span that the upstream's spans belong under.
    pub traceparent: [u8; 55],
    /// Whether the client's `tracestate` goes with it. Where a new trace begins it speaks of another one (§4.3).
    pub keep_tracestate: bool,
}
