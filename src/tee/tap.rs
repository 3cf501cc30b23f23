//! The handle by which the byte path shows frames and times to an observer.
//!
//! A [`Tap`] keeps what it is shown in a small batch. A full batch, or the end, hands it to the exchange's observer on a
//! thread of its own, so that an observer runs once per batch rather than once per frame, and an exchange that fits one
//! batch is handed over once. The lock is held for a push or a swap of the batch, never while observing, and two sides of
//! one exchange rarely push at once.
//!
//! Nothing here waits: over the bound frames are left out and counted. The end has a place of its own, so it is never
//! left out, and a panic in the observer ends only the observation.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::time::Instant;

use super::event::{Close, Closing, Event, Fault, FaultClass, Observer};
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
}

impl Taps {
    /// Starts the thread. At most `limit_bytes` of one exchange wait to be observed.
    #[must_use]
    pub fn new(limit_bytes: usize) -> Self {
        Self {
            worker: Worker::start("observer"),
            counters: Arc::default(),
            limit_bytes,
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
