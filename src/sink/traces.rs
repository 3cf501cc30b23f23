//! Traces: the spans of a finished exchange, built at its end and queued for export.
//!
//! No span lives while a stream flows: ids and sampling were settled when the exchange began, everything else is known when
//! it is over. It is then written as OTLP at once, from the exchange to bytes: by way of the SDK's spans and the
//! protocol's types, an exchange cost four times as much. Names and attributes are the vocabularies' business; the
//! shape of the spans (kinds, parents, status) follows the OpenTelemetry HTTP and GenAI conventions.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::RandomIdGenerator;

use super::{Deadline, ExchangeId, Sink};
use crate::exchange::Exchange;
use crate::log::LogLimit;
use crate::otel::{Batch, Spans, ToolSpans};
use crate::otlp::envelope::Envelope;
use crate::otlp::queue::{Items, Queue};
use crate::otlp::{Exported, Outcomes, span};
use crate::semconv::{self, Vocabulary};

/// What the traces sink can be told.
pub struct TracesConfig {
    /// Vocabularies in order; HTTP and our own come on top.
    pub vocabularies: Vec<&'static dyn Vocabulary>,
    /// Which spans a call has.
    pub spans: Spans,
    /// What the waits for tools are called.
    pub tools: ToolSpans,
    /// How spans are put together for export.
    pub batching: Batch,
}

/// The traces sink.
pub struct Traces {
    vocabularies: Vec<&'static dyn Vocabulary>,
    spans: Spans,
    tools: ToolSpans,
    queue: Queue,
    full: LogLimit,
    /// Ids of spans whose context goes nowhere, so that they need none before the end.
    ids: RandomIdGenerator,
}

impl Traces {
    /// Starts the thread that exports. `export` sends one `ExportTraceServiceRequest` and may block.
    #[must_use]
    pub fn new(
        config: TracesConfig,
        resource: &Resource,
        export: impl Fn(Bytes) -> Exported + Send + 'static,
    ) -> Self {
        let envelope = Envelope::new(resource);
        let queue = Queue::start(Items::Spans, &config.batching, envelope, export);
        let vocabularies = config
            .vocabularies
            .iter()
            .chain(&semconv::ALWAYS)
            .copied()
            .collect();
        Self {
            vocabularies,
            spans: config.spans,
            tools: config.tools,
            queue,
            full: LogLimit::per_minute(),
            ids: RandomIdGenerator::default(),
        }
    }

    /// Spans lost so far: the queue was full, their export failed, or the receiver rejected them.
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
        Health(self.queue.clone())
    }
}

/// Counts of a traces sink, apart from it.
#[derive(Debug, Clone)]
pub struct Health(Queue);

impl Health {
    /// Spans that wait, or are being sent.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.unexported()
    }

    /// What became of exports.
    #[must_use]
    pub fn outcomes(&self) -> Arc<Outcomes> {
        self.0.outcomes()
    }

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
    fn name(&self) -> &'static str {
        "traces"
    }

    fn finished(&self, _id: ExchangeId, exchange: &Arc<Exchange>) {
        let (spans, count) = match exchange.trace.as_ref().filter(|trace| trace.sampled) {
            Some(trace) => {
                let draft = span::Draft {
                    exchange,
                    trace,
                    vocabularies: &self.vocabularies,
                    spans: self.spans,
                    tools: self.tools,
                };
                draft.write(&self.ids)
            }
            None => {
                let mut spans = Vec::new();
                let count = span::write_waits(exchange, self.tools, &self.ids, &mut spans);
                (spans, count)
            }
        };
        if count == 0 {
            return;
        }
        // All or none: half an exchange would be a trace with a hole.
        if self.queue.push(spans, count).is_err()
            && let Some(held_back) = self.full.pass()
        {
            tracing::warn!(
                dropped = self.queue.dropped(),
                held_back,
                "spans were dropped: the export queue is full (OTEL_BSP_MAX_QUEUE_SIZE)"
            );
        }
    }

    fn flush(&self, deadline: Deadline) {
        if !self.queue.end(deadline.within) && !deadline.has_cut_off("spans") {
            let unexported = self.queue.unexported();
            tracing::warn!(
                unexported,
                "the last spans were not exported before the shutdown deadline"
            );
        }
        self.full
            .end("spans were dropped: the export queue is full (OTEL_BSP_MAX_QUEUE_SIZE)");
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
