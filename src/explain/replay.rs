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

use super::capture::{Capture, Request, Response};
use super::{Options, raw};
use crate::dialect;
use crate::exchange::{Exchange, Trace};
use crate::message::Fields;
use crate::observe::{self, decode::Decoder, estimate::Estimates, secrets::Secrets};
use crate::proxy::{config, upstream};
use crate::sink::{ExchangeId, Sink};
use crate::tee::{
    Close, Closing, Event, Fault, FaultClass, Instant, Observer as _, RequestHead, UpstreamName,
};

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
}

const GUESSES: [Guess; 2] = [
    Guess {
        step: Duration::from_millis(100),
        scheme: "http",
        version: Version::HTTP_11,
        line_by_line: false,
        bytes: 1,
    },
    Guess {
        step: Duration::from_millis(700),
        scheme: "https",
        version: Version::HTTP_2,
        line_by_line: true,
        bytes: 2,
    },
];

/// What the observer makes of a capture, under each of two guesses, and what may not be shown of it.
pub(super) fn replay(
    capture: &Capture,
    path: &Uri,
    options: &Options,
    estimates: Option<&Estimates>,
) -> ([Arc<Exchange>; 2], Secrets) {
    let said = Said {
        capture,
        path,
        options,
        estimates,
    };
    let exchanges = GUESSES.each_ref().map(|guess| said.replay(guess));
    (exchanges, said.secrets())
}

/// Where a request went; `None` where the capture does not say.
pub(super) fn authority(request: &Request) -> Option<&str> {
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
    /// Where tokens are counted that nobody reported.
    estimates: Option<&'a Estimates>,
}

impl Said<'_> {
    fn replay(&self, guess: &Guess) -> Arc<Exchange> {
        let request = self.capture.request.as_ref();
        let mut headers = request.map(|request| request.headers.clone());
        let body = request.and_then(|request| request.body.as_deref());
        let body = clear(body, headers.as_mut(), self.options);
        let head = self.head(&headers.unwrap_or_default(), guess);
        let (kept, finished) = mpsc::channel();
        let sinks: Arc<[Arc<dyn Sink>]> = Arc::new([Arc::new(Kept(kept)) as Arc<dyn Sink>]);
        let config = observe::Config {
            stall_threshold: Duration::ZERO,
            ..self.options.observe.clone()
        };
        let dialect = dialect::for_request(head.method.as_str(), head.uri.path());
        let observer = observe::observer(
            ExchangeId(0),
            &head,
            dialect,
            Some(TRACE),
            &config,
            "".into(),
            sinks,
        )
        .with_estimates(self.estimates.cloned());
        let mut run = Run {
            observer,
            start: head.received,
            clock: Clock::new(self.capture, guess),
        };
        let bytes = request.and_then(Request::wire_bytes);
        let bytes = bytes.unwrap_or(guess.bytes);
        run.request(body, bytes, self.upstream(guess), &head.uri);
        run.response(self.capture.response.as_ref(), guess, self.options);
        finished
            .recv()
            .expect("an observer that is closed hands its exchange to the sinks")
    }

    fn head(&self, headers: &HeaderMap, guess: &Guess) -> RequestHead {
        let request = self.capture.request.as_ref();
        let uri = request.map_or(self.path, |request| &request.target);
        let version = request.and_then(|request| request.version);
        RequestHead {
            received: Instant::now(),
            received_at: SystemTime::now(),
            method: request.map_or(Method::POST, |request| request.method.clone()),
            uri: uri.clone(),
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
        Secrets::of(&self.head(&headers, &GUESSES[0]), "".into())
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
        let has_host = |upstream: &&config::Upstream| {
            let same_port = upstream.url.port_u16() == url.port_u16();
            upstream.url.host() == url.host() && same_port
        };
        let known = upstreams.iter().find(has_host).cloned();
        let named = known.unwrap_or_else(|| match upstreams.as_slice() {
            [only] => config::Upstream::new(&only.name, url),
            _ => config::Upstream::new("captured", url),
        });
        upstream::known_as(&named).ok()
    }
}

/// The spans need ids to be exported; they are not shown.
const TRACE: Trace = Trace {
    trace_id: 1,
    parent_span_id: None,
    server_span_id: 1,
    client_span_id: 2,
    sampled: true,
    tracestate: None,
};

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
    let decoded = if raw::is_undone(headers, body) {
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
pub(super) fn clear_body(response: &Response, options: &Options) -> Vec<u8> {
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
    clock: Clock,
}

impl Run {
    fn request(&mut self, body: Vec<u8>, bytes: u64, upstream: Option<UpstreamName>, uri: &Uri) {
        let at = self.start + self.clock.sent;
        if !body.is_empty() {
            self.observer
                .observe(Event::RequestFrame(at, Bytes::from(body)));
        }
        self.observer.observe(Event::RequestEnd(at, bytes));
        if let Some(upstream) = upstream {
            self.observer.observe(Event::Forwarded {
                at,
                upstream: Arc::new(upstream),
                uri: Box::new(uri.clone()),
                usage_asked: false,
            });
            self.observer.observe(Event::Sent(at));
        }
    }

    fn response(mut self, response: Option<&Response>, guess: &Guess, options: &Options) {
        let Some(response) = response else {
            return self.close(Close::Dropped, None, guess.bytes);
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
        let close = if response.is_whole {
            Close::Complete
        } else {
            Close::Failed(Fault {
                class: FaultClass::Cut,
                kind: "stream_truncated",
                message: "the capture ends before the response does".to_owned(),
            })
        };
        let bytes = response.wire_bytes;
        let unknown = response.body.len() as u64 + guess.bytes;
        self.close(close, Some(response), bytes.unwrap_or(unknown));
    }

    fn close(self, close: Close, response: Option<&Response>, response_bytes: u64) {
        self.observer.close(Closing {
            at: self.start + self.clock.end,
            close,
            status: response.map(|response| response.status),
            response_bytes,
            held: self.clock.held,
            verdict: None,
        });
    }
}

fn frames(body: &[u8], line_by_line: bool) -> Vec<&[u8]> {
    if line_by_line {
        body.split_inclusive(|byte| *byte == b'\n').collect()
    } else {
        body.chunks(FRAME_BYTES).collect()
    }
}

/// When what happens.
struct Clock {
    sent: Duration,
    head: Duration,
    /// When the last frame came.
    now: Duration,
    /// Time between two frames.
    step: Duration,
    end: Duration,
    held: Duration,
}

impl Clock {
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

/// Passes the exchange on that it hears of, perhaps on the thread where tokens are counted.
struct Kept(mpsc::Sender<Arc<Exchange>>);

impl Sink for Kept {
    fn finished(&self, _id: ExchangeId, exchange: &Arc<Exchange>) {
        // Whoever runs the capture waits for it.
        let _ = self.0.send(Arc::clone(exchange));
    }
}
