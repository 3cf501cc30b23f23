//! Runs a capture through the observer, as if its bytes went by.
//!
//! An observer asks for more than a capture knows: instants, the client's scheme and version, how the body was cut. Each
//! capture is run twice, with every such thing filled in one way and then another ([`Guess`]). What differs between the
//! two stands on a guess, and is not said.

use std::sync::{Arc, mpsc};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, HOST};
use http::uri::Scheme;
use http::{HeaderMap, Method, Uri, Version};

use super::Options;
use super::capture::{self, Capture, CapturedRequest, CapturedResponse, EndedBy, Extent};
use crate::conversation::Correlator;
use crate::dialect;
use crate::exchange::{Exchange, Identity, Trace};
use crate::message::{Fields, Target};
use crate::observe::{self, ObserveConfig, secrets::Secrets};
use crate::parse::coding::Decoder;
use crate::pipeline::{CorrelateConfig, Pipeline, PipelineConfig, Traces};
use crate::semconv::provider;
use crate::sink::{ExchangeId, Sink};
use crate::tap::{
    Close, Closing, Event, Fault, FaultClass, Forwarded, Instant, Observer as _, RequestHead,
    UpstreamName, Why,
};
use crate::upstream::{self, UpstreamConfig};

/// Bytes that come at once where nothing says how a body was cut.
const FRAME_BYTES: usize = 16 << 10;

/// How whatever the capture does not say is filled in. Two of them differ in everything.
struct Guess {
    /// Time between any two things that happen.
    step: Duration,
    scheme: &'static str,
    version: Version,
    /// Whether each line of the body comes by itself, or the body as fast as it can.
    line_by_line: bool,
    /// A length.
    bytes: u64,
    /// How a response ended whose body was not saved.
    unsaved: fn() -> Close,
}

const GUESSES: [Guess; 2] = [
    Guess {
        step: Duration::from_millis(100),
        scheme: "http",
        version: Version::HTTP_11,
        line_by_line: false,
        bytes: 1,
        unsaved: || Close::Dropped,
    },
    Guess {
        step: Duration::from_millis(700),
        scheme: "https",
        version: Version::HTTP_2,
        line_by_line: true,
        bytes: 2,
        unsaved: cut,
    },
];

/// What the observer makes of a capture, under each of two guesses, and what may not be shown of it.
pub(super) fn replay(
    capture: &Capture,
    path: &Uri,
    options: &Options,
    observed: &mut Observed,
) -> ([Exchange; 2], Secrets) {
    observed.begun += 1;
    let trace = trace(observed.begun);
    let said = Said {
        capture,
        path,
        options,
    };
    let exchanges = [0, 1].map(|at| {
        let (guess, past) = (&GUESSES[at], &mut observed.pasts[at]);
        let began = capture.started.unwrap_or(past.over + guess.step);
        said.replay(guess, began, trace.clone(), &observed.pipeline);
        let finished = observed.finished.recv();
        let mut finished =
            finished.expect("an observer that is closed hands its exchange to the sinks");
        past.over = began + finished.times.end;
        // That of the pipeline has seen every call twice.
        past.correlator.place(&mut finished);
        finished
    });
    (exchanges, said.secrets())
}

/// Where a request went; `None` where the capture does not say.
pub(super) fn authority(request: &CapturedRequest) -> Option<&str> {
    let host = || request.headers.get(HOST)?.to_str().ok();
    let named = request.target.authority().map(|named| named.as_str());
    named.or_else(host)
}

/// What is known of an exchange before it is run.
struct Said<'a> {
    capture: &'a Capture,
    /// Where there is no request: the path it would have had.
    path: &'a Uri,
    options: &'a Options,
}

impl Said<'_> {
    fn replay(&self, guess: &Guess, began: SystemTime, trace: Trace, pipeline: &Arc<Pipeline>) {
        let request = self.capture.request.as_ref();
        let mut headers = request.map(|request| request.headers.clone());
        let body = request.and_then(|request| request.body.as_deref());
        let body = clear(body, headers.as_mut(), self.options);
        let head = RequestHead {
            received_at: began,
            ..self.head(&headers.unwrap_or_default(), guess)
        };
        let config = ObserveConfig {
            stall_threshold: Duration::ZERO,
            ..self.options.observe.clone()
        };
        let dialect = dialect::for_request(head.method.as_str(), &head.target.path());
        let observer = observe::observer(
            ExchangeId(0),
            &head,
            dialect,
            Some(trace),
            &config,
            "".into(),
            Arc::clone(pipeline),
        );
        let mut run = Run {
            observer,
            start: head.received,
            clock: ReplayClock::new(self.capture, guess),
        };
        let bytes = request.and_then(CapturedRequest::wire_bytes);
        let bytes = bytes.unwrap_or(guess.bytes);
        run.request(body, bytes, self.upstream(guess), &head.target);
        run.response(self.capture, guess, self.options);
    }

    fn head(&self, headers: &HeaderMap, guess: &Guess) -> RequestHead {
        let request = self.capture.request.as_ref();
        let uri = request.map_or(self.path, |request| &request.target);
        let version = request.and_then(|request| request.version);
        RequestHead {
            received: Instant::now(),
            received_at: SystemTime::now(),
            method: request.map_or(Method::POST, |request| request.method.clone()),
            target: Target::from(uri),
            version: version.unwrap_or(guess.version),
            fields: Fields::from(headers),
            scheme: scheme(uri).unwrap_or(guess.scheme),
            peer: None,
        }
    }

    /// The credentials in the request.
    fn secrets(&self) -> Secrets {
        let request = self.capture.request.as_ref();
        let headers = request.map(|request| request.headers.clone());
        let headers = headers.unwrap_or_default();
        Secrets::of(&self.head(&headers, &GUESSES[0]), "".into(), |_| false)
    }

    /// The upstream of the configuration that has the captured host, else one at that host.
    fn upstream(&self, guess: &Guess) -> Option<UpstreamName> {
        let upstreams = &self.options.upstreams;
        let Some(request) = &self.capture.request else {
            return upstream::known_as(upstreams.first()?).ok();
        };
        let scheme = scheme(&request.target).unwrap_or(guess.scheme);
        let url = format!("{scheme}://{}", authority(request)?);
        let url: Uri = url.parse().ok()?;
        let has_host = |upstream: &&UpstreamConfig| {
            let same_port = upstream.url.port_u16() == url.port_u16();
            upstream.url.host() == url.host() && same_port
        };
        let known = upstreams.iter().find(has_host).cloned();
        let named = known.unwrap_or_else(|| {
            let name = match upstreams.as_slice() {
                [only] => &only.name,
                _ => "captured",
            };
            let provider = provider::of_host(url.host().unwrap_or_default());
            UpstreamConfig {
                provider: provider.map(Into::into),
                ..UpstreamConfig::new(name, url)
            }
        });
        upstream::known_as(&named).ok()
    }
}

/// The trace of the call of this number, from 1. The spans need ids to be exported, and calls refer to each other by them; they
/// are not shown.
const fn trace(number: u64) -> Trace {
    Trace {
        trace_id: number as u128,
        parent_span_id: None,
        parent_is_ours: false,
        server_span_id: 2 * number,
        client_span_id: 2 * number + 1,
        sampled: true,
        parent_sampled: None,
        random: true,
        tracestate: None,
        told_upstream: None,
    }
}

/// Which call, from 1, the exchange of this identity is.
pub(super) fn number(identity: &Identity) -> usize {
    usize::try_from(identity.trace_id).unwrap_or(usize::MAX)
}

fn scheme(uri: &Uri) -> Option<&'static str> {
    let scheme = uri.scheme()?;
    Some(if *scheme == Scheme::HTTPS {
        "https"
    } else {
        "http"
    })
}

/// Undoes the content coding of a body, and takes it off its head. What cannot be undone stays, to be counted.
fn clear(body: Option<&[u8]>, headers: Option<&mut HeaderMap>, options: &Options) -> Vec<u8> {
    let body = body.unwrap_or_default();
    let Some(headers) = headers else {
        return body.to_vec();
    };
    let coding = headers.get(CONTENT_ENCODING);
    let Some(coding) = coding.and_then(|coding| coding.to_str().ok()) else {
        return body.to_vec();
    };
    let decoded = if capture::is_undone(headers, body) {
        Some(body.to_vec())
    } else {
        decoded(body, coding, options.observe.inspect_bytes)
    };
    if decoded.is_some() {
        headers.remove(CONTENT_ENCODING);
    }
    decoded.unwrap_or_else(|| body.to_vec())
}

/// The body of a response, decoded where it can be.
pub(super) fn clear_body(response: &CapturedResponse, options: &Options) -> Vec<u8> {
    let mut headers = response.headers.clone();
    clear(Some(&response.body), Some(&mut headers), options)
}

fn decoded(body: &[u8], coding: &str, limit: usize) -> Option<Vec<u8>> {
    let mut decoder = Decoder::for_coding(coding, limit).ok()?;
    let mut decoded = Vec::new();
    for piece in body.chunks(FRAME_BYTES) {
        decoder.push(piece, &mut decoded).ok()?;
    }
    Some(decoded)
}

/// One run through an observer.
struct Run {
    observer: Box<observe::observer::ExchangeObserver>,
    start: Instant,
    clock: ReplayClock,
}

impl Run {
    fn request(
        &mut self,
        body: Vec<u8>,
        bytes: u64,
        upstream: Option<UpstreamName>,
        target: &Target,
    ) {
        let at = self.start + self.clock.sent;
        if !body.is_empty() {
            self.observer
                .observe(Event::RequestFrame(at, Bytes::from(body)));
        }
        self.observer.observe(Event::RequestEnd(at, bytes));
        if let Some(upstream) = upstream {
            self.observer.observe(Event::Forwarded(Forwarded {
                at,
                upstream: Arc::new(upstream),
                route: None,
                target: Box::new(target.clone()),
                why: Why::First,
                usage_asked: false,
            }));
            self.observer.observe(Event::Sent { at, attempt: 0 });
        }
    }

    fn response(mut self, capture: &Capture, guess: &Guess, options: &Options) {
        let Some(response) = &capture.response else {
            let close = match capture.ended_by {
                Some(EndedBy::Upstream) => unanswered(),
                Some(EndedBy::Client) | None => Close::Dropped,
            };
            return self.close(close, None, guess.bytes);
        };
        let mut headers = response.headers.clone();
        let body = clear(Some(&response.body), Some(&mut headers), options);
        self.observer.observe(Event::ResponseHead {
            at: self.start + self.clock.head,
            status: response.status,
            fields: Fields::from(&headers),
        });
        for frame in frames(&body, guess.line_by_line) {
            let at = self.start + self.clock.frame();
            let frame = Bytes::copy_from_slice(frame);
            self.observer.observe(Event::ResponseFrame(at, frame));
        }
        let close = match response.extent {
            Extent::Whole => Close::Complete,
            Extent::Cut if capture.ended_by == Some(EndedBy::Client) => Close::Dropped,
            Extent::Cut => cut(),
            Extent::Unsaved => (guess.unsaved)(),
        };
        let bytes = response.wire_bytes;
        let unknown = response.body.len() as u64 + guess.bytes;
        self.close(close, Some(response), bytes.unwrap_or(unknown));
    }

    fn close(self, close: Close, response: Option<&CapturedResponse>, response_bytes: u64) {
        self.observer.close(Closing {
            at: self.start + self.clock.end,
            close,
            status: response.map(|response| response.status),
            response_bytes,
            held: self.clock.held,
            verdict: None,
            moved: Vec::new(),
            aftermath: None,
        });
    }
}

/// The end of a response that breaks off.
fn cut() -> Close {
    Close::Failed(Fault {
        class: FaultClass::Cut,
        kind: "stream_truncated",
        message: "the capture ends before the response does".to_owned(),
    })
}

/// The end of a call that an upstream gives no answer to.
fn unanswered() -> Close {
    Close::Failed(Fault {
        class: FaultClass::Cut,
        kind: "connection_broken",
        message: "the connection failed before a response head arrived".to_owned(),
    })
}

fn frames(body: &[u8], line_by_line: bool) -> Vec<&[u8]> {
    if line_by_line {
        body.split_inclusive(|byte| *byte == b'\n').collect()
    } else {
        body.chunks(FRAME_BYTES).collect()
    }
}

/// When what happens.
struct ReplayClock {
    sent: Duration,
    head: Duration,
    /// When the last frame came.
    now: Duration,
    /// Time between two frames.
    step: Duration,
    end: Duration,
    held: Duration,
}

impl ReplayClock {
    fn new(capture: &Capture, guess: &Guess) -> Self {
        let body = capture.response.as_ref();
        let lines = body.map_or(0, |response| frames(&response.body, true).len());
        // A body that was coded may have many times as many lines.
        let frames = u32::try_from(lines).unwrap_or(u32::MAX).saturating_mul(4);
        let (sent, head, end) = match capture.timing {
            Some(timing) => (timing.sent, timing.head, timing.end),
            None => (guess.step, 2 * guess.step, 4 * guess.step),
        };
        let step = if guess.line_by_line {
            (end - head) / frames.saturating_add(2)
        } else {
            Duration::ZERO
        };
        Self {
            sent,
            head,
            now: head,
            step,
            end,
            held: guess.step,
        }
    }

    fn frame(&mut self) -> Duration {
        self.now = self.end.min(self.now + self.step);
        self.now
    }
}

/// A pipeline, the exchanges that come out of it, and what was before them.
pub(super) struct Observed {
    pipeline: Arc<Pipeline>,
    finished: mpsc::Receiver<Exchange>,
    /// Under each guess.
    pasts: [Past; 2],
    /// How many calls there were.
    begun: u64,
}

/// The calls of the capture so far, as if they were all that there ever was.
struct Past {
    correlator: Correlator,
    /// When the last one was over.
    over: SystemTime,
}

impl Observed {
    /// Starts the pipeline. What is explained is no news for other processes, and each call keeps the trace that it is known by.
    pub(super) fn start(config: &PipelineConfig) -> Self {
        let (pass, finished) = mpsc::channel();
        let now = SystemTime::now();
        let config = PipelineConfig {
            state: Default::default(),
            correlate: CorrelateConfig {
                traces: Traces::Linked,
                ..config.correlate.clone()
            },
            keeps_history: true,
            ..config.clone()
        };
        let correlate = &config.correlate;
        Self {
            pipeline: Arc::new(Pipeline::new(&config, vec![Arc::new(Pass(pass))])),
            finished,
            // What follows from where the ids begin is a guess, too.
            pasts: [1, 2].map(|seed| Past {
                correlator: Correlator::in_memory(correlate.bounds, correlate.thresholds, seed),
                over: now,
            }),
            begun: 0,
        }
    }
}

/// Passes each exchange on, perhaps from the thread where tokens are counted.
struct Pass(mpsc::Sender<Exchange>);

impl Sink for Pass {
    fn name(&self) -> &'static str {
        "explain"
    }

    fn finished(&self, _id: ExchangeId, exchange: &Arc<Exchange>) {
        // Whoever runs the capture waits for it.
        let _ = self.0.send(Exchange::clone(exchange));
    }
}
