//! The store of prompts as a sink: what was said goes there, where the policy says so.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Deadline, ExchangeId, Sink};
use crate::exchange::Exchange;
use crate::log::LogLimit;
use crate::store::Store;

/// The sink of prompts.
#[derive(Debug)]
pub struct Prompts {
    store: Arc<Store>,
    full: LogLimit,
}

impl Prompts {
    /// A sink into this store.
    #[must_use]
    pub fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            full: LogLimit::per_minute(),
        }
    }
}

impl Sink for Prompts {
    fn name(&self) -> &'static str {
        "prompts"
    }

    fn finished(&self, _id: ExchangeId, exchange: &Arc<Exchange>) {
        let content = exchange.content.as_deref();
        let Some(stored) = content.and_then(|content| content.stored.as_deref()) else {
            return;
        };
        if !self.store.put(&stored.objects)
            && let Some(held_back) = self.full.pass()
        {
            tracing::warn!(
                dropped = self.store.books().dropped.load(Ordering::Relaxed),
                held_back,
                "prompts were not stored: too many wait for the store (store.queue_bytes)"
            );
        }
    }

    fn flush(&self, deadline: Deadline) {
        if deadline.is_hurried {
            self.store.hurry();
        }
        if !self.store.end(deadline.within) && !deadline.has_cut_off("prompts") {
            tracing::warn!("the last prompts were not stored before the shutdown deadline");
        }
    }
}
