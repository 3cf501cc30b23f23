//! How many spans wait for export, and what became of the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use crate::sink::limited::Limited;

/// The books of the export queue.
#[derive(Debug)]
pub(super) struct Queue {
    capacity: usize,
    waiting: AtomicUsize,
    dropped: AtomicU64,
    failures: AtomicU64,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            waiting: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }
    }

    /// Takes places for some spans; without room for all they count as dropped.
    pub(super) fn enter(&self, spans: usize) -> bool {
        let take = |waiting: usize| (waiting + spans <= self.capacity).then_some(waiting + spans);
        let entered = self
            .waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok();
        if !entered {
            self.dropped.fetch_add(spans as u64, Ordering::Relaxed);
        }
        entered
    }

    /// Spans that have entered and were not taken by the exporter yet.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}

/// An exporter that keeps the books.
#[derive(Debug)]
pub(super) struct Counted<E> {
    exporter: E,
    queue: Arc<Queue>,
    log: Limited,
}

impl<E> Counted<E> {
    pub(super) fn new(exporter: E, queue: Arc<Queue>) -> Self {
        Self {
            exporter,
            queue,
            log: Limited::per_minute(),
        }
    }
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        self.queue.waiting.fetch_sub(spans, Ordering::Relaxed);
        let result = self.exporter.export(batch).await;
        if let Err(error) = &result {
            self.queue.failures.fetch_add(1, Ordering::Relaxed);
            self.queue
                .dropped
                .fetch_add(spans as u64, Ordering::Relaxed);
            if let Some(held_back) = self.log.pass() {
                tracing::warn!(%error, spans, held_back, "spans were not exported");
            }
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
