//! Tells which conversation an exchange is part of, where other processes have a part in it too: as `correlate` does, with
//! what they know, as far as it can be had in time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::correlate::random;
use super::{Books, Finished, PipelineConfig, Stage};
use crate::conversation::{Correlator, Memory, Shared};
use crate::exchange::Exchange;
use crate::state::{RedisUrl, State, StateBooks};

/// Sets [`Exchange::conversation`], and the [`Trace`](crate::exchange::Trace) of what joins that of another, and tells others.
pub(super) struct ShareStage {
    correlator: Correlator<Shared>,
    state: State,
    books: Arc<StateBooks>,
}

impl ShareStage {
    pub(super) fn new(config: &PipelineConfig, redis: &RedisUrl, books: &Arc<StateBooks>) -> Self {
        let (bounds, thresholds) = (config.correlate.bounds, config.correlate.thresholds);
        // Ids of turns count on from here, and stay far from those of any other process.
        let memory = Memory::with_ids_from(bounds, random() >> 1);
        let books = Arc::clone(books);
        let correlator = Correlator::new(Shared::new(memory), thresholds, random());
        Self {
            correlator: correlator.joining(config.correlate.joins()),
            state: State::new(redis, config.state.timeout, bounds.ttl, Arc::clone(&books)),
            books,
        }
    }
}

impl Stage for ShareStage {
    fn name(&self) -> &'static str {
        "correlate"
    }

    /// All that is asked for them is there within one time-out, or none of the rest.
    fn prepare(&mut self, next: &[&Finished]) {
        let exchanges = next.iter().map(|finished| &*finished.exchange);
        let exchanges: Vec<&Exchange> = exchanges.filter(|one| one.history.is_some()).collect();
        let until = self.state.read_until();
        let mut is_whole = until.is_some();
        self.correlator.prepare(&exchanges, |names| {
            let values = until.and_then(|until| self.state.get(names, until));
            is_whole &= values.is_some();
            values
        });
        if !is_whole {
            let unread = exchanges.len() as u64;
            self.books.unread.fetch_add(unread, Ordering::Relaxed);
        }
    }

    fn run(&mut self, finished: &mut Finished) {
        let news = self.correlator.place_and_tell(&mut finished.exchange);
        if !news.is_empty() {
            self.state.tell(news);
        }
    }

    fn keep_books(&self, books: &Books) {
        books.remembered.keep(self.correlator.store().memory());
    }

    fn end(&mut self, within: Duration) {
        self.state.end(within);
    }
}
