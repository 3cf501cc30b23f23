//! Consumers of exchanges: the trait, and the fan-out to several.
//!
//! A sink sees that an exchange began, and the finished [`Exchange`]. Both calls are synchronous and quick; slow work
//! waits behind the sink's own bounded queue. This file does not know which sinks exist.

pub mod live;
pub mod metrics;
pub mod news;
pub mod traces;

mod attributes;
mod envelope;
mod limited;
mod protobuf;
mod unhurried;

use std::sync::Arc;
use std::time::Duration;

use crate::exchange::Exchange;

/// Why an export failed.
pub type ExportError = Box<dyn std::error::Error + Send + Sync>;

/// Identity of an exchange while it is in flight, unique within the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExchangeId(pub u64);

/// What is known when an exchange begins.
#[derive(Debug)]
pub struct Started<'a> {
    /// Its identity; `finished` names it again.
    pub id: ExchangeId,
    /// Request method.
    pub method: &'a str,
    /// Request path, without the query.
    pub path: &'a str,
}

/// A consumer of exchanges.
pub trait Sink: Send + Sync {
    /// An exchange began.
    fn started(&self, _exchange: &Started<'_>) {}

    /// An exchange is over and its facts are settled.
    fn finished(&self, id: ExchangeId, exchange: &Arc<Exchange>);

    /// Hands on what is queued, within the time given. Called once, at shutdown.
    fn flush(&self, _within: Duration) {}
}
