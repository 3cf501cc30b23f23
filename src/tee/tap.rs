//! The handle by which the byte path shows frames and times to an observer, and the traits between the two.
//!
//! A [`Tap`] keeps what it is shown in a small batch. A full batch, or the end, hands it to the exchange's observer on a
//! thread of its own, so that an observer runs once per batch rather than once per frame, and an exchange that fits one
//! batch is handed over once. The lock is held for a push or a swap of the batch, never while observing, and two sides of
//! one exchange rarely push at once.
//!
//! Nothing here waits: over the bound frames are left out and counted. The end has a place of its own, so it is never
//! left out, and a panic in the observer ends only the observation.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};
use tokio::time::Instant;

use super::fields;
use super::proof::Verdict;
use super::tunnel::Side;
use super::worker::{Job, Worker};

/// Events that make a batch worth handing over.
const BATCH_EVENTS: usize = 16;
/// Bytes that make a batch worth handing over.
const BATCH_BYTES: usize = 64 << 10;

/// Bytes of the bound that a frame stands for at least: it costs its place in the queue, and what it is a slice of.
const FRAME_BYTES_MIN: usize = 256;
/// Frames that may wait however low the bound is.
const FRAMES_MIN: usize = 64;

/// Opens exchanges: the seam by which the byte path finds its observer.
pub trait Open: Send + Sync + 'static {
    /// An exchange begins.
    fn open(&self, head: &RequestHead<'_>) -> Opened;
}

/// A request's head, as it arrived.
#[derive(Debug)]
pub struct RequestHead<'a> {
    /// When it was parsed.
    pub received: Instant,
    /// Method.
    pub method: &'a Method,
    /// Request target.
    pub uri: &'a Uri,
    /// HTTP version of the client's connection.
    pub version: Version,
    /// Header fields.
    pub headers: &'a HeaderMap,
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
    pub traceparent: HeaderValue,
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
        /// The header fields that the observer wants, a line each; see [`Tap::show_head`].
        fields: Option<Box<str>>,
    },
    /// A frame of the upstream's response body.
    ResponseFrame(Instant, Bytes),
    /// The connection changes its protocol, by an answer with these fields. What its sides send from here on is no HTTP.
    Switched(Box<HeaderMap>),
    /// What one side of a tunnel sent.
    TunnelFrame(Side, Instant, Bytes),
    /// One side of a tunnel is over; how many bytes it sent.
    TunnelEnd(Side, Instant, u64),
    /// So many frames went by unseen, here.
    Missed(u64),
}

impl Event {
    /// The head of an upstream's response, with those of its fields whose name is in `wanted`, which is sorted and in lower
    /// case.
    #[must_use]
    pub fn response_head(
        at: Instant,
        status: StatusCode,
        headers: &HeaderMap,
        wanted: &[&str],
    ) -> Self {
        let fields = fields::copy(headers, wanted);
        Self::ResponseHead { at, status, fields }
    }
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
    /// What the two hashes of the body say; `None` where no body was passed on.
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

/// Counts over all exchanges, for the process's own health.
#[derive(Debug, Default)]
pub struct Counters {
    /// Exchanges begun.
    pub opened: AtomicU64,
    /// Exchanges over on the byte path.
    pub closed: AtomicU64,
    /// Exchanges whose observer is done with them.
    pub settled: AtomicU64,
    /// Events handed to observers and not yet folded.
    pub queued: AtomicU64,
    /// Frames left out because an exchange's queue was full.
    pub missed: AtomicU64,
    /// Exchanges whose observation was given up: their observer panicked, or too many waited for theirs.
    pub abandoned: AtomicU64,
    /// Set when what is in flight is about to be cut off by us: from then on a dropped exchange is no client that left.
    pub cutting_off: AtomicBool,
}

impl Counters {
    /// Exchanges that have begun and are not over.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        let closed = self.closed.load(Ordering::Relaxed);
        self.opened.load(Ordering::Relaxed).saturating_sub(closed)
    }

    /// Exchanges that are over and whose observer is still at work.
    #[must_use]
    pub fn unsettled(&self) -> u64 {
        let settled = self.settled.load(Ordering::Relaxed);
        self.closed.load(Ordering::Relaxed).saturating_sub(settled)
    }
}

/// Makes taps, and has the thread on which their observers work.
#[derive(Clone)]
pub struct Taps {
    worker: Worker<Handover>,
    counters: Arc<Counters>,
    limit_bytes: usize,
    wanted: &'static [&'static str],
}

impl Taps {
    /// Starts the thread. At most `limit_bytes` of one exchange wait to be observed. Of the fields of a response's head
    /// those are shown whose name is in `wanted`, which is sorted and in lower case.
    #[must_use]
    pub fn new(limit_bytes: usize, wanted: &'static [&'static str]) -> Self {
        Self {
            worker: Worker::start("observer"),
            counters: Arc::default(),
            limit_bytes,
            wanted,
        }
    }

    /// Counts over all exchanges.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// A tap for a new exchange.
    #[must_use]
    pub fn open(&self, observer: Box<dyn Observer>) -> Tap {
        self.counters.opened.fetch_add(1, Ordering::Relaxed);
        Tap(Arc::new(Shared {
            wants_tunnel: observer.wants_tunnel(),
            state: Mutex::new(State {
                batch: Vec::new(),
                batch_bytes: 0,
                observer: Some(observer),
                closing: None,
                closed: false,
                abandoned: false,
            }),
            taps: self.clone(),
        }))
    }
}

/// Shows one exchange to its observer. Clones show the same exchange.
#[derive(Clone)]
pub struct Tap(Arc<Shared>);

struct Shared {
    wants_tunnel: bool,
    state: Mutex<State>,
    taps: Taps,
}

/// A batch, or the end, on its way to the observer.
struct Handover {
    shared: Arc<Shared>,
    observer: Box<dyn Observer>,
    /// How many events wait.
    events: u64,
}

impl Job for Handover {
    fn run(self) {
        let queued = &self.shared.taps.counters.queued;
        queued.fetch_sub(self.events, Ordering::Relaxed);
        self.shared.observe(self.observer);
    }
}

struct State {
    batch: Vec<Event>,
    batch_bytes: usize,
    /// At home between batches, away while it observes, gone for good after a panic or the end.
    observer: Option<Box<dyn Observer>>,
    closing: Option<Closing>,
    closed: bool,
    /// The observer panicked; nothing more is shown.
    abandoned: bool,
}

impl std::fmt::Debug for Tap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tap").finish_non_exhaustive()
    }
}

impl Tap {
    /// Shows an event. Never waits.
    pub fn show(&self, event: Event) {
        let mut state = self.0.lock();
        if !state.closed && !state.abandoned {
            self.0.push(&mut state, event, 0);
        }
    }

    /// Shows the head of the upstream's response: of its fields those that the observer wants, `name: value`. Never waits.
    pub fn show_head(&self, at: Instant, status: StatusCode, headers: &HeaderMap) {
        let wanted = self.0.taps.wanted;
        self.show(Event::response_head(at, status, headers, wanted));
    }

    /// Shows a frame of the request body. Never waits; over the bound the frame is left out and counted.
    pub fn show_request(&self, at: Instant, frame: &Bytes) {
        self.show_frame(frame, |frame| Event::RequestFrame(at, frame));
    }

    /// Shows a frame of the response body, in the same way.
    pub fn show_response(&self, at: Instant, frame: &Bytes) {
        self.show_frame(frame, |frame| Event::ResponseFrame(at, frame));
    }

    /// Shows what one side of a tunnel sent, in the same way, where the observer wants it.
    pub fn show_tunnel(&self, side: Side, at: Instant, bytes: &[u8]) {
        if self.0.wants_tunnel {
            let frame = Bytes::copy_from_slice(bytes);
            self.show_frame(&frame, |frame| Event::TunnelFrame(side, at, frame));
        }
    }

    /// Sends for the observer, where something waits for it: a batch that is not full may otherwise wait for as long as
    /// nothing comes.
    pub fn hand_over(&self) {
        let mut state = self.0.lock();
        if !state.batch.is_empty() {
            self.0.hand_over(&mut state);
        }
    }

    fn show_frame(&self, frame: &Bytes, event: impl FnOnce(Bytes) -> Event) {
        let mut state = self.0.lock();
        if state.closed || state.abandoned {
            return;
        }
        let limit = self.0.taps.limit_bytes;
        let is_full = state.batch.len() >= FRAMES_MIN.max(limit / FRAME_BYTES_MIN);
        if is_full || state.batch_bytes + frame.len() > limit {
            self.0.miss(&mut state);
            return;
        }
        self.0.push(&mut state, event(frame.clone()), frame.len());
    }

    /// Ends the exchange. The first call counts, later ones do nothing.
    pub fn close(&self, mut closing: Closing) {
        let mut state = self.0.lock();
        if state.closed {
            return;
        }
        if closing.close == Close::Dropped
            && self.0.taps.counters.cutting_off.load(Ordering::Relaxed)
        {
            closing.close = Close::Failed(Fault {
                class: FaultClass::Timeout,
                kind: "shutdown",
                message: "streamgauge shut down before the response had ended".to_owned(),
            });
        }
        state.closed = true;
        self.0.taps.counters.closed.fetch_add(1, Ordering::Relaxed);
        if state.abandoned {
            self.0.taps.counters.settled.fetch_add(1, Ordering::Relaxed);
            return;
        }
        state.closing = Some(closing);
        self.0.hand_over(&mut state);
    }
}

impl Shared {
    /// A poisoned lock still holds a whole state: nothing in a critical section can panic half-way through a change.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(self: &Arc<Self>, state: &mut State, event: Event, bytes: usize) {
        if state.batch.capacity() == 0 {
            state.batch.reserve_exact(BATCH_EVENTS);
        }
        state.batch_bytes += bytes;
        state.batch.push(event);
        if state.batch.len() >= BATCH_EVENTS || state.batch_bytes >= BATCH_BYTES {
            self.hand_over(state);
        }
    }

    fn miss(&self, state: &mut State) {
        self.taps.counters.missed.fetch_add(1, Ordering::Relaxed);
        match state.batch.last_mut() {
            Some(Event::Missed(frames)) => *frames += 1,
            _ => state.batch.push(Event::Missed(1)),
        }
    }

    /// Sends for the observer, unless it is at work already.
    fn hand_over(self: &Arc<Self>, state: &mut State) {
        let Some(observer) = state.observer.take() else {
            return;
        };
        let events = state.batch.len() as u64;
        let shared = Arc::clone(self);
        let handover = Handover {
            shared,
            observer,
            events,
        };
        let queued = &self.taps.counters.queued;
        queued.fetch_add(events, Ordering::Relaxed);
        if self.taps.worker.submit(handover).is_err() {
            queued.fetch_sub(events, Ordering::Relaxed);
            self.abandon(state);
        }
    }

    /// Folds batch after batch until there is none, then leaves the observer for the next one.
    fn observe(&self, mut observer: Box<dyn Observer>) {
        loop {
            let (batch, closing) = {
                let mut state = self.lock();
                let closing = state.closing.take();
                if state.batch.is_empty() && closing.is_none() {
                    state.observer = Some(observer);
                    return;
                }
                state.batch_bytes = 0;
                (std::mem::take(&mut state.batch), closing)
            };
            let last = closing.is_some();
            let folded = catch_unwind(AssertUnwindSafe(move || {
                for event in batch {
                    observer.observe(event);
                }
                match closing {
                    Some(closing) => {
                        observer.close(closing);
                        None
                    }
                    None => Some(observer),
                }
            }));
            if last {
                self.taps.counters.settled.fetch_add(1, Ordering::Relaxed);
            }
            match folded {
                Ok(Some(back)) => observer = back,
                Ok(None) => return,
                Err(_) => return self.abandon(&mut self.lock()),
            }
        }
    }

    /// Nothing more is observed; what still comes is let go.
    fn abandon(&self, state: &mut State) {
        self.taps.counters.abandoned.fetch_add(1, Ordering::Relaxed);
        state.abandoned = true;
        state.batch = Vec::new();
        if state.closing.take().is_some() {
            self.taps.counters.settled.fetch_add(1, Ordering::Relaxed);
        }
    }
}
