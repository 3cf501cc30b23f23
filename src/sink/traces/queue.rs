//! Spans that wait for export, already written, and the thread that hands them to the exporter batch by batch.
//!
//! Every span that came is exported, dropped or still waiting. The thread is woken by a full batch, or when the first
//! span of a batch has waited long enough; so most spans wake nobody.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::Batching;
use crate::sink::ExportError;
use crate::sink::limited::Limited;

/// The queue and its books.
pub(super) struct Queue {
    batching: Batching,
    waiting: AtomicUsize,
    dropped: AtomicU64,
    failures: AtomicU64,
    state: Mutex<State>,
    work: Condvar,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    full: VecDeque<Batch>,
    /// The batch that is being filled, and when it goes out at the latest.
    open: Batch,
    due: Option<Instant>,
    /// Nothing more may come.
    over: bool,
    /// The thread has ended.
    ended: bool,
}

/// Spans, written one behind another.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    spans: usize,
}

impl Queue {
    /// Starts the thread, which gives each batch to `export`.
    pub(super) fn start(
        batching: Batching,
        export: impl Fn(&Batch) -> Result<(), ExportError> + Send + 'static,
    ) -> Arc<Self> {
        let queue = Arc::new(Self {
            batching,
            waiting: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            state: Mutex::default(),
            work: Condvar::new(),
            ended: Condvar::new(),
        });
        let work = Arc::clone(&queue);
        thread::Builder::new()
            .name("spans".to_owned())
            .spawn(move || work.rounds(export))
            .expect("a process that cannot start a thread at its start cannot do its work");
        queue
    }

    /// Takes places for some spans; without room for all they count as dropped.
    pub(super) fn enter(&self, spans: usize) -> bool {
        let room = self.batching.queue;
        let take = |waiting: usize| (waiting + spans <= room).then_some(waiting + spans);
        let entered = self
            .waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok();
        if !entered {
            self.dropped.fetch_add(spans as u64, Ordering::Relaxed);
        }
        entered
    }

    /// Takes a span that has entered. After the end it is dropped.
    pub(super) fn push(&self, span: &[u8]) {
        let mut state = self.lock();
        if state.over {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        state.open.bytes.extend_from_slice(span);
        state.open.spans += 1;
        if state.open.spans >= self.batching.size {
            let batch = mem::take(&mut state.open);
            // Batches are of a size; growing to it step by step copied 1,300 instructions' worth for each request.
            state.open.bytes.reserve(batch.bytes.len());
            state.full.push_back(batch);
            state.due = None;
            self.work.notify_one();
        } else if state.due.is_none() {
            state.due = Some(Instant::now() + self.batching.delay);
            self.work.notify_one();
        }
    }

    /// Has everything exported and ends the thread; says whether it had ended in time.
    pub(super) fn end(&self, within: Duration) -> bool {
        let mut state = self.lock();
        state.over = true;
        self.work.notify_one();
        let waited = self
            .ended
            .wait_timeout_while(state, within, |state| !state.ended);
        waited.is_ok_and(|(_, timeout)| !timeout.timed_out())
    }

    /// Spans that have entered and were not taken by the exporter yet.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    fn rounds(&self, export: impl Fn(&Batch) -> Result<(), ExportError>) {
        let log = Limited::per_minute();
        while let Some(batch) = self.next() {
            self.waiting.fetch_sub(batch.spans, Ordering::Relaxed);
            if let Err(error) = export(&batch) {
                self.failures.fetch_add(1, Ordering::Relaxed);
                self.dropped
                    .fetch_add(batch.spans as u64, Ordering::Relaxed);
                if let Some(held_back) = log.pass() {
                    tracing::warn!(%error, spans = batch.spans, held_back, "spans were not exported");
                }
            }
        }
        // What the exporter holds is let go before anybody hears of the end.
        drop(export);
        self.lock().ended = true;
        self.ended.notify_all();
    }

    /// The next batch that is full or due; `None` at the end.
    fn next(&self) -> Option<Batch> {
        let mut state = self.lock();
        loop {
            if let Some(batch) = state.full.pop_front() {
                return Some(batch);
            }
            let left = state
                .due
                .map(|due| due.saturating_duration_since(Instant::now()));
            if state.over || left.is_some_and(|left| left.is_zero()) {
                state.due = None;
                return Some(mem::take(&mut state.open)).filter(|batch| batch.spans > 0);
            }
            state = match left {
                Some(left) => match self.work.wait_timeout(state, left) {
                    Ok((state, _)) => state,
                    Err(poisoned) => poisoned.into_inner().0,
                },
                None => self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// A poisoned lock still holds a whole state: nothing in a critical section can panic half-way through a change.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("waiting", &self.waiting)
            .field("dropped", &self.dropped)
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}
