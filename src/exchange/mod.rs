//! Every fact of one exchange: one client request and its response, from the first byte in to the last byte out.
//!
//! Plain data with public fields. `None` means "not observed", `Some(0)` means "observed to be zero"; a gap is never
//! filled with a zero. Durations are measured on one monotonic clock from [`Exchange::started_at`]. Derived numbers are
//! methods, so that every sink agrees on them. This folder knows nothing but `std`.

mod api;
mod call;
mod derived;
mod ending;
mod headers;
mod quirk;
mod timing;
mod unknown;

pub use api::{ApiError, Choice, OutputType, Request, Response, ToolCall, Usage, UsageSource};
pub use call::Call;
pub use ending::{End, Failure, Integrity, Problems};
pub use headers::{Headers, Limited, RateLimit};
pub use quirk::{Quirk, Quirks};
pub use timing::{Flow, ServerTimes, Stall, Times};
pub use unknown::{Unknown, Unknowns};

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// One request and its response.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Wall clock at the instant the request head was parsed; every [`Times`] entry counts from here.
    pub started_at: SystemTime,
    /// What kind of call this is; `None` for anything no dialect knows, which has HTTP facts only.
    pub call: Option<Call>,
    /// Whether it is one response of a session, such as a WebSocket. The session is an exchange of its own, which has the
    /// HTTP facts and the SERVER span; the times of this one count from the instant at which the response was asked for.
    pub of_session: bool,
    /// The HTTP side of the client's request.
    pub http: Http,
    /// The trace this exchange belongs to; `None` when traces are off.
    pub trace: Option<Trace>,
    /// Where the request went; `None` when no route took it.
    pub upstream: Option<Upstream>,
    /// Each time it was sent, in order; more than one only where the upstream refused the usage edit.
    pub attempts: Vec<Attempt>,
    /// What the request asked for; empty for a body that was not read or not understood.
    pub request: Request,
    /// What the response said.
    pub response: Response,
    /// Token counts, as reported.
    pub usage: Usage,
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
    /// What comparing its bytes says; `None` where no response body was passed on.
    pub integrity: Option<Integrity>,
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
            call: None,
            of_session: false,
            http: Http::default(),
            trace: None,
            upstream: None,
            attempts: Vec::new(),
            request: Request::default(),
            response: Response::default(),
            usage: Usage::default(),
            rate_limits: Vec::new(),
            times: Times::default(),
            flow: Flow::default(),
            end: End::ClientLeft,
            failure: None,
            integrity: None,
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
    pub method: String,
    /// `http` or `https`, as the client reached the listener.
    pub scheme: &'static str,
    /// Path as sent, without the query.
    pub path: String,
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
    /// The client's end of its connection.
    pub peer: Option<SocketAddr>,
    /// Status sent to the client; `None` when it left before one was.
    pub status: Option<u16>,
    /// Those of the response's header fields that are kept.
    pub response_headers: Headers,
    /// Bytes of the request body as the client sent it.
    pub request_bytes: u64,
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

/// Identity of the two spans of an exchange (W3C Trace Context).
#[derive(Debug, Clone)]
pub struct Trace {
    /// Trace id, never zero.
    pub trace_id: u128,
    /// The client's span; `None` at the root of a trace.
    pub parent_span_id: Option<u64>,
    /// Our SERVER span.
    pub server_span_id: u64,
    /// Our CLIENT span, the one whose context went upstream for an inference call.
    pub client_span_id: u64,
    /// Whether the spans are exported.
    pub sampled: bool,
    /// `tracestate` as it came.
    pub tracestate: Option<String>,
}

impl Trace {
    /// The trace of one response of a session, whose SERVER span is the parent. Its own span needs an id that no other of the
    /// trace has; it follows from `number`, which is the response's, and from the random one that the session does not use.
    #[must_use]
    pub fn of_response(&self, number: u64) -> Self {
        // Odd, so that no two numbers of 64 bits come to the same.
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let id = self.client_span_id ^ number.wrapping_mul(STEP);
        Self {
            client_span_id: if id == 0 { STEP } else { id },
            ..self.clone()
        }
    }

    /// The `traceparent` that makes one of our spans the parent (W3C Trace Context §3.2).
    #[must_use]
    pub fn traceparent(&self, span_id: u64) -> [u8; 55] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&mut text[3..35], &self.trace_id.to_be_bytes());
        write_hex(&mut text[36..52], &span_id.to_be_bytes());
        text[54] = if self.sampled { b'1' } else { b'0' };
        text
    }
}

/// Writes bytes in hexadecimal.
// Inline, it would be unrolled for each length, to a kilobyte of code.
#[inline(never)]
fn write_hex(text: &mut [u8], bytes: &[u8]) {
    for (digits, byte) in text.chunks_exact_mut(2).zip(bytes) {
        digits[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
        digits[1] = b"0123456789abcdef"[usize::from(byte & 0xf)];
    }
}

/// Where a request was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Name in the configuration.
    pub name: Arc<str>,
    /// Value for `gen_ai.provider.name`.
    pub provider: Arc<str>,
    /// Host of its URL.
    pub address: Arc<str>,
    /// Port of its URL, explicit or by scheme.
    pub port: u16,
}

/// One time a request was sent to its upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Absolute URL, without user and password, the values of key-like parameters replaced.
    pub url: String,
    /// When it was ready to go, since the start of the exchange.
    pub started: Duration,
    /// When the response head came, or it was clear that none would; `None` where it was given up before.
    pub ended: Option<Duration>,
    /// Status of the response; `None` where none came.
    pub status: Option<u16>,
    /// What stood in the way of a response, as a low-cardinality word.
    pub error: Option<&'static str>,
}
