//! Opens an observer for each exchange.
//!
//! Implements the seam by which the byte path finds its observer: picks a dialect by method and path, has the trace
//! begun, and returns the tap. It knows nothing of the proxy, and of sinks only that they exist.

mod clock;
pub mod decode;
pub mod estimate;
pub mod gaps;
mod kept;
mod lines;
mod multipart;
pub mod observer;
mod opening;
mod outline;
mod quirks;
mod reading;
pub mod redact;
pub mod secrets;
mod session;
mod settle;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::Version;
use http::header::{HOST, UPGRADE, USER_AGENT};

use self::estimate::Estimates;
use self::observer::ExchangeObserver;
use self::opening::{Observation, Opening};
use self::secrets::Secrets;
use crate::dialect::{self, Dialect};
use crate::exchange::{Exchange, Headers, Http, Trace};
use crate::message::Fields;
use crate::sink::{ExchangeId, Sink, Started};
use crate::tee::{Counters, Open, Opened, RequestHead, Taps, TraceContext};

/// What the observer can be told.
#[derive(Debug, Clone)]
pub struct Config {
    /// A gap between two events with output that is longer than this is a stall. Default 1 s.
    pub stall_threshold: Duration,
    /// Most bytes of one exchange that wait to be observed; beyond it frames are passed on unseen and counted. A request
    /// body that is read whole is one frame, so `inspect_bytes` should be less.
    /// Default 16 MiB.
    pub queue_bytes: usize,
    /// Longest event or body that is read for facts, in bytes, after decoding. Default 8 MiB.
    pub inspect_bytes: usize,
    /// Whether tokens are counted where the upstream reports none. Default true.
    pub estimate_tokens: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            stall_threshold: Duration::from_secs(1),
            queue_bytes: 16 << 20,
            inspect_bytes: 8 << 20,
            estimate_tokens: true,
        }
    }
}

/// Begins a trace for a request with these headers; `None` when traces are off.
pub type BeginTrace = dyn Fn(&Fields) -> Option<Trace> + Send + Sync;

/// Opens exchanges for the byte path and gives what was observed to the sinks.
pub struct Observe {
    shared: Arc<Shared>,
    begin_trace: Box<BeginTrace>,
    /// Whether our trace context goes upstream.
    propagate: bool,
    taps: Taps,
    estimating: Arc<AtomicU64>,
}

/// What all observers need.
#[derive(Clone)]
struct Shared {
    config: Config,
    sinks: Arc<[Arc<dyn Sink>]>,
    /// Credentials of our own, a line each.
    ours: Arc<str>,
    next_id: Arc<AtomicU64>,
    estimates: Option<Estimates>,
}

impl Observe {
    /// An opener whose observers report to `sinks`. Starts the thread they run on.
    #[must_use]
    pub fn new(
        config: Config,
        sinks: Arc<[Arc<dyn Sink>]>,
        begin_trace: Box<BeginTrace>,
        propagate: bool,
    ) -> Self {
        let estimating = Arc::<AtomicU64>::default();
        let start = || Estimates::start(Arc::clone(&estimating));
        Self {
            taps: Taps::new(config.queue_bytes),
            shared: Arc::new(Shared {
                estimates: config.estimate_tokens.then(start),
                config,
                sinks,
                ours: Arc::default(),
                next_id: Arc::new(AtomicU64::new(1)),
            }),
            estimating,
            begin_trace,
            propagate,
        }
    }

    /// The same, told of credentials of our own, which an upstream may quote: values of header fields.
    #[must_use]
    pub fn hiding<'c>(mut self, credentials: impl IntoIterator<Item = &'c str>) -> Self {
        Arc::make_mut(&mut self.shared).ours = secrets::lines(credentials);
        self
    }

    /// How many exchanges are over and wait for their tokens to be counted, before the sinks hear of them.
    #[must_use]
    pub fn estimating(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.estimating)
    }

    /// Counts over all exchanges.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        self.taps.counters()
    }

    /// The context for the upstream: of the inference span where there is one, else of the SERVER span.
    fn trace_context(
        &self,
        trace: Option<&Trace>,
        dialect: Option<&dyn Dialect>,
    ) -> Option<TraceContext> {
        let trace = trace.filter(|_| self.propagate)?;
        let span = if dialect.is_some() {
            trace.client_span_id
        } else {
            trace.server_span_id
        };
        Some(TraceContext {
            traceparent: trace.traceparent(span),
            keep_tracestate: trace.parent_span_id.is_some(),
        })
    }
}

impl Open for Observe {
    fn open(&self, head: &Arc<RequestHead>) -> Opened {
        let id = ExchangeId(self.shared.next_id.fetch_add(1, Ordering::Relaxed));
        let (method, path) = (head.method.as_str(), head.uri.path());
        let dialect = dialect::for_request(method, path);
        let may_switch = dialect.is_none() && head.fields.contains(UPGRADE);
        let session = may_switch.then(|| dialect::for_session(method, path));
        let trace = (self.begin_trace)(&head.fields);
        let trace_context = self.trace_context(trace.as_ref(), dialect);
        for sink in self.shared.sinks.iter() {
            sink.started(&Started { id, method, path });
        }
        let observation = Observation::of(Opening {
            id,
            head: Arc::clone(head),
            dialect,
            session: session.flatten(),
            trace,
            shared: Arc::clone(&self.shared),
        });
        let tap = self.taps.open(Box::new(observation));
        Opened { tap, trace_context }
    }
}

/// The observer of an exchange of which only the request's head is known so far. `ours` are credentials of our own, a line
/// each, which are not to be told.
#[must_use]
pub fn observer(
    id: ExchangeId,
    head: &RequestHead,
    dialect: Option<&'static dyn Dialect>,
    trace: Option<Trace>,
    config: &Config,
    ours: Arc<str>,
    sinks: Arc<[Arc<dyn Sink>]>,
) -> Box<ExchangeObserver> {
    let mut exchange = Box::new(Exchange {
        call: dialect.map(Dialect::call),
        http: http_facts(head, dialect.map(Dialect::route)),
        trace,
        ..Exchange::begin(head.received_at)
    });
    if let (Some(dialect), Some(query)) = (dialect, head.uri.query()) {
        dialect.query(query, &mut exchange.request);
    }
    let secrets = Secrets::of(head, ours);
    ExchangeObserver::new(id, head, exchange, dialect, config, secrets, sinks)
}

fn http_facts(head: &RequestHead, route: Option<&'static str>) -> Http {
    Http {
        method: head.method.as_str().to_owned(),
        scheme: head.scheme,
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(redact::query),
        route,
        version: match head.version {
            Version::HTTP_2 => "2",
            Version::HTTP_10 => "1.0",
            _ => "1.1",
        },
        host: host(head),
        user_agent: head.fields.text(USER_AGENT).map(str::to_owned),
        peer: head.peer,
        status: None,
        response_headers: Headers::default(),
        request_bytes: 0,
        response_bytes: 0,
        tunnel: None,
    }
}

/// The host that was asked for; a request target may carry user and password before it.
fn host(head: &RequestHead) -> Option<String> {
    let field = head.fields.text(HOST);
    let asked = field.or_else(|| head.uri.authority().map(|authority| authority.as_str()));
    asked.map(|asked| redact::host(asked).to_owned())
}
