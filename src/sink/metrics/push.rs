//! The thread that pushes metrics, every so often and once more at the end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use opentelemetry_sdk::Resource;

use super::family::For;
use super::otlp::{self, Items};
use super::registry::Registry;
use crate::log::LogLimit;
use crate::otel::{Buckets, Temporality};
use crate::otlp::envelope::Envelope;
use crate::otlp::{Exported, Outcomes};

/// How metrics are pushed.
pub struct Pushing<E> {
    /// Time between two pushes (`OTEL_METRIC_EXPORT_INTERVAL`).
    pub interval: Duration,
    /// Whether totals are pushed or differences.
    pub temporality: Temporality,
    /// The buckets of distributions.
    pub buckets: Buckets,
    /// Sends one `ExportMetricsServiceRequest`, of which a push may have several, and may block.
    pub export: E,
}

/// The way to the thread, which ends when it is gone.
pub(super) struct Pusher {
    /// Asks for the last push, and to be told when it is over.
    ask: Mutex<Option<SyncSender<SyncSender<()>>>>,
    losses: Arc<Losses>,
}

/// What did not arrive.
#[derive(Debug)]
struct Losses {
    outcomes: Arc<Outcomes>,
    /// Points of requests that failed, retries included in one, and those that a receiver rejected.
    points: AtomicU64,
    log: LogLimit,
}

impl Pusher {
    /// Starts the thread.
    pub(super) fn start<E>(
        pushing: Pushing<E>,
        resource: &Resource,
        registry: Arc<Registry>,
    ) -> Self
    where
        E: Fn(Bytes) -> Exported + Send + 'static,
    {
        let losses = Arc::new(Losses {
            outcomes: Arc::default(),
            points: AtomicU64::new(0),
            log: LogLimit::per_minute(),
        });
        let counted = Arc::clone(&losses);
        let envelope = Envelope::new(resource);
        let send = move |items: Items| {
            let points = items.points as u64;
            let lost = match (pushing.export)(envelope.around(&items.bytes)) {
                Ok(rejected) => {
                    let lost = rejected.min(points);
                    counted.outcomes.exported(points - lost);
                    lost
                }
                Err(error) => {
                    counted.outcomes.failed(&error);
                    if let Some(held_back) = counted.log.pass() {
                        tracing::warn!(%error, held_back, "metrics were not exported");
                    }
                    points
                }
            };
            counted.points.fetch_add(lost, Ordering::Relaxed);
        };
        let push = move || {
            let mut items = Items::default();
            registry.collect(For::Push, |metric| otlp::write(&mut items, metric, &send));
            if items.points > 0 {
                send(items);
            }
        };
        let (ask, asked) = sync_channel(1);
        let started = std::thread::Builder::new()
            .name("metrics".into())
            .spawn(move || run(pushing.interval, &asked, push));
        if let Err(error) = started {
            tracing::error!(%error, "metrics are not pushed: cannot start the export thread");
        }
        Self {
            ask: Mutex::new(Some(ask)),
            losses,
        }
    }

    /// Pushes once more and ends the thread. False where that was not over in the time given.
    pub(super) fn end(&self, within: Duration) -> bool {
        let mut ask = self.ask.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(ask) = ask.take() else {
            return true;
        };
        let (done, wait) = sync_channel(1);
        let ended = ask.send(done).is_ok() && wait.recv_timeout(within).is_ok();
        self.losses.log.end("metrics were not exported");
        ended
    }

    /// Requests that failed, retries included in one.
    pub(super) fn failures(&self) -> u64 {
        self.losses.outcomes.failures()
    }

    /// What became of requests.
    pub(super) fn outcomes(&self) -> Arc<Outcomes> {
        Arc::clone(&self.losses.outcomes)
    }

    /// Points that did not arrive.
    pub(super) fn lost_points(&self) -> u64 {
        self.losses.points.load(Ordering::Relaxed)
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
                // What it holds is let go before anybody learns of the end.
                drop(push);
                let _ = done.send(());
                return;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
