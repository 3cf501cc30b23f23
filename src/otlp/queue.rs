//! Spans that wait for export, already written, and the worker that hands them to the exporter batch by batch.
//!
//! Every span that came is exported, dropped or still unexported. The worker is woken by a full batch, or when the first span of
//! a batch has waited long enough; so most spans wake nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::{Exported, ITEMS_BYTES, protobuf};
use crate::background::{Background, Plan, Work};
use crate::log::LogLimit;
use crate::otel;

/// The queue and its books. Clones share them.
#[derive(Debug, Clone)]
pub struct Queue {
    worker: Background<Vec<u8>>,
    books: Arc<Books>,
}

#[derive(Debug)]
struct Books {
    /// Spans that were taken and are neither exported nor lost.
    unexported: AtomicUsize,
    /// Exports that failed.
    failures: AtomicU64,
    /// Spans that were lost on the way to the receiver, or rejected by it.
    lost: AtomicU64,
    log: LogLimit,
}

/// Spans, each an element of `ScopeSpans.spans`, written one behind another.
#[derive(Debug, Default)]
pub struct Batch {
    /// The bytes of all.
    pub bytes: Vec<u8>,
    spans: usize,
}

impl Queue {
    /// Starts the worker, which gives each batch to `export`.
    #[must_use]
    pub fn start(
        batching: &otel::Batch,
        export: impl Fn(&Batch) -> Exported + Send + 'static,
    ) -> Self {
        let plan = Plan {
            name: "spans",
            bound: batching.queue,
            linger: batching.delay,
            enough: batching.size,
            idle: None,
        };
        let books = Arc::new(Books {
            unexported: AtomicUsize::new(0),
            failures: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            log: LogLimit::per_minute(),
        });
        let exporting = Exporting {
            export,
            size: batching.size,
            batch: Batch::default(),
            books: Arc::clone(&books),
        };
        Self {
            worker: Background::start(plan, exporting),
            books,
        }
    }

    /// Takes so many spans, or counts all of them as dropped where there is no room, or nothing more is taken.
    ///
    /// # Errors
    /// The spans.
    pub fn push(&self, spans: Vec<u8>, count: usize) -> Result<(), Vec<u8>> {
        self.books.unexported.fetch_add(count, Ordering::Relaxed);
        let taken = self.worker.submit_weighing(spans, count);
        if taken.is_err() {
            self.books.unexported.fetch_sub(count, Ordering::Relaxed);
        }
        taken
    }

    /// Has everything exported and ends the worker; says whether it had ended in time.
    pub fn end(&self, within: Duration) -> bool {
        let ended = self.worker.end(within);
        self.books.log.end("spans were not exported");
        ended
    }

    /// Spans that were taken and are neither exported nor lost: those that wait, and those of a request under way.
    #[must_use]
    pub fn unexported(&self) -> usize {
        self.books.unexported.load(Ordering::Relaxed)
    }

    /// Spans lost so far: the queue was full, their export failed, or the receiver rejected them.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.worker.dropped() + self.books.lost.load(Ordering::Relaxed)
    }

    /// Exports that failed so far, retries included in one.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.books.failures.load(Ordering::Relaxed)
    }
}

/// What the worker does.
struct Exporting<E> {
    export: E,
    /// Most spans of a batch.
    size: usize,
    batch: Batch,
    books: Arc<Books>,
}

impl<E> Work for Exporting<E>
where
    E: Fn(&Batch) -> Exported + Send + 'static,
{
    type Job = Vec<u8>;

    fn run(&mut self, spans: Vec<u8>) {
        for span in protobuf::elements(&spans) {
            if self.batch.spans > 0 && self.batch.bytes.len() + span.len() > ITEMS_BYTES {
                self.export();
            }
            self.batch.bytes.extend_from_slice(span);
            self.batch.spans += 1;
            if self.batch.spans >= self.size {
                self.export();
            }
        }
    }

    fn end_round(&mut self) {
        if self.batch.spans > 0 {
            self.export();
        }
    }
}

impl<E> Exporting<E>
where
    E: Fn(&Batch) -> Exported,
{
    fn export(&mut self) {
        let outcome = (self.export)(&self.batch);
        let spans = std::mem::take(&mut self.batch.spans);
        // Batches are of a size; growing to it step by step copied 1,300 instructions' worth for each request.
        self.batch.bytes.clear();
        let lost = match &outcome {
            Ok(rejected) => (*rejected).min(spans as u64),
            Err(_) => spans as u64,
        };
        self.books.lost.fetch_add(lost, Ordering::Relaxed);
        self.books.unexported.fetch_sub(spans, Ordering::Relaxed);
        let Err(error) = outcome else { return };
        self.books.failures.fetch_add(1, Ordering::Relaxed);
        if let Some(held_back) = self.books.log.pass() {
            tracing::warn!(%error, spans, held_back, "spans were not exported");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_batch_is_cut_between_spans_before_it_is_too_large_for_a_receiver() {
        let (send, sent) = channel();
        let batching = otel::Batch {
            queue: 100,
            size: 100,
            delay: Duration::ZERO,
            timeout: Duration::ZERO,
        };
        let queue = Queue::start(&batching, move |batch| {
            send.send((batch.spans, batch.bytes.len()))?;
            Ok(0)
        });
        let mut spans = Vec::new();
        for len in [1, 1 << 20, 1 << 20, 1 << 20, 5 << 20, 1] {
            protobuf::message(&mut spans, 2, |out| out.resize(out.len() + len, 0));
        }
        queue.push(spans, 6).unwrap();
        assert!(queue.end(Duration::from_secs(60)));
        let sent: Vec<_> = sent.iter().collect();
        let spans: Vec<_> = sent.iter().map(|(spans, _)| *spans).collect();
        assert_eq!(spans, [3, 1, 1, 1]);
        assert!(sent[0].1 <= ITEMS_BYTES);
        assert_eq!(queue.unexported(), 0);
    }
}
