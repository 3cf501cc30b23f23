//! Opens an observer for each exchange.
//!
//! Implements the seam by which the byte path finds its observer: picks a dialect by method and path, has the trace
//! begun, and returns the tap. It knows nothing of the proxy, and of what happens to a finished exchange only that a pipeline takes it.

mod books;
mod clock;
mod content;
mod conversation;
pub mod gaps;
mod in_body;
pub mod key;
pub mod observer;
mod opening;
mod page;
mod quirks;
mod reading;
mod refused;
mod response_headers;
pub mod secrets;
mod session;
pub mod template;
pub mod told;
mod uncounted;

pub use content::ContentRules;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::header::{UPGRADE, USER_AGENT};
use http::{Method, Version};

use self::content::ContentReading;
use self::key::KeySecret;
use self::observer::ExchangeObserver;
use self::opening::{Observation, Opening};
use self::refused::RefusedObserver;
use self::secrets::Secrets;
use self::told::{Annotation, Source};
use crate::dialect::{self, Dialect};
use crate::exchange::{Exchange, Headers, Http, Trace, trace_id};
use crate::memory::Memory;
use crate::message::Fields;
use crate::pipeline::Pipeline;
use crate::redact;
use crate::sink::{Deadline, ExchangeId};
use crate::tap::{
    CarriedContext, Counters, Event, Joined, Joins, Open, Opened, RefusedRequest, RequestHead, Tap,
    Taps, TraceHeaders,
};

/// What the observer can be told.
#[derive(Debug, Clone)]
pub struct ObserveConfig {
    /// A gap between two events with output that is longer than this is a stall. Default 1 s.
    pub stall_threshold: Duration,
    /// Most bytes of one exchange that wait to be observed; beyond it frames are passed on unseen and counted. A request
    /// body that is read whole is one frame, so `inspect_bytes` should be less.
    /// Default 16 MiB.
    pub queue_bytes: usize,
    /// Bounds what waits to be observed of all exchanges, and the bodies that observers keep until they are whole; beyond it
    /// frames are passed on unseen and counted.
    pub memory: Memory,
    /// Longest event or body that is read for facts, in bytes, after decoding. Default 8 MiB.
    pub inspect_bytes: usize,
    /// What a client tells of a call that becomes attributes of its spans. Default none.
    pub annotations: Vec<Annotation>,
    /// What fingerprints of clients' keys are made with; `None`: none are made. Default `None`.
    pub key_secret: Option<KeySecret>,
    /// Where a client names the conversation, in order. Default [`told::conversations`].
    pub conversations: Vec<Source>,
    /// Which exchanges show what was said in them. Default none.
    pub content: Arc<ContentRules>,
    /// Where it names the template that the prompt was made from, in order. Default [`template::names`].
    pub templates: Vec<Source>,
    /// Where it names the template's version, in order. Default [`template::versions`].
    pub template_versions: Vec<Source>,
    /// Whether what was put into the template is taken: it is a part of the prompt. Default false.
    pub template_variables: bool,
}

impl ObserveConfig {
    /// What puts the content of an exchange together, if any shows some.
    fn content(&self) -> Option<Box<ContentReading>> {
        let reading = || ContentReading::new(&self.content, &self.memory, self.inspect_bytes);
        self.content.is_on().then(|| Box::new(reading()))
    }

    /// Whether the value of this header field may be told.
    fn tells(&self, name: &str) -> bool {
        let annotations = self.annotations.iter().map(|listed| &listed.source);
        let templates = self.templates.iter().chain(&self.template_versions);
        let mut sources = annotations.chain(&self.conversations).chain(templates);
        sources.any(|source| match source {
            Source::Header(listed) => name.eq_ignore_ascii_case(listed.as_str()),
            Source::Baggage(_) | Source::Metadata(_) | Source::Member(_) => false,
        })
    }
}

impl Default for ObserveConfig {
    fn default() -> Self {
        Self {
            stall_threshold: Duration::from_secs(1),
            queue_bytes: 16 << 20,
            memory: Memory::default(),
            inspect_bytes: 8 << 20,
            annotations: Vec::new(),
            key_secret: None,
            conversations: told::conversations(),
            content: Arc::default(),
            templates: template::names(),
            template_versions: template::versions(),
            template_variables: false,
        }
    }
}

/// Gives exchanges their traces.
pub trait Tracer: Send + Sync {
    /// Begins the trace of a request with these header fields.
    fn begin(&self, fields: &Fields) -> Trace;

    /// Moves a trace that has just begun into that which a body names. Says whether it named one.
    fn join(&self, trace: &mut Trace, context: &CarriedContext) -> bool;

    /// What makes a span of it the parent of the upstream's.
    fn headers(&self, trace: &Trace, span_id: u64) -> TraceHeaders;
}

/// Opens exchanges for the byte path and gives what was observed to the pipeline.
pub struct Observe {
    shared: Arc<Shared>,
    /// `None` when traces are off.
    tracer: Option<Box<dyn Tracer>>,
    /// Whether our trace context goes upstream.
    propagate: bool,
    taps: Taps,
}

/// How often it is looked whether everything is over, while a shutdown waits for it.
const DRAIN_POLL: Duration = Duration::from_millis(5);

/// What was left when the time to drain was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the last exchanges were not delivered in time: {in_flight} in flight, {unobserved} not observed, {undelivered} not \
     delivered"
)]
pub struct Undrained {
    /// Exchanges that were not over.
    pub in_flight: u64,
    /// Exchanges that were over and not observed to their end.
    pub unobserved: u64,
    /// Exchanges that were observed, and that no sink was given.
    pub undelivered: usize,
}

/// What all observers need.
#[derive(Clone)]
struct Shared {
    config: ObserveConfig,
    pipeline: Arc<Pipeline>,
    /// Credentials of our own, a line each.
    ours: Arc<str>,
    next_id: Arc<AtomicU64>,
}

impl Shared {
    fn next_id(&self) -> ExchangeId {
        ExchangeId(self.next_id.fetch_add(1, Ordering::Relaxed))
    }
}

impl Observe {
    /// An opener whose observers report to `pipeline`. Starts the thread they run on.
    #[must_use]
    pub fn new(
        config: ObserveConfig,
        pipeline: Arc<Pipeline>,
        tracer: Option<Box<dyn Tracer>>,
        propagate: bool,
    ) -> Self {
        Self {
            taps: Taps::new(config.queue_bytes, config.memory.clone()),
            shared: Arc::new(Shared {
                config,
                pipeline,
                ours: Arc::default(),
                next_id: Arc::new(AtomicU64::new(1)),
            }),
            tracer,
            propagate,
        }
    }

    /// The same, told of credentials of our own, which an upstream may quote: values of header fields.
    #[must_use]
    pub fn hiding<'c>(mut self, credentials: impl IntoIterator<Item = &'c str>) -> Self {
        Arc::make_mut(&mut self.shared).ours = secrets::lines(credentials);
        self
    }

    /// Has every open exchange reported to the sinks, as far as it has come: that it has begun, and its progress.
    pub async fn look(&self) {
        self.taps.look().await;
    }

    /// Waits until every exchange is over, observed and delivered, and has the sinks hand on what they hold. Takes nothing
    /// more. Says what was still missing when the time was over. Blocks.
    ///
    /// # Errors
    /// What was left.
    pub fn drained(&self, deadline: impl Into<Deadline>) -> Result<(), Undrained> {
        let deadline = deadline.into();
        let until = std::time::Instant::now() + deadline.within;
        let counters = self.taps.counters();
        let left = || until.saturating_duration_since(std::time::Instant::now());
        while counters.in_flight() + counters.unsettled() > 0 && !left().is_zero() {
            std::thread::sleep(DRAIN_POLL);
        }
        let delivered = self.shared.pipeline.drained(deadline.left(until));
        let undrained = Undrained {
            in_flight: counters.in_flight(),
            unobserved: counters.unsettled(),
            undelivered: self.shared.pipeline.waiting(),
        };
        if delivered && undrained.in_flight + undrained.unobserved == 0 {
            Ok(())
        } else {
            Err(undrained)
        }
    }

    /// Has the sinks say what was lost of what was late at [`drained`](Self::drained): the last thing before the process ends. Blocks
    /// no longer than this.
    pub fn last_words(&self, within: Duration) {
        self.shared.pipeline.last_words(within);
    }

    /// Counts over all exchanges.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        self.taps.counters()
    }

    /// What names a span of ours to the upstream, if anything does.
    fn trace_headers(&self, trace: &Trace, span_id: u64) -> Option<TraceHeaders> {
        let tracer = self.tracer.as_ref().filter(|_| self.propagate)?;
        Some(tracer.headers(trace, span_id))
    }

    fn begin_trace(&self, fields: &Fields) -> Option<Trace> {
        self.tracer.as_ref().map(|tracer| tracer.begin(fields))
    }
}

impl Open for Observe {
    fn open(&self, head: &Arc<RequestHead>) -> Opened {
        let id = self.shared.next_id();
        let (method, path) = (head.method.as_str(), head.target.path());
        let dialect = dialect::for_request(method, &path);
        let may_switch = dialect.is_none() && head.fields.contains(UPGRADE);
        let session = may_switch.then(|| dialect::for_session(method, &path));
        let trace = self.begin_trace(&head.fields);
        // The context for the upstream is of the inference span where there is one, else of the SERVER span.
        let span_id = |trace: &Trace| match dialect {
            Some(_) => trace.client_span_id,
            None => trace.server_span_id,
        };
        let trace_headers = trace
            .as_ref()
            .and_then(|trace| self.trace_headers(trace, span_id(trace)));
        let unnamed = trace
            .as_ref()
            .filter(|trace| trace.parent_span_id.is_none());
        let joins = unnamed.map(|trace| Joins {
            span_id: span_id(trace),
        });
        let observation = Observation::of(Opening {
            id,
            head: Arc::clone(head),
            dialect,
            session: session.flatten(),
            trace,
            shared: Arc::clone(&self.shared),
        });
        let tap = self.taps.open(Box::new(observation));
        Opened {
            tap,
            trace_headers,
            joins,
        }
    }

    fn join(&self, joins: Joins, context: &CarriedContext, tap: &Tap) -> Option<TraceHeaders> {
        let mut trace = Trace::of_span(joins.span_id);
        if !self.tracer.as_ref()?.join(&mut trace, context) {
            return None;
        }
        let mut headers = self.trace_headers(&trace, joins.span_id);
        if let Some(headers) = headers.as_mut().filter(|headers| headers.w3c.is_some()) {
            // What the client has in its headers came without a parent.
            let state = ("tracestate", trace.tracestate.clone());
            headers.others.push(state);
        }
        tap.show(Event::Joined(Box::new(Joined {
            trace_id: trace.trace_id,
            parent_span_id: trace.parent_span_id,
            sampled: trace.sampled,
            parent_sampled: trace.parent_sampled,
            random: trace.random,
            tracestate: trace.tracestate,
        })));
        headers
    }

    fn refuse(&self, refused: RefusedRequest) {
        let trace = self.begin_trace(&Fields::default());
        let pipeline = Arc::clone(&self.shared.pipeline);
        let observer = RefusedObserver::new(self.shared.next_id(), &refused, trace, pipeline);
        self.taps.open(Box::new(observer)).close(refused.closing);
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
    config: &ObserveConfig,
    ours: Arc<str>,
    pipeline: Arc<Pipeline>,
) -> Box<ExchangeObserver> {
    // Filled in where it lies: it is large.
    let mut exchange = Box::new(Exchange::begin(head.received_at));
    exchange.operation = dialect.map(Dialect::operation);
    exchange.http = http_facts(head, dialect.map(Dialect::route));
    exchange.trace = trace;
    if let (Some(dialect), Some(query)) = (dialect, head.target.query()) {
        dialect.query(&query, &mut exchange.request);
    }
    exchange.annotations = annotations(config, &head.fields);
    let secret = config.key_secret.as_ref();
    exchange.key_fingerprint = secret.and_then(|secret| secret.fingerprint(&head.fields));
    let named = |source: &Source| source.value(&head.fields);
    exchange.named_conversation = config.conversations.iter().find_map(named);
    exchange.template = template::of_head(config, &head.fields);
    let secrets = Secrets::of(head, ours, |name| config.tells(name));
    ExchangeObserver::new(id, head, exchange, dialect, config, secrets, pipeline)
}

fn annotations(config: &ObserveConfig, fields: &Fields) -> Vec<(Arc<str>, String)> {
    let listed = config.annotations.iter();
    let told = listed.filter_map(|it| Some((Arc::clone(&it.name), it.source.value(fields)?)));
    told.collect()
}

fn http_facts(head: &RequestHead, route: Option<&'static str>) -> Http {
    Http {
        method: method(&head.method),
        scheme: head.scheme,
        path: head.target.path().into(),
        query: head.target.query().map(|query| redact::query(&query)),
        route,
        version: match head.version {
            Version::HTTP_2 => "2",
            Version::HTTP_10 => "1.0",
            _ => "1.1",
        },
        host: head.host().map(|host| redact::host(host).to_owned()),
        user_agent: head.fields.text(USER_AGENT).map(str::to_owned),
        trace_id: traceparent(&head.fields).and_then(trace_id),
        retry_count: retry_count(&head.fields),
        peer: head.peer,
        status: None,
        response_headers: Headers::default(),
        request_bytes: None,
        response_bytes: 0,
        tunnel: None,
    }
}

/// How often the client's library has sent the request before, as those of OpenAI and Anthropic say it.
fn retry_count(fields: &Fields) -> Option<u64> {
    fields.text("x-stainless-retry-count")?.trim().parse().ok()
}

/// The client's `traceparent`, where there is one and no other.
fn traceparent(fields: &Fields) -> Option<&str> {
    let mut parents = fields.texts("traceparent");
    parents.next().filter(|_| parents.next().is_none())
}

/// The method as it was sent. The usual ones need no memory.
fn method(method: &Method) -> Cow<'static, str> {
    match *method {
        Method::POST => Cow::Borrowed("POST"),
        Method::GET => Cow::Borrowed("GET"),
        _ => Cow::Owned(method.as_str().to_owned()),
    }
}
