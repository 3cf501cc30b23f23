//! Sends what is written already as OTLP, over gRPC or HTTP.
//!
//! The OTLP crate's exporters take the SDK's spans and metrics only. Turning facts into such spans, and those into bytes, cost
//! four times what writing the bytes does; and metrics are read one by one, so as not to take a core for long. What those
//! exporters do beside that is here, by the same text: which failures may pass, how long to wait, and what a receiver
//! says that took a part only. <https://opentelemetry.io/docs/specs/otlp/>

mod client;
mod grpc;
mod http;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::time::{Duration, Instant};

use ::http::HeaderMap;
use bytes::Bytes;

pub use client::BuildError;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;

use super::env::percent_decode;
use super::settings::{Otlp, Protocol};

/// How often a request is repeated.
const RETRIES: u32 = 3;
/// Before the first repetition; then twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest time by which a pause is stretched, so that senders do not keep step.
const JITTER_MS: u64 = 100;

/// What we call ourselves.
const USER_AGENT: &str = concat!("streamgauge/", env!("CARGO_PKG_VERSION"));

/// Why a request was not taken. Says nothing of what the receiver wrote, which may quote a credential.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// An HTTP status other than success.
    #[error("the receiver answered with status {0}")]
    Status(u16),
    /// A gRPC status other than success, and what our own side knows of its cause.
    #[error("the receiver answered with gRPC code {code:?}{cause}")]
    Code {
        /// The status.
        code: tonic::Code,
        /// Begins with a colon where there is one.
        cause: String,
    },
    /// No answer came.
    #[error("the receiver was not reached: {}", chain(.0))]
    Network(#[source] reqwest::Error),
    /// The body could not be compressed.
    #[error("the request was not compressed: {0}")]
    Compress(#[source] std::io::Error),
}

/// The answer to an export of spans; one of metrics has the same fields, by the same numbers.
type Answer = ExportTraceServiceResponse;

/// A request that was not taken.
struct Refusal {
    error: SendError,
    /// Whether it may be taken later, and when at the earliest.
    again: Option<Duration>,
}

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Points of metrics.
    Metrics,
}

impl Signal {
    /// As the variables and the metrics spell it.
    fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
        }
    }
}

/// Sends export requests of one signal to one receiver.
#[derive(Debug)]
pub struct Sender {
    signal: Signal,
    transport: Transport,
    /// Longest time for one request and its repetitions.
    timeout: Duration,
}

#[derive(Debug)]
enum Transport {
    Grpc(grpc::Grpc),
    Http(http::Http),
}

impl Sender {
    /// Opens no connection.
    pub(super) fn new(otlp: &Otlp, signal: Signal) -> Result<Self, BuildError> {
        Ok(Self {
            signal,
            transport: match otlp.protocol {
                Protocol::Grpc => Transport::Grpc(grpc::Grpc::new(otlp, signal)?),
                Protocol::HttpProtobuf => Transport::Http(http::Http::new(otlp)?),
            },
            timeout: otlp.timeout,
        })
    }

    /// Sends one `ExportTraceServiceRequest` or `ExportMetricsServiceRequest`, and again where the receiver may take it
    /// later. Blocks, so it is nothing for a thread of an async runtime.
    ///
    /// # Errors
    /// When the receiver has not taken it in the time given, or never will.
    pub fn send(&self, request: Vec<u8>) -> Result<(), SendError> {
        let response = match &self.transport {
            Transport::Grpc(grpc) => {
                let request = Bytes::from(request);
                repeat(self.timeout, || grpc.send(request.clone()))
            }
            Transport::Http(http) => {
                let request = http.prepare(request)?;
                repeat(self.timeout, || http.send(request.clone()))
            }
        }?;
        if let Some(partial) = response.partial_success
            && (partial.rejected_spans > 0 || !partial.error_message.is_empty())
        {
            let (rejected, message) = (partial.rejected_spans, partial.error_message);
            let signal = self.signal.name();
            tracing::warn!(
                signal,
                rejected,
                message,
                "the receiver took a part of an export only"
            );
        }
        Ok(())
    }
}

/// Tries until it succeeds, fails for good, has been repeated often enough, or would end after the time given.
fn repeat<T>(within: Duration, attempt: impl Fn() -> Result<T, Refusal>) -> Result<T, SendError> {
    let start = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut left = RETRIES;
    loop {
        let refusal = match attempt() {
            Ok(response) => return Ok(response),
            Err(refusal) => refusal,
        };
        let Some(asked) = refusal.again.filter(|_| left > 0) else {
            return Err(refusal.error);
        };
        // What a receiver asks for is the least it gets from then on.
        pause = pause.max(asked);
        let jitter = Duration::from_millis(RandomState::new().hash_one(left) % JITTER_MS);
        if start.elapsed() + pause + jitter >= within {
            return Err(refusal.error);
        }
        std::thread::sleep(pause + jitter);
        pause *= 2;
        left -= 1;
    }
}

/// The headers that are configured, decoded and marked as not to be shown. What is no header is left out.
pub(super) fn headers(otlp: &Otlp) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &otlp.headers {
        let value = percent_decode(value);
        let value = value.and_then(|value| ::http::HeaderValue::try_from(value).ok());
        if let (Ok(name), Some(mut value)) = (name.parse::<::http::HeaderName>(), value) {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
    headers
}

/// An error and its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
