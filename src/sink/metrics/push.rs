//! The thread that pushes metrics, every so often and once more at the end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::metrics::v1;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::Metric;
use prost::Message as _;

use super::aggregates::{Aggregates, For};
use crate::sink::ExportError;
use crate::sink::envelope::{Envelope, ITEM};
use crate::sink::limited::Limited;
use crate::sink::protobuf;
use crate::sink::unhurried::Unhurried;

/// How metrics are pushed.
pub struct Pushing<E> {
    /// Time between two pushes (`OTEL_METRIC_EXPORT_INTERVAL`).
    pub interval: Duration,
    /// Whether totals are pushed or differences.
    pub temporality: Temporality,
    /// Sends one `ExportMetricsServiceRequest`, and may block.
    pub export: E,
}

/// The way to the thread, which ends when it is gone.
pub(super) struct Pusher {
    /// Asks for the last push, and to be told when it is over.
    ask: Mutex<Option<SyncSender<SyncSender<()>>>>,
    failures: Arc<AtomicU64>,
}

impl Pusher {
    /// Starts the thread.
    pub(super) fn start<E>(
        pushing: Pushing<E>,
        resource: &Resource,
        aggregates: Arc<Aggregates>,
    ) -> Self
    where
        E: Fn(Vec<u8>) -> Result<(), ExportError> + Send + 'static,
    {
        let failures = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&failures);
        let envelope = Envelope::new(resource);
        let log = Limited::per_minute();
        let push = move || {
            let Some(request) = request(&aggregates, &envelope) else {
                return;
            };
            if let Err(error) = (pushing.export)(request) {
                counted.fetch_add(1, Ordering::Relaxed);
                if let Some(held_back) = log.pass() {
                    tracing::warn!(%error, held_back, "metrics were not exported");
                }
            }
        };
        let (ask, asked) = sync_channel(1);
        let started = std::thread::Builder::new()
            .name("metrics".into())
            .spawn(move || run(pushing.interval, &asked, push));
        if let Err(error) = started {
            tracing::error!(%error, "metrics are not pushed: their thread did not start");
        }
        Self {
            ask: Mutex::new(Some(ask)),
            failures,
        }
    }

    /// Pushes once more and ends the thread. False where that was not over in the time given.
    pub(super) fn end(&self, within: Duration) -> bool {
        let mut ask = self.ask.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(ask) = ask.take() else {
            return true;
        };
        let (done, wait) = sync_channel(1);
        ask.send(done).is_ok() && wait.recv_timeout(within).is_ok()
    }

    /// Pushes that failed, retries included in one.
    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}

/// Pushes at each interval until it is asked for the last push, or nobody can ask any more.
fn run(interval: Duration, asked: &Receiver<SyncSender<()>>, push: impl Fn()) {
    let mut due = Instant::now() + interval;
    loop {
        match asked.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Err(RecvTimeoutError::Timeout) => {
                push();
                // Where a push took longer than that, those that were missed are not made up for.
                due = (due + interval).max(Instant::now());
            }
            Ok(done) => {
                push();
                let _ = done.send(());
                return;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// All metrics as an `ExportMetricsServiceRequest`; `None` where there is nothing to tell.
fn request(aggregates: &Aggregates, envelope: &Envelope) -> Option<Vec<u8>> {
    let mut turn = Unhurried::begin();
    let mut metrics = Vec::new();
    aggregates.read(For::Push, |metric| {
        // Collecting it was a step of its own.
        turn.step();
        write(&mut metrics, metric);
        turn.step();
    });
    (!metrics.is_empty()).then(|| envelope.around(&metrics))
}

fn write(out: &mut Vec<u8>, metric: &Metric) {
    let metric = v1::Metric::from(metric);
    protobuf::length(out, ITEM, metric.encoded_len());
    metric
        .encode(out)
        .expect("a Vec takes as many bytes as come");
}
