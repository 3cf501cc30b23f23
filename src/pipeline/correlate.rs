//! Tells which conversation an exchange is part of, first of all stages: what comes after may ask for it, and for the trace that
//! it may have joined.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Books, Finished, Stage};
use crate::conversation::{Bounds, Correlator, Joins, Memory, Thresholds};

/// How conversations are told apart.
#[derive(Debug, Clone, Default)]
pub struct CorrelateConfig {
    /// How much is remembered of them.
    pub bounds: Bounds,
    /// From when on there is something to say of an agent.
    pub thresholds: Thresholds,
    /// Which traces their exchanges are in. Default [`Traces::Linked`].
    pub traces: Traces,
    /// What is to be known to join them. Set by the application.
    pub joins: Joins,
}

/// Which traces the exchanges of a conversation are in, where the client names none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Traces {
    /// Each in its own, with a link to the one before.
    #[default]
    Linked,
    /// All in that of the first.
    Joined,
}

impl CorrelateConfig {
    /// How they come into one trace, where they do.
    pub(super) fn joins(&self) -> Option<Joins> {
        (self.traces == Traces::Joined).then_some(self.joins)
    }
}

/// What is remembered of conversations, and what was let go.
#[derive(Debug, Default)]
pub struct Remembered {
    /// Turns that are remembered.
    pub turns: AtomicU64,
    /// Bytes that they take, at most about.
    pub bytes: AtomicU64,
    /// Turns let go because they were too old.
    pub expired: AtomicU64,
    /// Turns let go because there were too many.
    pub crowded_out: AtomicU64,
    /// Calls of tools that were let go without a result.
    pub unanswered_calls: AtomicU64,
}

/// Sets [`Exchange::conversation`](crate::exchange::Exchange::conversation), and the [`Trace`](crate::exchange::Trace) of what
/// joins that of another.
pub(super) struct CorrelateStage(Correlator);

impl CorrelateStage {
    pub(super) fn new(config: &CorrelateConfig) -> Self {
        let correlator = Correlator::in_memory(config.bounds, config.thresholds, random());
        Self(correlator.joining(config.joins()))
    }
}

/// A number that no other process has.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

impl Stage for CorrelateStage {
    fn name(&self) -> &'static str {
        "correlate"
    }

    fn run(&mut self, finished: &mut Finished) {
        self.0.place(&mut finished.exchange);
    }

    fn keep_books(&self, books: &Books) {
        books.remembered.keep(self.0.store());
    }
}

impl Remembered {
    pub(super) fn keep(&self, memory: &Memory) {
        let evictions = memory.evictions();
        for (count, now) in [
            (&self.turns, memory.turns() as u64),
            (&self.bytes, memory.bytes() as u64),
            (&self.expired, evictions.expired),
            (&self.crowded_out, evictions.crowded_out),
            (&self.unanswered_calls, evictions.unanswered_calls),
        ] {
            count.store(now, Ordering::Relaxed);
        }
    }
}
