//! Sends what is written already as OTLP, over gRPC or HTTP.
//!
//! The OTLP crate's exporters take the SDK's spans and metrics only. Turning facts into such spans, and those into bytes, cost
//! four times what writing the bytes does; and metrics are read one by one, so as not to take a core for long. What those
//! exporters do beside that is here, by the same text: which failures may pass, how long to wait, and what a receiver
//! says that took a part only. <https://opentelemetry.io/docs/specs/otlp/>

mod client;
mod grpc;
mod hint;
mod http;

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::time::{Duration, Instant};

use ::http::HeaderMap;
use bytes::Bytes;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;

use self::hint::Hints;
use crate::log::LogLimit;
use crate::otel::{Otlp, Protocol, percent_decode};
use crate::redact;

pub use client::BuildError;
pub use hint::{Symptom, of_endpoint as hint_of_endpoint};

/// How often a request is repeated.
const RETRIES: u32 = 3;
/// Before the first repetition; then twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause that a receiver is given when it asks for one.
const ASKED_MAX: Duration = Duration::from_secs(300);
/// Shortest value of a header that is not shown where a receiver quotes it: others are words.
const CREDENTIAL_BYTES: usize = 8;
/// Most characters of what a receiver says about a part that it rejected.
const REASON_CHARS: usize = 500;
/// Longest time by which a pause is stretched, so that senders do not keep step.
const JITTER_MS: u64 = 100;

/// What we call ourselves.
const USER_AGENT: &str = concat!("streamgauge/", env!("CARGO_PKG_VERSION"));

/// Why an export failed: at which receiver, in which way, and what to change. Says nothing of what the receiver wrote, which
/// may quote a credential.
#[derive(Debug, thiserror::Error)]
#[error("the OTLP receiver at {receiver} {fault}{}", and(.hint.as_deref()))]
pub struct SendError {
    /// Its URL, without what may be a credential.
    pub receiver: String,
    /// What happened.
    pub fault: Fault,
    /// The most likely cause and what to change, where it was not said before.
    pub hint: Option<String>,
}

/// In which way an export failed.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// An HTTP status other than success, and no gRPC status.
    #[error("answered with status {0}")]
    Status(u16),
    /// A gRPC status other than success.
    #[error("answered with gRPC code {0:?}")]
    Code(tonic::Code),
    /// A page for browsers, with a status of success.
    #[error("answered with a page (text/html), as no OTLP receiver does")]
    Page,
    /// No answer came.
    #[error("gave no answer: {cause}")]
    NoAnswer {
        /// What stood in the way.
        cause: String,
        /// What that says of the receiver.
        symptom: Symptom,
    },
    /// The body could not be compressed.
    #[error("was sent nothing: cannot compress the request: {0}")]
    Compress(std::io::Error),
}

/// A hint as it follows a sentence.
fn and(hint: Option<&str>) -> String {
    hint.map_or_else(String::new, |hint| format!("; {hint}"))
}

/// The answer to an export of spans; one of metrics or logs has the same fields, by the same numbers.
type ExportResponse = ExportTraceServiceResponse;

/// A request that was not taken.
struct Refusal {
    fault: Fault,
    /// Whether it may be taken later, and the pause that the receiver asks for before; zero where it asks for none.
    again: Option<Duration>,
}

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Points of metrics.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    /// As the variables and the metrics spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    /// What is added to the common endpoint over HTTP.
    fn path(self) -> String {
        format!("/v1/{}", self.name())
    }
}

/// Sends export requests of one signal to one receiver.
#[derive(Debug)]
pub struct Sender {
    signal: Signal,
    transport: Transport,
    /// Values of headers, which a receiver may quote.
    credentials: Vec<String>,
    hints: Hints,
    receiver: String,
    pace: Pace,
    log: LogLimit,
}

/// When requests are repeated, and when they are held back.
#[derive(Debug)]
struct Pace {
    /// Longest time for one request and its repetitions, without the pauses that the receiver asks for.
    timeout: Duration,
    /// Until when the receiver wants nothing, this request or any other.
    hold: Cell<Option<Instant>>,
}

#[derive(Debug)]
enum Transport {
    Grpc(grpc::Grpc),
    Http(http::Http),
}

impl Sender {
    /// Opens no connection.
    pub fn new(otlp: &Otlp, signal: Signal) -> Result<Self, BuildError> {
        Ok(Self {
            signal,
            transport: match otlp.protocol {
                Protocol::Grpc => Transport::Grpc(grpc::Grpc::new(otlp, signal)?),
                Protocol::HttpProtobuf => Transport::Http(http::Http::new(otlp)?),
            },
            credentials: credentials(otlp),
            hints: Hints::new(otlp, signal),
            receiver: otlp.shown_endpoint(),
            pace: Pace {
                timeout: otlp.timeout,
                hold: Cell::new(None),
            },
            log: LogLimit::per_minute(),
        })
    }

    /// Sends one `ExportTraceServiceRequest`, `ExportMetricsServiceRequest` or `ExportLogsServiceRequest`, and again where the receiver may take it
    /// later; waits before where the receiver has asked for a pause. Gives the number of items that it rejected. Blocks, so
    /// it is nothing for a thread of an async runtime.
    ///
    /// # Errors
    /// When the receiver has not taken it in the time given, or never will.
    pub fn send(&self, request: impl Into<Bytes>) -> Result<u64, SendError> {
        let taken = self.prepared(request.into()).and_then(|request| {
            let attempt = || self.attempt(request.clone());
            self.pace.repeat(attempt, std::thread::sleep)
        });
        self.settled(taken)
    }

    /// Sends one such request once, whatever comes of it. Blocks too.
    ///
    /// # Errors
    /// When the receiver has not taken it.
    pub fn try_once(&self, request: impl Into<Bytes>) -> Result<u64, SendError> {
        let taken = self.prepared(request.into()).and_then(|request| {
            let attempt = self.attempt(request);
            attempt.map_err(|refusal| refusal.fault)
        });
        self.settled(taken)
    }

    /// A request as it goes out.
    fn prepared(&self, request: Bytes) -> Result<Bytes, Fault> {
        match &self.transport {
            Transport::Grpc(_) => Ok(request),
            Transport::Http(http) => http.prepare(request),
        }
    }

    fn attempt(&self, request: Bytes) -> Result<ExportResponse, Refusal> {
        match &self.transport {
            Transport::Grpc(grpc) => grpc.send(request),
            Transport::Http(http) => http.send(request),
        }
    }

    /// What became of a request: how many items the receiver rejected, or why it has not taken it.
    fn settled(&self, taken: Result<ExportResponse, Fault>) -> Result<u64, SendError> {
        let response = taken.map_err(|fault| SendError {
            receiver: self.receiver.clone(),
            hint: self.hints.next(&fault),
            fault,
        })?;
        self.hints.settle();
        let Some(partial) = response.partial_success else {
            return Ok(0);
        };
        let rejected = u64::try_from(partial.rejected_spans).unwrap_or_default();
        let says_something = rejected > 0 || !partial.error_message.is_empty();
        if let Some(held_back) = says_something.then(|| self.log.pass()).flatten() {
            let reason = self.shown(&partial.error_message);
            let signal = self.signal.name();
            tracing::warn!(
                signal,
                rejected,
                reason,
                held_back,
                "the OTLP receiver rejected part of an export"
            );
        }
        Ok(rejected)
    }

    /// What a receiver says, bounded and without credentials.
    fn shown(&self, reason: &str) -> String {
        let mut shown = redact::lookalikes(reason).into_owned();
        for credential in &self.credentials {
            shown = shown.replace(credential, redact::REDACTED);
        }
        shown.chars().take(REASON_CHARS).collect()
    }
}

impl Drop for Sender {
    /// Nothing more is sent.
    fn drop(&mut self) {
        self.log.end("the OTLP receiver rejected part of an export");
    }
}

/// What of the headers is long enough for a credential, without the word for its scheme.
fn credentials(otlp: &Otlp) -> Vec<String> {
    let headers = headers(otlp);
    let values = headers.values().filter_map(|value| value.to_str().ok());
    let keys = values.map(|value| value.rsplit(' ').next().unwrap_or(value));
    let keys = keys.filter(|key| key.len() >= CREDENTIAL_BYTES);
    keys.map(str::to_owned).collect()
}

impl Pace {
    /// Tries until it succeeds, fails for good, has been repeated often enough, or would end after the time given. What the
    /// receiver asks to wait holds back this request and those after it, and does not count: it is not the receiver that is
    /// late then.
    fn repeat<T>(
        &self,
        attempt: impl Fn() -> Result<T, Refusal>,
        wait: impl Fn(Duration),
    ) -> Result<T, Fault> {
        let mut spent = Duration::ZERO;
        let mut pause = FIRST_PAUSE;
        let mut left = RETRIES;
        loop {
            if let Some(until) = self.hold.take() {
                wait(until.saturating_duration_since(Instant::now()) + jitter());
            }
            let begun = Instant::now();
            let refusal = match attempt() {
                Ok(response) => return Ok(response),
                Err(refusal) => refusal,
            };
            spent += begun.elapsed();
            let asked = refusal.again.filter(|asked| !asked.is_zero());
            let hold = asked.map(|asked| Instant::now() + asked.min(ASKED_MAX));
            self.hold.set(hold);
            if refusal.again.is_none() || left == 0 {
                return Err(refusal.fault);
            }
            left -= 1;
            if hold.is_none() {
                let stretched = pause + jitter();
                spent += stretched;
                if spent >= self.timeout {
                    return Err(refusal.fault);
                }
                wait(stretched);
                pause *= 2;
            }
        }
    }
}

/// What a pause is stretched by.
fn jitter() -> Duration {
    Duration::from_millis(RandomState::new().hash_one(()) % JITTER_MS)
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
