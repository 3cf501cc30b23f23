//! Metrics: the one place where a fact becomes a sample.
//!
//! Each sample is recorded once, into one aggregate of the OpenTelemetry SDK, which both the OTLP push and `/metrics` read;
//! so the two agree. Labels are bounded here. This file knows no metric by name: what is recorded, and under which
//! names, is the vocabularies' business.

mod bundle;
mod exposition;
mod fold;
mod push;
mod series;
mod window;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{
    Instrument, ManualReader, PeriodicReader, SdkMeterProvider, Stream, Temporality,
};

use self::bundle::Opened;
use self::push::{Counted, SharedReader};
use self::series::{Exemplars, Origin, Table};
use self::window::Windows;
use super::unhurried::Unhurried;
use super::{ExchangeId, Sink};
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
    failures: Arc<AtomicU64>,
    provider: SdkMeterProvider,
    reader: SharedReader,
    meter: Meter,
}

impl Metrics {
    /// Metrics that are only read through [`render`](Self::render).
    #[must_use]
    pub fn new(config: &Config, resource: Resource) -> Self {
        let reader = SharedReader(Arc::new(ManualReader::default()));
        Self::with_readers(
            config,
            resource,
            reader.clone(),
            vec![reader],
            Arc::default(),
        )
    }

    /// Metrics that are also pushed, every `interval` and on [`flush`](Sink::flush). Starts a thread.
    #[must_use]
    pub fn pushing(
        config: &Config,
        resource: Resource,
        exporter: impl PushMetricExporter,
        interval: Duration,
    ) -> Self {
        let failures = Arc::<AtomicU64>::default();
        let cumulative = exporter.temporality() == Temporality::Cumulative;
        let exporter = Counted::new(exporter, Arc::clone(&failures));
        let push = SharedReader(Arc::new(
            PeriodicReader::builder(exporter)
                .with_interval(interval)
                .build(),
        ));
        // A second reader means a second aggregate: only where the push wants deltas, which Prometheus cannot read.
        let (pull, readers) = if cumulative {
            (push.clone(), vec![push])
        } else {
            let pull = SharedReader(Arc::new(ManualReader::default()));
            (pull.clone(), vec![push, pull])
        };
        Self::with_readers(config, resource, pull, readers, failures)
    }

    fn with_readers(
        config: &Config,
        resource: Resource,
        reader: SharedReader,
        readers: Vec<SharedReader>,
        failures: Arc<AtomicU64>,
    ) -> Self {
        let vocabularies: Vec<_> = config
            .vocabularies
            .iter()
            .chain(&semconv::ALWAYS)
            .copied()
            .collect();
        let series = series_per_metric(config.label_values);
        let provider = provider(resource, readers, series);
        let scope = InstrumentationScope::builder("streamgauge")
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        let meter = provider.meter_with_scope(scope);
        let windows = Arc::new(Windows::new(config.error_window, Instant::now()));
        let metrics = || {
            vocabularies
                .iter()
                .flat_map(|vocabulary| vocabulary.metrics())
        };
        let table = Table::new(&meter, metrics(), &windows, config.label_values, 4 * series);
        for metric in metrics().filter(|metric| metric.kind == Kind::WindowMean) {
            observe_window(&meter, metric, Arc::clone(&windows));
        }
        Self {
            vocabularies,
            table,
            failures,
            provider,
            reader,
            meter,
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
        match metric.kind {
            Kind::ObservedCounter => {
                let builder = self
                    .meter
                    .u64_observable_counter(name)
                    .with_unit(unit)
                    .with_description(description);
                builder
                    .with_callback(move |point| point.observe(read(), &labels))
                    .build();
            }
            Kind::ObservedGauge => {
                let builder = self
                    .meter
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
        self.failures.load(Ordering::Relaxed)
    }

    /// All metrics as text for the value of a scrape's `Accept` header: OpenMetrics with exemplars where the scraper prefers
    /// it, else the classic Prometheus format. Blocks, and takes its time over thousands of series.
    #[must_use]
    pub fn render(&self, accept: Option<&str>) -> Scrape {
        let format = exposition::Format::negotiate(accept);
        let mut collected = ResourceMetrics::default();
        if let Err(error) = self.reader.collect(&mut collected) {
            // After shutdown there is nothing to read; the text is valid and empty.
            tracing::debug!(%error, "metrics were not collected");
        }
        let exemplars = match format {
            exposition::Format::OpenMetrics => self.table.exemplars(),
            exposition::Format::Classic => Exemplars::default(),
        };
        let mut turn = Unhurried::begin();
        let pieces = exposition::write(format, &collected, &exemplars, &mut || turn.step());
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
        let (done, wait) = mpsc::sync_channel(1);
        let provider = self.provider.clone();
        let push = move || {
            // The reader's shutdown pushes once more, but gives up after a time of its own; a flush waits.
            let flushed = provider.force_flush();
            let _ = done.send(flushed);
            let _ = provider.shutdown();
        };
        let started = std::thread::Builder::new()
            .name("metrics-flush".into())
            .spawn(push);
        let flushed = started.map(|_| wait.recv_timeout(within));
        if !matches!(flushed, Ok(Ok(Ok(())))) {
            tracing::warn!("the last metrics were not pushed");
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

/// A provider whose metrics have at most so many series each.
fn provider(resource: Resource, readers: Vec<SharedReader>, series: usize) -> SdkMeterProvider {
    let limit = move |_: &Instrument| {
        Stream::builder()
            .with_cardinality_limit(series)
            .build()
            .ok()
    };
    let builder = SdkMeterProvider::builder()
        .with_resource(resource)
        .with_view(limit);
    readers
        .into_iter()
        .fold(builder, |builder, reader| builder.with_reader(reader))
        .build()
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

fn observe_window(meter: &Meter, metric: &'static Metric, windows: Arc<Windows>) {
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
