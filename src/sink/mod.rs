//! Consumers of exchanges.
//!
//! A sink sees the finished [`Exchange`] and, when somebody looks, those that are in flight; all of it from observers, never
//! from the byte path. The calls are synchronous and quick; slow work waits behind the sink's own bounded queue. This file does
//! not know which sinks exist.

pub mod access;
pub mod costs;
pub mod events;
pub mod failures;
#[cfg(feature = "fault-injection")]
pub mod fault;
pub mod live;
pub mod metrics;
pub mod rejections;
pub mod store;
pub mod traces;
pub mod unknowns;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::exchange::Exchange;

/// Identity of an exchange while it is in flight, unique within the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExchangeId(pub u64);

/// How far an exchange in flight has come.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// Its identity; `finished` names it again.
    pub id: ExchangeId,
    /// Request method.
    pub method: &'a str,
    /// Request path, without the query.
    pub path: &'a str,
    /// The requested model, once the request has been read.
    pub model: Option<&'a str>,
    /// Name of the upstream, once the request has been routed.
    pub upstream: Option<&'a str>,
    /// When its head had been read.
    pub received: Instant,
    /// Whether the upstream has answered.
    pub answered: bool,
    /// SSE events with generated output so far, mostly a token each; `None` where it is no stream, or not known to be one.
    pub chunks: Option<u64>,
    /// Time to first token; `None` before it.
    pub time_to_first_token: Option<Duration>,
    /// When output came last; `None` before any.
    pub last_output: Option<Instant>,
}

/// A consumer of exchanges.
pub trait Sink: Send + Sync {
    /// What the log calls it.
    fn name(&self) -> &'static str;

    /// An exchange is in flight and has come so far. Called of each, each time that somebody looks.
    fn in_flight(&self, _progress: &Progress<'_>) {}

    /// An exchange is over and its facts are settled. Whoever keeps it shares it with the others.
    fn finished(&self, id: ExchangeId, exchange: &Arc<Exchange>);

    /// Hands on what is queued, within the time given. Called once, at shutdown.
    fn flush(&self, _deadline: Deadline) {}

    /// Says what was lost of what was late at the [flush](Self::flush) and went on behind it. Called at the very end of the process, and waits
    /// no longer than this.
    fn last_words(&self, _within: Duration) {}
}

/// How long there is at the end to hand on what is queued, and whether somebody wants it so.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    /// The time.
    pub within: Duration,
    /// Whether it is that short because somebody would not wait: whatever is late is not at fault.
    pub is_hurried: bool,
}

impl Deadline {
    /// The time for those who would not wait.
    #[must_use]
    pub const fn hurried(within: Duration) -> Self {
        let is_hurried = true;
        Self { within, is_hurried }
    }

    /// What is left of it, for what begins now, where it ends then.
    #[must_use]
    pub fn left(self, until: std::time::Instant) -> Self {
        let within = until.saturating_duration_since(std::time::Instant::now());
        Self { within, ..self }
    }

    /// Says that `lost` is, where that is the wish of somebody who would not wait; whether it is.
    #[must_use]
    pub fn has_cut_off(self, lost: &'static str) -> bool {
        if self.is_hurried {
            tracing::warn!(
                lost,
                "not handed on: a second signal stopped streamgauge at once"
            );
        }
        self.is_hurried
    }
}

impl From<Duration> for Deadline {
    fn from(within: Duration) -> Self {
        let is_hurried = false;
        Self { within, is_hurried }
    }
}
