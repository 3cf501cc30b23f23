//! Traces: the spans of a finished exchange, built at its end and queued for export.
//!
//! No span lives while a stream flows: ids and sampling were settled when the exchange began, everything else is known when
//! it is over. It is then written as OTLP at once, from the exchange to bytes: by way of the SDK's spans and the
//! protocol's types, an exchange cost four times as much. Names and attributes are the vocabularies' business; the
//! shape of the spans (kinds, parents, status) follows the OpenTelemetry HTTP and GenAI conventions.

mod queue;
mod span;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::RandomIdGenerator;

use self::queue::Queue;
use super::envelope::Envelope;
use super::limited::Limited;
use super::{ExchangeId, ExportError, Sink};
use crate::exchange::Exchange;
use crate::semconv::{self, Vocabulary};

/// What the traces sink can be told.
pub struct Config {
    /// Vocabularies in order; HTTP and our own come on top.
    pub vocabularies: Vec<&'static dyn Vocabulary>,
    /// How spans are put together for export.
    pub batching: Batching,
}

/// How spans are put together for export (`OTEL_BSP_*`).
#[derive(Debug, Clone, Copy)]
pub struct Batching {
    /// Most spans that wait to be exported.
    pub queue: usize,
    /// Most spans of one export.
    pub size: usize,
    /// Longest time a span waits for others.
    pub delay: Duration,
}

/// The traces sink.
pub struct Traces {
    vocabularies: Vec<&'static dyn Vocabulary>,
    queue: Arc<Queue>,
    full: Limited,
    /// Ids of spans whose context goes nowhere, so that they need none before the end.
    ids: RandomIdGenerator,
}

impl Traces {
    /// Starts the thread that exports. `export` sends one `ExportTraceServiceRequest` and may block.
    #[must_use]
    pub fn new(
        config: Config,
        resource: &Resource,
        export: impl Fn(Vec<u8>) -> Result<(), ExportError> + Send + 'static,
    ) -> Self {
        let envelope = Envelope::new(resource);
        let queue = Queue::start(config.batching, move |batch| {
            export(envelope.around(&batch.bytes))
        });
        let vocabularies = config
            .vocabularies
            .iter()
            .chain(&semconv::ALWAYS)
            .copied()
            .collect();
        Self {
            vocabularies,
            queue,
            full: Limited::per_minute(),
            ids: RandomIdGenerator::default(),
        }
    }

    /// Spans lost so far: the queue was full, or their export failed.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.queue.dropped()
    }

    /// Exports that failed so far, retries included in one.
    #[must_use]
    pub fn export_failures(&self) -> u64 {
        self.queue.failures()
    }

    /// What [`dropped`](Self::dropped) and [`export_failures`](Self::export_failures) read, for an observed metric.
    #[must_use]
    pub fn health(&self) -> Health {
        Health(Arc::clone(&self.queue))
    }
}

/// Counts of a traces sink, apart from it.
#[derive(Debug, Clone)]
pub struct Health(Arc<Queue>);

impl Health {
    /// Spans lost so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped()
    }

    /// Exports that failed so far.
    #[must_use]
    pub fn export_failures(&self) -> u64 {
        self.0.failures()
    }
}

impl Sink for Traces {
    fn finished(&self, _id: ExchangeId, exchange: &Arc<Exchange>) {
        let Some(trace) = exchange.trace.as_ref().filter(|trace| trace.sampled) else {
            return;
        };
        // All or none: half an exchange would be a trace with a hole.
        if !self.queue.enter(span::Draft::count(exchange)) {
            if let Some(held_back) = self.full.pass() {
                tracing::warn!(
                    dropped = self.queue.dropped(),
                    held_back,
                    "spans were dropped: the export queue is full"
                );
            }
            return;
        }
        let draft = span::Draft {
            exchange,
            trace,
            vocabularies: &self.vocabularies,
        };
        draft.write(&self.ids, |span| self.queue.push(span));
    }

    fn flush(&self, within: Duration) {
        if !self.queue.end(within) {
            let waiting = self.queue.waiting();
            tracing::warn!(waiting, "the last spans were not exported in time");
        }
    }
}

impl Drop for Traces {
    /// Lets the thread end; does not wait for it.
    fn drop(&mut self) {
        self.queue.end(Duration::ZERO);
    }
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces")
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
