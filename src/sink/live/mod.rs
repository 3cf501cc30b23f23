//! The live sink: which exchanges are in flight, and those that ended lately.
//!
//! It keeps the exchanges themselves, and makes nothing of them: what a view shows is worked out when somebody looks. It is
//! bounded in exchanges and in bytes, and knows no other sink and nothing of HTTP or JSON.

mod in_flight;
mod ring;
mod store;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Deadline, ExchangeId, Progress, Sink};
use crate::exchange::{Exchange, Integrity};
use crate::view::{Detail, Entry};

pub use in_flight::{InFlight, Snapshot};
pub use ring::{Counts, HistoryConfig};
pub use store::{KeptHistory, StoreQueue};

use in_flight::Seen;
use ring::Ring;
use store::Store;

/// So many entries are taken at once: who takes them and who adds to them wait for each other.
const BATCH: usize = 256;

/// Keeps what is in flight and what ended lately.
#[derive(Debug)]
pub struct Live {
    state: Mutex<State>,
    /// One look at a time.
    looking: tokio::sync::Mutex<()>,
    /// `None` where nothing outlives the process.
    store: Option<Store>,
    /// Something of it was not written when it was to be; its writer goes on.
    is_late: AtomicBool,
}

#[derive(Debug)]
struct State {
    in_flight: Seen,
    ring: Ring,
}

/// What is kept at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Exchanges that have ended, and of before a restart those that were kept.
    pub total: u64,
    /// Exchanges in memory.
    pub entries: usize,
    /// The memory that they take, in bytes.
    pub bytes: usize,
    /// From when on every exchange that ended is there, in ms since 1970; `None`: from the start on.
    pub complete_since_ms: Option<u64>,
}

impl Default for Live {
    /// Within the default bounds.
    fn default() -> Self {
        Self::new(HistoryConfig::default())
    }
}

impl Live {
    /// Keeps the newest exchanges within bounds.
    #[must_use]
    pub fn new(bounds: HistoryConfig) -> Self {
        Self {
            state: Mutex::new(State {
                in_flight: Seen::default(),
                ring: Ring::new(bounds),
            }),
            looking: tokio::sync::Mutex::default(),
            store: None,
            is_late: AtomicBool::new(false),
        }
    }

    /// Whether something was late at the [flush](Sink::flush) and is not written after this time either.
    fn has_lost(&self, within: Duration) -> bool {
        self.is_late.load(Ordering::Relaxed) && self.is_unwritten(within)
    }

    /// Takes nothing more to keep; says whether something of what there was is not written after this time.
    fn is_unwritten(&self, within: Duration) -> bool {
        let is_late = |store: &Store| !store.end(within);
        self.store.as_ref().is_some_and(is_late)
    }

    /// The same, with what a folder has of before, where what comes is kept, too. Where that cannot be done, the log says why. Starts a
    /// thread.
    #[must_use]
    pub fn keeping(bounds: HistoryConfig, store: KeptHistory) -> Self {
        let mut live = Self::new(bounds);
        if let Some((store, restored)) = Store::open(store, bounds.exchanges) {
            let mut state = live.state();
            for ended in restored.earlier {
                state.ring.count_only(ended.at_ms, ended.failed);
            }
            for stored in restored.entries {
                let entry = Entry::stored(stored);
                let weight = entry.weight();
                state.ring.push(entry, weight);
                state.ring.evicted();
            }
            state.ring.continue_after(restored.last_id);
            drop(state);
            live.store = Some(store);
        }
        live
    }

    /// What is in flight. `look` has it shown to the sinks, and resolves when that is done.
    pub async fn snapshot(&self, look: impl Future<Output = ()>) -> Snapshot {
        let _one = self.looking.lock().await;
        self.state().in_flight.clear();
        look.await;
        self.state().in_flight.snapshot(Instant::now())
    }

    /// At most so many kept entries after an id, oldest first; at most a batch at once.
    #[must_use]
    pub fn after(&self, id: u64, most: usize) -> Vec<Entry> {
        self.state().ring.after(id, most.min(BATCH))
    }

    /// Every kept entry, oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Entry> {
        let mut all = Vec::new();
        let mut last = 0;
        loop {
            let batch = self.after(last, BATCH);
            let Some(newest) = batch.last() else {
                return all;
            };
            last = newest.id;
            all.extend(batch);
        }
    }

    /// Kept entries before an id, newest first.
    pub fn before(&self, id: u64) -> impl Iterator<Item = Entry> {
        let mut next = id;
        let mut batch = Vec::new().into_iter();
        std::iter::from_fn(move || {
            let entry = batch.next().or_else(|| {
                batch = self.state().ring.before(next, BATCH).into_iter();
                batch.next()
            })?;
            next = entry.id;
            Some(entry)
        })
    }

    /// The entry of that id, where it is kept.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<Entry> {
        self.state().ring.get(id)
    }

    /// The details of an exchange, where they were kept over a restart or are no longer in memory. Blocks.
    #[must_use]
    pub fn kept_detail(&self, id: u64) -> Option<Detail<'static>> {
        self.store.as_ref()?.detail(id)
    }

    /// What waits to be written; `None` where nothing outlives the process.
    #[must_use]
    pub fn store_queue(&self) -> Option<StoreQueue> {
        self.store.as_ref().map(Store::queue)
    }

    /// The id of the exchange that ended last; 0 where none has.
    #[must_use]
    pub fn last_id(&self) -> u64 {
        self.state().ring.last_id()
    }

    /// How much is kept.
    #[must_use]
    pub fn kept(&self) -> Kept {
        let state = self.state();
        Kept {
            total: state.ring.last_id(),
            entries: state.ring.len(),
            bytes: state.ring.bytes(),
            complete_since_ms: state.ring.complete_since_ms(),
        }
    }

    /// How many exchanges ended in the hours from an instant on, given in ms since 1970; at most those of a day.
    #[must_use]
    pub fn counts_since(&self, at_ms: u64) -> Counts {
        self.state().ring.counts_since(at_ms)
    }

    /// What comparing the bytes of all exchanges since the start has shown, by [`Integrity::ALL`].
    #[must_use]
    pub fn integrity(&self) -> [u64; Integrity::ALL.len()] {
        self.state().ring.integrity()
    }

    /// No code of ours can panic while it holds the lock half way through a change.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Live {
    fn name(&self) -> &'static str {
        "live"
    }

    fn in_flight(&self, progress: &Progress<'_>) {
        self.state().in_flight.see(progress);
    }

    fn finished(&self, id: ExchangeId, exchange: &Arc<Exchange>) {
        let weight = exchange.weight();
        let mut evicted = {
            let mut state = self.state();
            state.in_flight.over(id);
            let id = state.ring.last_id() + 1;
            let entry = Entry::new(id, Arc::clone(exchange));
            if let Some(store) = &self.store {
                store.keep(entry.clone(), weight);
            }
            state.ring.push(entry, weight);
            state.ring.evicted()
        };
        // What goes is let go without the lock: it may be large.
        while evicted.is_some() {
            drop(evicted);
            evicted = self.state().ring.evicted();
        }
    }

    fn flush(&self, deadline: Deadline) {
        if self.is_unwritten(deadline.within) && !deadline.has_cut_off("exchanges of the history") {
            self.is_late.store(true, Ordering::Relaxed);
        }
    }

    fn last_words(&self, within: Duration) {
        if self.has_lost(within) {
            tracing::warn!(
                "the last exchanges of the history were not written before the shutdown deadline"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    fn exchange(model: &str) -> Arc<Exchange> {
        let mut exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
        exchange.request.model = Some(model.to_owned());
        Arc::new(exchange)
    }

    fn see(live: &Live, id: u64, model: &str) {
        live.in_flight(&Progress {
            id: ExchangeId(id),
            method: "POST",
            path: "/v1/chat/completions",
            model: Some(model),
            upstream: None,
            received: Instant::now(),
            answered: true,
            chunks: Some(7),
            time_to_first_token: Some(Duration::from_millis(5)),
            last_output: None,
        });
    }

    #[tokio::test]
    async fn what_a_look_finds_is_shown_until_it_has_finished_or_a_look_finds_it_no_more() {
        let live = Live::default();
        let look = async { (1..=3).for_each(|id| see(&live, id, "m")) };
        let snapshot = live.snapshot(look).await;
        assert_eq!(snapshot.in_flight_count, 3);
        let first = &snapshot.in_flight[0];
        assert_eq!((first.id, first.chunks), (ExchangeId(1), Some(7)));
        live.finished(ExchangeId(1), &exchange("m"));
        let look = async {
            see(&live, 2, "m");
            see(&live, 4, "m");
            live.finished(ExchangeId(4), &exchange("m"));
        };
        let snapshot = live.snapshot(look).await;
        let ids: Vec<_> = snapshot.in_flight.iter().map(|row| row.id).collect();
        assert_eq!(ids, [ExchangeId(2)]);
        assert_eq!(live.kept().total, 2);
    }

    #[tokio::test]
    async fn in_flight_exchanges_are_counted_beyond_those_shown_and_cut_between_characters() {
        let live = Live::default();
        let all = in_flight::SHOWN as u64 + 5;
        let look = async { (0..all).for_each(|id| see(&live, id, &"é".repeat(121))) };
        let snapshot = live.snapshot(look).await;
        assert_eq!(snapshot.in_flight.len(), in_flight::SHOWN);
        assert_eq!(snapshot.in_flight_count, in_flight::SHOWN + 5);
        let model = snapshot.in_flight[0].model.as_deref();
        assert_eq!(model, Some(&*format!("{}…", "é".repeat(120))));
    }

    #[test]
    fn what_is_kept_is_shared_and_nothing_is_copied() {
        let live = Live::default();
        let exchange = exchange("m");
        live.finished(ExchangeId(1), &exchange);
        assert_eq!(Arc::strong_count(&exchange), 2);
        assert_eq!(live.kept().bytes, exchange.weight());
        assert_eq!(live.get(1).unwrap().row().model.as_deref(), Some("m"));
    }

    #[test]
    fn all_come_batch_by_batch_in_either_order() {
        let live = Live::default();
        let count = 2 * BATCH as u64 + 3;
        for id in 1..=count {
            live.finished(ExchangeId(id), &exchange("m"));
        }
        let ids: Vec<u64> = live.all().iter().map(|entry| entry.id).collect();
        assert!(ids.iter().copied().eq(1..=count));
        let ids: Vec<u64> = live.before(u64::MAX).map(|entry| entry.id).collect();
        assert!(ids.into_iter().eq((1..=count).rev()));
        assert_eq!(live.after(0, usize::MAX).len(), BATCH);
    }
}
