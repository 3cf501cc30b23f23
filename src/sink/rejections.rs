//! Logs rejected requests: one line a minute for each reason, with the number of those held back.
//!
//! The line names the peer and the reason, and has nothing of the request but the model and the path that no route takes. Metrics have the exact counts.

use std::sync::Arc;

use super::{Deadline, ExchangeId, Sink};
use crate::exchange::{End, Exchange};
use crate::log::LogLimits;

/// When each reason was logged last. The reasons are our own words, so they are few.
#[derive(Debug, Default)]
pub struct RejectionsLog(LogLimits<String>);

impl Sink for RejectionsLog {
    fn name(&self) -> &'static str {
        "rejections"
    }

    fn finished(&self, _id: ExchangeId, exchange: &Arc<Exchange>) {
        let rejected = exchange.failure.as_ref();
        let Some(failure) = rejected.filter(|_| exchange.end == End::Rejected) else {
            return;
        };
        if let Some(held_back) = self.0.pass(failure.kind.clone()) {
            tracing::warn!(
                reason = failure.kind,
                status = exchange.http.status,
                peer = exchange.http.peer.map(tracing::field::display),
                error = failure.message,
                held_back,
                "a request was rejected"
            );
        }
    }

    fn flush(&self, _deadline: Deadline) {
        for (reason, held_back) in self.0.take_held_back() {
            tracing::warn!(
                reason,
                held_back,
                "more requests were rejected, before the shutdown"
            );
        }
    }
}
