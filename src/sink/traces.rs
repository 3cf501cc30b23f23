//! Traces: the spans of a finished exchange, built at its end and queued for export.
//!
//! No span lives while a stream flows: ids and sampling were settled when the exchange began, everything else is known when
//! it is over. The queue is bounded and counted by us, since the SDK's own drops cannot be read: every span submitted
//! is exported, dropped or still waiting. Names and attributes are the vocabularies' business; the shape of the spans
//! (kinds, parents, status) follows the OpenTelemetry HTTP and GenAI conventions.

mod queue;
mod span;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfig, BatchSpanProcessor, RandomIdGenerator, SpanExporter, SpanProcessor,
};

use self::queue::{Counted, Queue};
use super::limited::Limited;
use super::{ExchangeId, Sink};
use crate::exchange::Exchange;
use crate::semconv::{self, Vocabulary};

/// What the traces sink can be told.
pub struct Config {
    /// Vocabularies in order; HTTP and our own come on top.
    pub vocabularies: Vec<&'static dyn Vocabulary>,
    /// Most spans that wait to be exported (`OTEL_BSP_MAX_QUEUE_SIZE`); must be that of the batch configuration.
    pub queue: usize,
    /// Batching, by `OTEL_BSP_*`.
    pub batch: BatchConfig,
}

/// The traces sink.
pub struct Traces {
    vocabularies: Vec<&'static dyn Vocabulary>,
    scope: InstrumentationScope,
    processor: BatchSpanProcessor,
    queue: Arc<Queue>,
    full: Limited,
    /// Ids of spans whose context goes nowhere, so that they need none before the end.
    ids: RandomIdGenerator,
}

impl Traces {
    /// Starts the thread that exports. An exporter over gRPC must have been built inside a tokio runtime.
    #[must_use]
    pub fn new(config: Config, resource: &Resource, exporter: impl SpanExporter + 'static) -> Self {
        let queue = Arc::new(Queue::new(config.queue));
        let exporter = Counted::new(exporter, Arc::clone(&queue));
        let mut processor = BatchSpanProcessor::new(exporter, config.batch);
        processor.set_resource(resource);
        let scope = InstrumentationScope::builder("streamgauge")
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        let vocabularies = config
            .vocabularies
            .iter()
            .chain(&semconv::ALWAYS)
            .copied()
            .collect();
        Self {
            vocabularies,
            scope,
            processor,
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
        let inference = exchange.inference().is_some();
        let count = 1 + usize::from(inference) + span::Draft::attempt_count(exchange);
        // All or none: half an exchange would be a trace with a hole.
        if !self.queue.enter(count) {
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
            scope: &self.scope,
        };
        for span in draft.attempts(&self.ids) {
            self.processor.on_end(span);
        }
        if inference {
            self.processor.on_end(draft.inference());
        }
        self.processor.on_end(draft.server());
    }

    fn flush(&self, within: Duration) {
        if let Err(error) = self.processor.shutdown_with_timeout(within) {
            tracing::warn!(%error, waiting = self.queue.waiting(), "the last spans were not exported in time");
        }
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
