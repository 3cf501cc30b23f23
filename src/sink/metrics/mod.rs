//! Metrics: the one place where a fact becomes a sample.
//!
//! Each sample is recorded once, into one aggregate, which both the OTLP push and `/metrics` read; so the two agree. The
//! aggregates are our own: labels of an exchange are found once for all its samples, exemplars are kept, and one lock is
//! taken for an exchange. The tests hold them against those of the OpenTelemetry SDK. Labels are bounded here. This file
//! knows no metric by name: what is recorded, and under which names, is the vocabularies' business.

mod bundle;
mod exponential;
mod exposition;
mod family;
mod fold;
mod labels;
mod observed;
mod otlp;
mod points;
mod push;
mod registry;
mod window;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use opentelemetry_sdk::Resource;

pub use self::push::Pushing;

use self::family::{For, Told};
use self::points::{Moment, Origin};
use self::push::Pusher;
use self::registry::{Bounds, Registry};
use self::window::Clock;
use super::{Deadline, ExchangeId, Sink};
use crate::exchange::{Exchange, Trace};
use crate::otel::Buckets;
use crate::otlp::{Exported, Outcomes};
use crate::semconv::{self, Attribute, Facets, Metric, Vocabulary};

/// What the metrics sink can be told.
pub struct MetricsConfig {
    /// Vocabularies in order; HTTP and our own come on top.
    pub vocabularies: Vec<&'static dyn Vocabulary>,
    /// Different values an attribute may have before the rest fold into `_other`. Default 100.
    pub label_values: usize,
    /// Window of `llm.error.rate`. Default 5 min.
    pub error_window: Duration,
    /// Attributes of calls that are labels of their tokens and costs, too. Default none.
    pub labels: Vec<&'static str>,
    /// Names of the upstreams, whose counters begin at zero. Default none.
    pub upstreams: Vec<String>,
    /// The buckets of distributions in a scrape that can have either. Default explicit.
    pub buckets: Buckets,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self {
            vocabularies: semconv::all_named(semconv::DEFAULT_METRICS),
            label_values: 100,
            error_window: Duration::from_secs(300),
            labels: Vec::new(),
            upstreams: Vec::new(),
            buckets: Buckets::Explicit,
        }
    }
}

/// The metrics sink.
pub struct Metrics {
    vocabularies: Vec<&'static dyn Vocabulary>,
    labels: Vec<&'static str>,
    resource: Resource,
    registry: Arc<Registry>,
    /// `None` where metrics are only scraped.
    pusher: Option<Pusher>,
}

impl Metrics {
    /// Metrics that are only read through [`render`](Self::render).
    #[must_use]
    pub fn new(config: &MetricsConfig, resource: Resource) -> Self {
        let told = Told {
            scraped: config.buckets,
            ..Told::default()
        };
        Self::aggregated(config, resource, told)
    }

    /// Metrics that are also pushed, every so often and on [`flush`](Sink::flush). Starts a thread.
    #[must_use]
    pub fn pushing<E>(config: &MetricsConfig, resource: Resource, pushing: Pushing<E>) -> Self
    where
        E: Fn(Bytes) -> Exported + Send + 'static,
    {
        let told = Told {
            temporality: pushing.temporality,
            scraped: config.buckets,
            pushed: pushing.buckets,
        };
        let metrics = Self::aggregated(config, resource, told);
        let registry = Arc::clone(&metrics.registry);
        let pusher = Pusher::start(pushing, &metrics.resource, registry);
        Self {
            pusher: Some(pusher),
            ..metrics
        }
    }

    fn aggregated(config: &MetricsConfig, resource: Resource, told: Told) -> Self {
        let vocabularies: Vec<_> = config
            .vocabularies
            .iter()
            .chain(&semconv::ALWAYS)
            .copied()
            .collect();
        let metrics = vocabularies
            .iter()
            .flat_map(|vocabulary| vocabulary.metrics().iter().copied());
        let bounds = Bounds {
            label_values: config.label_values,
            series: series_per_metric(config.label_values),
        };
        let clock = Clock::new(config.error_window, Instant::now());
        let registry = Registry::new(metrics, bounds, told, clock);
        let from_zero = vocabularies
            .iter()
            .flat_map(|vocabulary| vocabulary.begin_at_zero());
        for row in from_zero {
            registry.open().begin(row, &config.upstreams);
        }
        Self {
            vocabularies,
            labels: config.labels.clone(),
            resource,
            registry: Arc::new(registry),
            pusher: None,
        }
    }

    /// Registers a counter or a level that its owner keeps, to be read at each collection. Attributes tell apart several
    /// registrations of one metric. Metrics that are not of an observed kind are left alone.
    pub fn observe(
        &self,
        metric: &'static Metric,
        attributes: &[(&'static str, &'static str)],
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        let labels = attributes
            .iter()
            .map(|(key, value)| (*key, (*value).into()));
        let labels: Vec<Attribute<'_>> = labels.collect();
        let known = self.registry.open().watch(metric, &labels, Arc::new(read));
        debug_assert!(known, "{} is recorded, not observed", metric.name);
    }

    /// Requests of pushes that failed, retries included in one.
    #[must_use]
    pub fn export_failures(&self) -> u64 {
        self.pusher.as_ref().map_or(0, Pusher::failures)
    }

    /// What became of pushes; `None` where nothing is pushed.
    #[must_use]
    pub fn outcomes(&self) -> Option<Arc<Outcomes>> {
        self.pusher.as_ref().map(Pusher::outcomes)
    }

    /// Points that no receiver took. A total comes again with the next push, a difference does not.
    #[must_use]
    pub fn lost_points(&self) -> u64 {
        self.pusher.as_ref().map_or(0, Pusher::lost_points)
    }

    /// All metrics for the value of a scrape's `Accept` header: Prometheus's protobuf, OpenMetrics with exemplars, or the classic
    /// Prometheus format, by what the scraper prefers.
    #[must_use]
    pub fn render(&self, accept: Option<&str>) -> Scrape {
        let format = exposition::Format::negotiate(accept);
        let mut page = exposition::Page::begin(format, &self.resource);
        self.registry
            .collect(For::Scrape, |metric| page.metric(metric));
        Scrape {
            content_type: format.content_type(),
            pieces: page.finish(),
        }
    }
}

/// All metrics as a scraper gets them.
#[derive(Debug)]
pub struct Scrape {
    /// Value of the `Content-Type` header.
    pub content_type: &'static str,
    /// The body, cut between samples into pieces of some 64 KiB.
    pub pieces: Vec<Vec<u8>>,
}

impl Sink for Metrics {
    fn name(&self) -> &'static str {
        "metrics"
    }

    fn finished(&self, _id: ExchangeId, exchange: &Arc<Exchange>) {
        let facets = Facets::of(exchange).with(&self.labels, exchange);
        let moment = moment(exchange);
        let mut registry = self.registry.open();
        let mut recorder = registry.recorder(&facets, moment, &self.vocabularies);
        for vocabulary in &self.vocabularies {
            vocabulary.samples(exchange, &mut recorder);
        }
    }

    fn flush(&self, deadline: Deadline) {
        let is_late = |pusher: &Pusher| !pusher.end(deadline.within);
        if self.pusher.as_ref().is_some_and(is_late) && !deadline.has_cut_off("metrics") {
            tracing::warn!("the last metrics were not exported before the shutdown deadline");
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// When the samples of an exchange were taken, and in which trace.
fn moment(exchange: &Exchange) -> Moment {
    let times = &exchange.times;
    let trace = exchange.trace.as_ref().filter(|trace| trace.sampled);
    Moment {
        seen_at: exchange.started_at + times.response_head.unwrap_or(times.end),
        ended_at: exchange.started_at + times.end,
        origin: trace.map(|trace| origin(trace, exchange)),
    }
}

fn origin(trace: &Trace, exchange: &Exchange) -> Origin {
    let span_id = if exchange.model_call().is_some() {
        trace.client_span_id
    } else {
        trace.server_span_id
    };
    Origin {
        trace_id: trace.trace_id,
        span_id,
    }
}

/// The bound on the series of a metric. Labels go together: a model has few upstreams, answers, tiers and
/// errors, so ten sets for each of two bounded labels leave room, and memory stays bounded all the same.
fn series_per_metric(label_values: usize) -> usize {
    label_values.saturating_mul(20).clamp(2_000, 100_000)
}

#[cfg(test)]
mod tests;
