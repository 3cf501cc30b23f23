//! Metrics: the one place where a fact becomes a sample.
//!
//! Each sample is recorded once, into one aggregate of the OpenTelemetry SDK, which both the OTLP push and `/metrics` read;
//! so the two agree. Labels are bounded here. This file knows no metric by name: what is recorded, and under which
//! names, is the vocabularies' business.

mod aggregates;
mod bundle;
mod exposition;
mod fold;
mod push;
mod series;
mod window;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::Temporality;

pub use self::push::Pushing;

use self::aggregates::{Aggregates, For};
use self::bundle::Opened;
use self::push::Pusher;
use self::series::{Exemplars, Origin, Table};
use self::window::Windows;
use super::unhurried::Unhurried;
use super::{ExchangeId, ExportError, Sink};
use crate::exchange::{Exchange, Trace};
use crate::semconv::{
    self, Attribute, Facets, Kind, Label, Labels, Metric, Record, Sample, Vocabulary,
};

/// What the metrics sink can be told.
pub struct Config {
    /// Vocabularies in order; HTTP and our own come on top.
    pub vocabularies: Vec<&'static dyn Vocabulary>,
    /// Different values an attribute may have before the rest fold into `_other`. Default 200.
    pub label_values: usize,
    /// Window of `llm.error.rate`. Default 5 min.
    pub error_window: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            vocabularies: semconv::DEFAULTS
                .into_iter()
                .filter_map(semconv::named)
                .collect(),
            label_values: 200,
            error_window: Duration::from_secs(300),
        }
    }
}

/// The metrics sink.
pub struct Metrics {
    vocabularies: Vec<&'static dyn Vocabulary>,
    table: Table,
    resource: Resource,
    aggregates: Arc<Aggregates>,
    /// `None` where metrics are only scraped.
    pusher: Option<Pusher>,
}

impl Metrics {
    /// Metrics that are only read through [`render`](Self::render).
    #[must_use]
    pub fn new(config: &Config, resource: Resource) -> Self {
        Self::aggregated(config, resource, Temporality::Cumulative)
    }

    /// Metrics that are also pushed, every so often and on [`flush`](Sink::flush). Starts a thread.
    #[must_use]
    pub fn pushing<E>(config: &Config, resource: Resource, pushing: Pushing<E>) -> Self
    where
        E: Fn(Vec<u8>) -> Result<(), ExportError> + Send + 'static,
    {
        let metrics = Self::aggregated(config, resource, pushing.temporality);
        let aggregates = Arc::clone(&metrics.aggregates);
        let pusher = Pusher::start(pushing, &metrics.resource, aggregates);
        Self {
            pusher: Some(pusher),
            ..metrics
        }
    }

    fn aggregated(config: &Config, resource: Resource, pushed: Temporality) -> Self {
        let vocabularies: Vec<_> = config
            .vocabularies
            .iter()
            .chain(&semconv::ALWAYS)
            .copied()
            .collect();
        let series = series_per_metric(config.label_values);
        let aggregates = Arc::new(Aggregates::new(series, pushed));
        let windows = Arc::new(Windows::new(config.error_window, Instant::now()));
        let metrics = || {
            vocabularies
                .iter()
                .flat_map(|vocabulary| vocabulary.metrics())
        };
        let (labels, capacity) = (config.label_values, 4 * series);
        let table = Table::new(&aggregates, metrics(), &windows, labels, capacity);
        for metric in metrics().filter(|metric| metric.kind == Kind::WindowMean) {
            observe_window(&aggregates, metric, Arc::clone(&windows));
        }
        Self {
            vocabularies,
            table,
            resource,
            aggregates,
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
        let labels: Vec<KeyValue> = attributes
            .iter()
            .map(|(key, value)| KeyValue::new(*key, *value))
            .collect();
        let (name, unit, description) = (metric.name, metric.unit, metric.description);
        let meter = self.aggregates.meter(name);
        match metric.kind {
            Kind::ObservedCounter => {
                let builder = meter
                    .u64_observable_counter(name)
                    .with_unit(unit)
                    .with_description(description);
                builder
                    .with_callback(move |point| point.observe(read(), &labels))
                    .build();
            }
            Kind::ObservedGauge => {
                let builder = meter
                    .u64_observable_gauge(name)
                    .with_unit(unit)
                    .with_description(description);
                builder
                    .with_callback(move |point| point.observe(read(), &labels))
                    .build();
            }
            _ => debug_assert!(false, "{name} is recorded, not observed"),
        }
    }

    /// Pushes that failed, retries included in one.
    #[must_use]
    pub fn export_failures(&self) -> u64 {
        self.pusher.as_ref().map_or(0, Pusher::failures)
    }

    /// All metrics as text for the value of a scrape's `Accept` header: OpenMetrics with exemplars where the scraper prefers
    /// it, else the classic Prometheus format. Blocks, and takes its time over thousands of series.
    #[must_use]
    pub fn render(&self, accept: Option<&str>) -> Scrape {
        let format = exposition::Format::negotiate(accept);
        let exemplars = match format {
            exposition::Format::OpenMetrics => self.table.exemplars(),
            exposition::Format::Classic => Exemplars::default(),
        };
        let mut turn = Unhurried::begin();
        let mut step = || turn.step();
        let mut text = exposition::Text::begin(format, &self.resource, &exemplars, &mut step);
        self.aggregates
            .read(For::Pull, |metric| text.metric(metric));
        let pieces = text.finish();
        Scrape {
            content_type: format.content_type(),
            pieces,
        }
    }
}

/// All metrics as text.
#[derive(Debug)]
pub struct Scrape {
    /// Value of the `Content-Type` header.
    pub content_type: &'static str,
    /// The text, cut between samples into pieces of some 64 KiB.
    pub pieces: Vec<String>,
}

impl Sink for Metrics {
    fn finished(&self, _id: ExchangeId, exchange: &Arc<Exchange>) {
        let origin = exchange
            .trace
            .as_ref()
            .filter(|trace| trace.sampled)
            .map(|trace| origin(trace, exchange));
        let times = &exchange.times;
        let facets = Facets::of(exchange);
        let bundle = self.table.bundle(&facets);
        let mut recorder = Recorder {
            metrics: self,
            bundle: bundle.open(),
            facets,
            seen_at: exchange.started_at + times.response_head.unwrap_or(times.end),
            origin,
        };
        for vocabulary in &self.vocabularies {
            vocabulary.samples(exchange, &mut recorder);
        }
    }

    fn flush(&self, within: Duration) {
        if self
            .pusher
            .as_ref()
            .is_some_and(|pusher| !pusher.end(within))
        {
            tracing::warn!("the last metrics were not pushed in time");
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// Records the samples of one exchange.
struct Recorder<'e> {
    metrics: &'e Metrics,
    facets: Facets<'e>,
    bundle: Opened<'e>,
    seen_at: SystemTime,
    origin: Option<Origin>,
}

impl Record for Recorder<'_> {
    fn record(&mut self, labels: &'static Labels, by: Option<Label>, samples: &[Option<Sample>]) {
        if samples.iter().all(Option::is_none) {
            return;
        }
        let (table, facets) = (&self.metrics.table, &self.facets);
        let find = || table.series(&labels.of(facets, by));
        let series = self.bundle.series(labels, by, find);
        series.record(table, samples, self.seen_at, self.origin);
    }

    fn record_under(&mut self, labels: &[Attribute<'_>], samples: &[Option<Sample>]) {
        if samples.iter().any(Option::is_some) {
            let table = &self.metrics.table;
            let series = table.series(labels);
            series.record(table, samples, self.seen_at, self.origin);
        }
    }

    fn hears(&self, vocabulary: &str) -> bool {
        let mut spoken = self.metrics.vocabularies.iter();
        spoken.any(|spoken| spoken.name() == vocabulary)
    }
}

fn origin(trace: &Trace, exchange: &Exchange) -> Origin {
    let span_id = if exchange.inference().is_some() {
        trace.client_span_id
    } else {
        trace.server_span_id
    };
    Origin {
        trace_id: trace.trace_id,
        span_id,
        at: exchange.started_at + exchange.times.end,
    }
}

fn observe_window(aggregates: &Aggregates, metric: &'static Metric, windows: Arc<Windows>) {
    let meter = aggregates.meter(metric.name);
    let builder = meter
        .f64_observable_gauge(metric.name)
        .with_unit(metric.unit)
        .with_description(metric.description);
    let observe = move |point: &dyn opentelemetry::metrics::AsyncInstrument<f64>| {
        windows
            .means(Instant::now())
            .into_iter()
            .for_each(|(labels, mean)| point.observe(mean, &labels));
    };
    builder.with_callback(observe).build();
}

/// The SDK's own bound on the series of a metric. Labels go together: a model has few upstreams, answers, tiers and
/// errors, so ten sets for each of two bounded labels leave room, and memory stays bounded all the same.
fn series_per_metric(label_values: usize) -> usize {
    label_values.saturating_mul(20).clamp(2_000, 100_000)
}

#[cfg(test)]
mod tests;
