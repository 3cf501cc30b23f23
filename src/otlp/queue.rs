//! Spans and log records that wait for export, already written, and the worker that hands them to the exporter batch by batch.
//! What is said of spans here holds for both.
//!
//! Every span that came is exported, dropped or still unexported. The worker is woken by a full batch, or when the first span of
//! a batch has waited long enough; so most spans wake nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::envelope::Envelope;
use super::{Exported, ITEMS_BYTES, Outcomes, protobuf};
use crate::background::{Background, Plan, Work};
use crate::log::LogLimit;
use crate::otel;

/// Most bytes that wait. Spans and records are small, but where they show content.
const QUEUE_BYTES: usize = 64 << 20;

/// What waits in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Items {
    /// Spans.
    Spans,
    /// Log records.
    LogRecords,
}

impl Items {
    const fn name(self) -> &'static str {
        match self {
            Self::Spans => "spans",
            Self::LogRecords => "log records",
        }
    }
}

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
    /// Bytes of those that wait to be put into a batch.
    waiting_bytes: AtomicUsize,
    /// Spans that were not taken because too many bytes waited.
    too_large: AtomicU64,
    outcomes: Arc<Outcomes>,
    /// Spans that were lost on the way to the receiver, or rejected by it.
    lost: AtomicU64,
    log: LogLimit,
}

/// Spans, each an element of `ScopeSpans.spans`, one behind another.
#[derive(Debug, Default)]
struct Batch {
    /// The request that they will be, without its envelope; empty until there is a span.
    request: Vec<u8>,
    /// The bytes of all spans.
    bytes: usize,
    spans: usize,
}

impl Queue {
    /// Starts the worker, which gives each batch in its envelope to `export`.
    #[must_use]
    pub fn start(
        items: Items,
        batching: &otel::Batch,
        envelope: Envelope,
        export: impl Fn(Bytes) -> Exported + Send + 'static,
    ) -> Self {
        let plan = Plan {
            name: items.name(),
            bound: batching.queue,
            linger: batching.delay,
            enough: batching.size,
            idle: None,
        };
        let books = Arc::new(Books {
            unexported: AtomicUsize::new(0),
            waiting_bytes: AtomicUsize::new(0),
            too_large: AtomicU64::new(0),
            outcomes: Arc::default(),
            lost: AtomicU64::new(0),
            log: LogLimit::per_minute(),
        });
        let exporting = Exporting {
            items,
            export,
            envelope,
            size: batching.size,
            batch: Batch::default(),
            usual_bytes: 0,
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
        let bytes = spans.len();
        let waiting = self.books.waiting_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if waiting > QUEUE_BYTES {
            self.books.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.books
                .too_large
                .fetch_add(count as u64, Ordering::Relaxed);
            return Err(spans);
        }
        self.books.unexported.fetch_add(count, Ordering::Relaxed);
        let taken = self.worker.submit_weighing(spans, count);
        if taken.is_err() {
            self.books.unexported.fetch_sub(count, Ordering::Relaxed);
            self.books.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
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
        let too_large = self.books.too_large.load(Ordering::Relaxed);
        self.worker.dropped() + too_large + self.books.lost.load(Ordering::Relaxed)
    }

    /// Exports that failed so far, retries included in one.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.books.outcomes.failures()
    }

    /// What became of exports.
    #[must_use]
    pub fn outcomes(&self) -> Arc<Outcomes> {
        Arc::clone(&self.books.outcomes)
    }
}

/// What the worker does.
struct Exporting<E> {
    items: Items,
    export: E,
    envelope: Envelope,
    /// Most spans of a batch.
    size: usize,
    batch: Batch,
    /// How many bytes the last batch had.
    usual_bytes: usize,
    books: Arc<Books>,
}

impl<E> Work for Exporting<E>
where
    E: Fn(Bytes) -> Exported + Send + 'static,
{
    type Job = Vec<u8>;

    fn run(&mut self, spans: Vec<u8>) {
        self.books
            .waiting_bytes
            .fetch_sub(spans.len(), Ordering::Relaxed);
        for span in protobuf::elements(&spans) {
            if self.batch.spans > 0 && self.batch.bytes + span.len() > ITEMS_BYTES {
                self.export();
            }
            if self.batch.spans == 0 {
                // Batches are of a size; growing to it step by step copied 1,300 instructions' worth for each request.
                self.batch.request = self.envelope.open(self.usual_bytes.max(span.len()));
            }
            self.batch.request.extend_from_slice(span);
            self.batch.bytes += span.len();
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
    E: Fn(Bytes) -> Exported,
{
    fn export(&mut self) {
        let Batch {
            request,
            bytes,
            spans,
        } = std::mem::take(&mut self.batch);
        self.usual_bytes = bytes;
        let outcome = (self.export)(self.envelope.close(request));
        let lost = match &outcome {
            Ok(rejected) => (*rejected).min(spans as u64),
            Err(_) => spans as u64,
        };
        self.books.lost.fetch_add(lost, Ordering::Relaxed);
        self.books.unexported.fetch_sub(spans, Ordering::Relaxed);
        let Err(error) = outcome else {
            return self.books.outcomes.exported(spans as u64 - lost);
        };
        self.books.outcomes.failed(&error);
        if let Some(held_back) = self.books.log.pass() {
            match self.items {
                Items::Spans => tracing::warn!(%error, spans, held_back, "spans were not exported"),
                Items::LogRecords => {
                    tracing::warn!(%error, records = spans, held_back, "events with content were not exported");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use opentelemetry_sdk::Resource;

    use super::*;

    fn envelope() -> Envelope {
        Envelope::new(&Resource::builder_empty().build())
    }

    #[test]
    fn a_batch_is_cut_between_spans_before_it_is_too_large_for_a_receiver() {
        let (send, sent) = channel();
        let batching = otel::Batch {
            queue: 100,
            size: 100,
            delay: Duration::ZERO,
            timeout: Duration::ZERO,
        };
        let queue = Queue::start(Items::Spans, &batching, envelope(), move |request| {
            send.send(request)?;
            Ok(0)
        });
        const MIB: usize = 1 << 20;
        let spans = |lengths: &[usize]| {
            let mut spans = Vec::new();
            for len in lengths {
                protobuf::message(&mut spans, 2, |out| out.resize(out.len() + len, 0));
            }
            spans
        };
        queue
            .push(spans(&[1, MIB, MIB, MIB, 5 * MIB, 1]), 6)
            .unwrap();
        assert!(queue.end(Duration::from_secs(60)));
        let expected: [&[usize]; 4] = [&[1, MIB, MIB], &[MIB], &[5 * MIB], &[1]];
        let expected = expected.map(|lengths| envelope().around(&spans(lengths)));
        // A difference of megabytes is nothing to be shown.
        assert!(sent.iter().eq(expected));
        assert_eq!(queue.unexported(), 0);
    }

    #[test]
    fn no_more_bytes_wait_than_the_bound_and_what_does_not_fit_is_counted() {
        let (send, sent) = channel();
        let (leave, wait) = channel::<()>();
        let batching = otel::Batch {
            queue: 100,
            size: 1,
            delay: Duration::ZERO,
            timeout: Duration::ZERO,
        };
        let queue = Queue::start(Items::LogRecords, &batching, envelope(), move |request| {
            send.send(request.len())?;
            let _ = wait.recv();
            Ok(0)
        });
        let record = |len: usize| {
            let mut record = Vec::new();
            protobuf::message(&mut record, 2, |out| out.resize(len, 0));
            record
        };
        queue.push(record(10), 1).unwrap();
        // It is with the exporter, and waits no more.
        sent.recv().unwrap();
        queue.push(record(QUEUE_BYTES - 100), 1).unwrap();
        queue.push(record(1000), 1).unwrap_err();
        assert_eq!(queue.dropped(), 1);
        drop(leave);
        assert!(queue.end(Duration::from_secs(60)));
        assert_eq!((sent.iter().count(), queue.unexported()), (1, 0));
    }
}
