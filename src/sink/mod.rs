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
    fn flush(&self, _within: Duration) {}
}
