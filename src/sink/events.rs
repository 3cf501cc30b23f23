//! Events: what was said in an exchange as a log record, for those whose content goes there.
//!
//! A record is written when the exchange ends and waits in a queue with a bound in records and in bytes. Of a trace that is not
//! exported there is none.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_sdk::Resource;

use super::{Deadline, ExchangeId, Sink};
use crate::exchange::Exchange;
use crate::log::LogLimit;
use crate::otel::Batch;
use crate::otlp::envelope::Envelope;
use crate::otlp::queue::{Items, Queue};
use crate::otlp::{Exported, log};

/// The sink of events.
pub struct Events {
    queue: Queue,
    full: LogLimit,
}

impl Events {
    /// Starts the thread that exports. `export` sends one `ExportLogsServiceRequest` and may block.
    #[must_use]
    pub fn new(
        batching: &Batch,
        resource: &Resource,
        export: impl Fn(Bytes) -> Exported + Send + 'static,
    ) -> Self {
        let envelope = Envelope::new(resource);
        let queue = Queue::start(Items::LogRecords, batching, envelope, export);
        Self {
            queue,
            full: LogLimit::per_minute(),
        }
    }

    /// The queue, whose books an observed metric reads.
    #[must_use]
    pub fn queue(&self) -> Queue {
        self.queue.clone()
    }
}

impl Sink for Events {
    fn name(&self) -> &'static str {
        "events"
    }

    fn finished(&self, _id: ExchangeId, exchange: &Arc<Exchange>) {
        let content = exchange.content.as_deref();
        let Some(content) = content.filter(|content| content.policy.events) else {
            return;
        };
        if exchange.trace.as_ref().is_some_and(|trace| !trace.sampled) {
            return;
        }
        let record = log::details(exchange, content);
        if self.queue.push(record, 1).is_err()
            && let Some(held_back) = self.full.pass()
        {
            tracing::warn!(
                dropped = self.queue.dropped(),
                held_back,
                "events with content were dropped: the export queue is full (OTEL_BLRP_MAX_QUEUE_SIZE)"
            );
        }
    }

    fn flush(&self, deadline: Deadline) {
        if !self.queue.end(deadline.within) && !deadline.has_cut_off("events with content") {
            let unexported = self.queue.unexported();
            tracing::warn!(
                unexported,
                "the last events with content were not exported before the shutdown deadline"
            );
        }
    }
}

impl Drop for Events {
    /// Lets the thread end; does not wait for it.
    fn drop(&mut self) {
        self.queue.end(Duration::ZERO);
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}
