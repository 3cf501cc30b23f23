//! Metrics whose numbers their owners keep: read when metrics are collected, recorded by nobody.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::family::{Collected, For, Series, Values, is_delta};
use super::labels::LabelSet;
use crate::otel::Temporality;
use crate::semconv::{Kind, Metric};

/// A metric that is observed.
#[derive(Debug)]
pub(super) struct Observed {
    metric: &'static Metric,
    /// Whether a push tells what came since the last one.
    is_delta: bool,
    began: SystemTime,
    /// When differences were told last.
    told: SystemTime,
    watched: Vec<Watched>,
}

/// A number and who keeps it.
#[derive(Clone)]
struct Watched {
    labels: LabelSet,
    read: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// As it was when a difference was told last.
    told: Arc<AtomicU64>,
}

/// What is to be read, without the lock that the metric is behind: owners may take their time, and locks of their own.
#[derive(Debug)]
pub(super) struct Reading {
    metric: &'static Metric,
    is_delta: bool,
    began: SystemTime,
    at: SystemTime,
    watched: Vec<Watched>,
}

impl Observed {
    /// Watched by nobody yet; `None` for metrics that are recorded.
    pub(super) fn new(metric: &'static Metric, pushed: Temporality) -> Option<Self> {
        if !metric.kind.is_observed() {
            return None;
        }
        let now = SystemTime::now();
        Some(Self {
            metric,
            is_delta: is_delta(metric, pushed),
            began: now,
            told: now,
            watched: Vec::new(),
        })
    }

    /// The metric.
    pub(super) fn metric(&self) -> &'static Metric {
        self.metric
    }

    /// Adds a number. One that had the same labels is no longer read.
    pub(super) fn watch(&mut self, labels: LabelSet, read: Arc<dyn Fn() -> u64 + Send + Sync>) {
        self.watched.retain(|watched| watched.labels != labels);
        self.watched.push(Watched {
            labels,
            read,
            told: Arc::default(),
        });
    }

    /// What is to be read for a collection.
    pub(super) fn collect(&mut self, by: For) -> Reading {
        let at = SystemTime::now();
        let is_delta = self.is_delta && by == For::Push;
        let began = match is_delta {
            true => std::mem::replace(&mut self.told, at),
            false => self.began,
        };
        Reading {
            metric: self.metric,
            is_delta,
            began,
            at,
            watched: self.watched.clone(),
        }
    }
}

impl Reading {
    /// Reads all numbers; `None` where there is none.
    pub(super) fn read(self) -> Option<Collected> {
        if self.watched.is_empty() {
            return None;
        }
        let differs = self.is_delta && self.metric.kind != Kind::ObservedGauge;
        let number = |watched: &Watched| {
            let number = (watched.read)();
            if differs {
                let told = watched.told.swap(number, Ordering::Relaxed);
                return number.saturating_sub(told);
            }
            number
        };
        let numbers = self.watched.iter().map(number);
        let values = match self.metric.kind {
            Kind::ObservedSeconds => Values::Floats(
                numbers
                    .map(|micros| Duration::from_micros(micros).as_secs_f64())
                    .collect(),
            ),
            _ => Values::Whole(numbers.collect()),
        };
        let series = self.watched.iter().map(|watched| Series {
            labels: watched.labels.clone(),
            began: self.began,
        });
        Some(Collected {
            metric: self.metric,
            is_delta: self.is_delta,
            exponential: false,
            at: self.at,
            series: series.collect(),
            values,
        })
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched")
            .field("labels", &self.labels)
            .finish_non_exhaustive()
    }
}
