//! The handle by which the byte path shows frames and times to an observer.
//!
//! A [`Tap`] keeps what it is shown in a small batch. A full batch, or the end, hands it to the exchange's observer on a
//! thread of its own, so that an observer runs once per batch rather than once per frame, and an exchange that fits one
//! batch is handed over once. The lock is held for a push or a swap of the batch, never while observing, and two sides of
//! one exchange rarely push at once.
//!
//! Nothing here waits: over the bounds, of the exchange and of the process, frames are left out and counted. The end has a place of its own, so it is never
//! left out, and a panic in the observer ends only the observation. An observer that takes long, as with a body that is slow
//! to decode, goes to the end of the queue again and again, so that it does not hold up the others.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};
use std::vec;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;

use super::event::{Close, Closing, Event, Fault, FaultClass, Observer, Side};
use super::registry::{Place, Registry};
use crate::background::{Background, Plan, Work};
use crate::memory::Memory;

/// Events that make a batch worth handing over.
const BATCH_EVENTS: usize = 16;
/// Bytes that make a batch worth handing over.
const BATCH_BYTES: usize = 64 << 10;

/// Bytes of the bound that a frame stands for at least: it costs its place in the queue, and what it is a slice of.
const FRAME_BYTES_MIN: usize = 256;
/// So much of an exchange may wait without being counted towards the bound of the process: a batch of small events. It would
/// cost a change of what all threads share for each.
const UNCOUNTED_BYTES: usize = 4 << 10;
/// How long an observer works on more than a batch until others get their turn. One event may take longer.
const SLICE: Duration = Duration::from_millis(5);
/// Frames that may wait however low the bound is.
const FRAMES_MIN: usize = 64;

/// How the observers' thread goes about it. Each job holds one exchange's batch.
///
/// It lingers before a round and not after it: a round takes a core for 100 µs and more, and the moment an answer is
/// written is the one at which its client wants that core. At 125 requests a second it took 20 µs of the median and a fifth
/// of the slowest percent.
const PLAN: Plan = Plan {
    name: "observer",
    bound: 1 << 16,
    linger: Duration::from_millis(2),
    enough: usize::MAX,
    idle: None,
};

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
    /// Just after the last of these ended, in ms since 1970; 0 where there is none.
    pub abandoned_until_ms: AtomicU64,
    /// Set when what is in flight is about to be cut off by us: from then on a dropped exchange is no client that left.
    pub cutting_off: AtomicBool,
}

impl Counters {
    /// One whose observation was given up has ended by now.
    fn note_abandoned_end(&self) {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let just_after = since.unwrap_or_default().as_millis() as u64 + 1;
        self.abandoned_until_ms
            .fetch_max(just_after, Ordering::Relaxed);
    }

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
    worker: Background<Handover>,
    open: Arc<Registry<Shared>>,
    counters: Arc<Counters>,
    limit_bytes: usize,
    memory: Memory,
}

impl Taps {
    /// Whether so much more may wait of an exchange.
    fn holds(&self, state: &mut TapState, bytes: usize) -> bool {
        let weight = state.weight + bytes;
        let missing = weight.saturating_sub(UNCOUNTED_BYTES + state.taken);
        if missing > 0 {
            if !self.memory.take(missing) {
                return false;
            }
            state.taken += missing;
        }
        state.weight = weight;
        true
    }

    /// Starts the thread. At most `limit_bytes` of one exchange wait to be observed, and of all as much as this memory allows.
    #[must_use]
    pub fn new(limit_bytes: usize, memory: Memory) -> Self {
        Self {
            worker: Background::start(PLAN, Folding),
            open: Arc::default(),
            counters: Arc::default(),
            limit_bytes,
            memory,
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
        let shared = |shared: &Weak<Shared>| Shared {
            wants_tunnel: observer.wants_tunnel(),
            place: self.open.enter(Weak::clone(shared)),
            state: Mutex::new(TapState {
                batch: Vec::new(),
                batch_bytes: 0,
                weight: 0,
                taken: 0,
                observer: Some(observer),
                looked_at: Vec::new(),
                closing: None,
                closed: false,
                abandoned: false,
            }),
            taps: self.clone(),
        };
        Tap(Arc::new_cyclic(shared))
    }

    /// Has every open exchange observed as far as it has come, and reported by its observer. Resolves when that is done.
    pub async fn look(&self) {
        let (seen, looking) = watch::channel(());
        for exchange in self.open.entries() {
            let mut state = exchange.lock();
            if !state.closed && !state.abandoned {
                state.looked_at.push(looking.clone());
                exchange.hand_over(&mut state);
            }
        }
        drop(looking);
        seen.closed().await;
    }
}

/// Shows one exchange to its observer. Clones show the same exchange.
#[derive(Clone)]
pub struct Tap(Arc<Shared>);

struct Shared {
    wants_tunnel: bool,
    /// Where it stands among the open exchanges.
    place: Place,
    state: Mutex<TapState>,
    taps: Taps,
}

/// A batch, or the end, on its way to the observer.
struct Handover {
    shared: Arc<Shared>,
    observer: Box<dyn Observer>,
    /// What is left of a batch that took too long.
    rest: Option<Batch>,
    /// How many events wait.
    events: u64,
}

/// Events that have been taken to be observed.
struct Batch {
    events: vec::IntoIter<Event>,
    /// Whether it is more than one that is handed over as soon as it is full.
    is_long: bool,
    /// What they take of the memory of the process, given back once they are observed.
    taken: usize,
    memory: Memory,
}

/// What an observer is to do next.
enum Step {
    Fold(Batch),
    /// Those who look are let go when it is done.
    Look(Vec<watch::Receiver<()>>),
    Close(Closing, Vec<watch::Receiver<()>>),
}

impl Step {
    /// Gives the observer back, unless that was the end, and what it had no time for.
    fn run(
        self,
        mut observer: Box<dyn Observer>,
        until: std::time::Instant,
    ) -> Option<(Box<dyn Observer>, Option<Batch>)> {
        match self {
            Self::Fold(mut batch) => {
                while let Some(event) = batch.events.next() {
                    observer.observe(event);
                    // What seems to take long in a short one is most often that the machine gave the core to others. Behind
                    // those who came later its exchange would be over after an exchange that goes on from it.
                    let may_wait = batch.is_long && batch.events.len() > 0;
                    if may_wait && std::time::Instant::now() >= until {
                        return Some((observer, Some(batch)));
                    }
                }
            }
            Self::Look(_lookers) => observer.look(),
            Self::Close(closing, _lookers) => {
                observer.close(closing);
                return None;
            }
        }
        Some((observer, None))
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if self.taken > 0 {
            self.memory.give_back(self.taken);
        }
    }
}

/// What the observers' thread does.
struct Folding;

impl Work for Folding {
    type Job = Handover;

    fn run(&mut self, handover: Handover) {
        let queued = &handover.shared.taps.counters.queued;
        queued.fetch_sub(handover.events, Ordering::Relaxed);
        handover.shared.observe(handover.observer, handover.rest);
    }
}

struct TapState {
    batch: Vec<Event>,
    batch_bytes: usize,
    /// The same, with what each frame costs at least.
    weight: usize,
    /// What the batch has taken of the memory of the process.
    taken: usize,
    /// At home between batches, away while it observes, gone for good after a panic or the end.
    observer: Option<Box<dyn Observer>>,
    /// Those who want to see how far it has come; let go once they have been shown.
    looked_at: Vec<watch::Receiver<()>>,
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
        self.show_frame(frame, frame.len(), |frame| Event::RequestFrame(at, frame));
    }

    /// The same for a frame whose memory is held already, by whoever made it.
    pub fn show_held_request(&self, at: Instant, frame: &Bytes) {
        self.show_frame(frame, 0, |frame| Event::RequestFrame(at, frame));
    }

    /// Shows a frame of the response body, in the same way.
    pub fn show_response(&self, at: Instant, frame: &Bytes) {
        self.show_frame(frame, frame.len(), |frame| Event::ResponseFrame(at, frame));
    }

    /// Shows what one side of a tunnel sent, in the same way, where the observer wants it.
    pub fn show_tunnel(&self, side: Side, at: Instant, bytes: &[u8]) {
        if self.0.wants_tunnel {
            let frame = Bytes::copy_from_slice(bytes);
            self.show_frame(&frame, frame.len(), |frame| {
                Event::TunnelFrame(side, at, frame)
            });
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

    /// Shows a frame that is to be held for the observer by so many bytes.
    fn show_frame(&self, frame: &Bytes, held: usize, event: impl FnOnce(Bytes) -> Event) {
        let mut state = self.0.lock();
        if state.closed || state.abandoned {
            return;
        }
        let limit = self.0.taps.limit_bytes;
        let is_full = state.batch.len() >= FRAMES_MIN.max(limit / FRAME_BYTES_MIN);
        if is_full
            || state.batch_bytes + frame.len() > limit
            || !self.0.taps.holds(&mut state, held.max(FRAME_BYTES_MIN))
        {
            self.0.miss(&mut state);
            return;
        }
        self.0.push(&mut state, event(frame.clone()), frame.len());
    }

    /// Whether what is in flight is being cut off, so that nothing new is to begin.
    #[must_use]
    pub fn is_cutting_off(&self) -> bool {
        self.0.taps.counters.cutting_off.load(Ordering::Relaxed)
    }

    /// Ends the exchange. The first call counts, later ones do nothing.
    pub fn close(&self, mut closing: Closing) {
        let mut state = self.0.lock();
        if state.closed {
            return;
        }
        // A client whose answer was read on had left before.
        let was_there = closing
            .aftermath
            .is_none_or(|after| after.fate.is_at_once());
        if closing.close == Close::Dropped
            && was_there
            && self.0.taps.counters.cutting_off.load(Ordering::Relaxed)
        {
            closing.close = Close::Failed(Fault {
                class: FaultClass::Timeout,
                kind: "shutdown",
                message: "streamgauge shut down before the response was complete".to_owned(),
            });
        }
        state.closed = true;
        self.0.taps.open.leave(self.0.place);
        self.0.taps.counters.closed.fetch_add(1, Ordering::Relaxed);
        if state.abandoned {
            self.0.taps.counters.note_abandoned_end();
            self.0.taps.counters.settled.fetch_add(1, Ordering::Relaxed);
            return;
        }
        state.closing = Some(closing);
        self.0.hand_over(&mut state);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let taken = self.lock().taken;
        if taken > 0 {
            self.taps.memory.give_back(taken);
        }
    }
}

impl Shared {
    /// A poisoned lock still holds a whole state: nothing in a critical section can panic half-way through a change.
    fn lock(&self) -> MutexGuard<'_, TapState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(self: &Arc<Self>, state: &mut TapState, event: Event, bytes: usize) {
        if state.batch.capacity() == 0 {
            state.batch.reserve_exact(BATCH_EVENTS);
        }
        state.batch_bytes += bytes;
        state.batch.push(event);
        if state.batch.len() >= BATCH_EVENTS || state.batch_bytes >= BATCH_BYTES {
            self.hand_over(state);
        }
    }

    fn miss(&self, state: &mut TapState) {
        self.taps.counters.missed.fetch_add(1, Ordering::Relaxed);
        match state.batch.last_mut() {
            Some(Event::Missed(frames)) => *frames += 1,
            _ => state.batch.push(Event::Missed(1)),
        }
    }

    /// Sends for the observer, unless it is at work already.
    fn hand_over(self: &Arc<Self>, state: &mut TapState) {
        if let Some(observer) = state.observer.take() {
            self.send(state, observer, None);
        }
    }

    /// Sends an observer to its work: on the rest of a batch, and then on what waits.
    fn send(
        self: &Arc<Self>,
        state: &mut TapState,
        observer: Box<dyn Observer>,
        rest: Option<Batch>,
    ) {
        let left = rest.as_ref().map_or(0, |rest| rest.events.len());
        let events = (left + state.batch.len()) as u64;
        let handover = Handover {
            shared: Arc::clone(self),
            observer,
            rest,
            events,
        };
        let queued = &self.taps.counters.queued;
        queued.fetch_add(events, Ordering::Relaxed);
        if self.taps.worker.submit(handover).is_err() {
            queued.fetch_sub(events, Ordering::Relaxed);
            self.abandon(state);
        }
    }

    /// Does step after step, the rest of a batch first, until there is none, then leaves the observer for the next one. Where
    /// that takes too long it goes on when others have had their turn.
    fn observe(self: &Arc<Self>, mut observer: Box<dyn Observer>, mut rest: Option<Batch>) {
        let until = std::time::Instant::now() + SLICE;
        loop {
            let step = match rest.take() {
                Some(rest) => Step::Fold(rest),
                None => {
                    let mut state = self.lock();
                    let Some(step) = self.next_step(&mut state) else {
                        state.observer = Some(observer);
                        return;
                    };
                    step
                }
            };
            let last = matches!(step, Step::Close(..));
            let done = catch_unwind(AssertUnwindSafe(move || step.run(observer, until)));
            if last {
                self.taps.counters.settled.fetch_add(1, Ordering::Relaxed);
            }
            match done {
                Ok(Some((back, None))) => observer = back,
                Ok(Some((back, rest))) => return self.send(&mut self.lock(), back, rest),
                Ok(None) => return,
                Err(_) => return self.abandon(&mut self.lock()),
            }
        }
    }

    fn next_step(&self, state: &mut TapState) -> Option<Step> {
        if !state.batch.is_empty() {
            let is_long = state.batch.len() > BATCH_EVENTS || state.batch_bytes > BATCH_BYTES;
            state.batch_bytes = 0;
            state.weight = 0;
            return Some(Step::Fold(Batch {
                events: std::mem::take(&mut state.batch).into_iter(),
                is_long,
                taken: std::mem::take(&mut state.taken),
                memory: self.taps.memory.clone(),
            }));
        }
        let lookers = std::mem::take(&mut state.looked_at);
        match state.closing.take() {
            Some(closing) => Some(Step::Close(closing, lookers)),
            None => (!lookers.is_empty()).then_some(Step::Look(lookers)),
        }
    }

    /// Nothing more is observed; what still comes is let go.
    fn abandon(&self, state: &mut TapState) {
        self.taps.counters.abandoned.fetch_add(1, Ordering::Relaxed);
        state.abandoned = true;
        if state.closed {
            self.taps.counters.note_abandoned_end();
        }
        state.batch = Vec::new();
        self.taps.memory.give_back(std::mem::take(&mut state.taken));
        state.looked_at = Vec::new();
        if state.closing.take().is_some() {
            self.taps.counters.settled.fetch_add(1, Ordering::Relaxed);
        }
    }
}
