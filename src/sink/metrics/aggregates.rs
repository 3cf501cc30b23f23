//! The SDK's aggregates, each metric with a provider of its own.
//!
//! A provider is only collected whole, and thousands of series would take a core for as long as that takes. Metric by
//! metric, who reads can rest in between.

use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::{Metric, ResourceMetrics};
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{
    Instrument, InstrumentKind, ManualReader, Pipeline, SdkMeterProvider, Stream, Temporality,
};

/// All aggregates.
pub(super) struct Aggregates {
    /// Most series of each metric.
    series: usize,
    /// As what a push wants to have counts and histograms.
    pushed: Temporality,
    all: RwLock<Vec<Aggregate>>,
}

/// The aggregate of one metric.
struct Aggregate {
    name: &'static str,
    provider: SdkMeterProvider,
    /// Totals, which is all that Prometheus can read.
    pull: Reader,
    /// The same, or another that has differences and costs a second aggregate.
    push: Reader,
}

/// Who reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// A scrape.
    Pull,
    /// An export; where it is of differences, those since the last one.
    Push,
}

impl Aggregates {
    /// No metric yet; each may have so many series, and is pushed so.
    pub(super) fn new(series: usize, pushed: Temporality) -> Self {
        Self {
            series,
            pushed,
            all: RwLock::default(),
        }
    }

    /// The meter whose only metric is of this name.
    pub(super) fn meter(&self, name: &'static str) -> Meter {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        let known = all.iter().position(|aggregate| aggregate.name == name);
        let index = known.unwrap_or_else(|| {
            all.push(Aggregate::new(name, self.series, self.pushed));
            all.len() - 1
        });
        all[index].provider.meter("streamgauge")
    }

    /// Collects one metric after another, in the order in which their meters were first asked for. A metric without a
    /// sample is left out.
    pub(super) fn read(&self, by: For, mut each: impl FnMut(&Metric)) {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        for aggregate in &*all {
            let reader = match by {
                For::Pull => &aggregate.pull,
                For::Push => &aggregate.push,
            };
            let mut collected = ResourceMetrics::default();
            if let Err(error) = reader.collect(&mut collected) {
                tracing::debug!(%error, metric = aggregate.name, "a metric was not collected");
            }
            let scopes = collected.scope_metrics();
            scopes.flat_map(|scope| scope.metrics()).for_each(&mut each);
        }
    }
}

impl Aggregate {
    fn new(name: &'static str, series: usize, pushed: Temporality) -> Self {
        let limit = move |_: &Instrument| {
            Stream::builder()
                .with_cardinality_limit(series)
                .build()
                .ok()
        };
        let pull = Reader::new(Temporality::Cumulative);
        let builder = SdkMeterProvider::builder()
            .with_resource(Resource::builder_empty().build())
            .with_view(limit)
            .with_reader(pull.clone());
        let (push, builder) = if pushed == Temporality::Cumulative {
            (pull.clone(), builder)
        } else {
            let push = Reader::new(pushed);
            (push.clone(), builder.with_reader(push))
        };
        Self {
            name,
            provider: builder.build(),
            pull,
            push,
        }
    }
}

/// A reader that the provider owns and that we read as well.
#[derive(Debug, Clone)]
struct Reader(Arc<ManualReader>);

impl Reader {
    fn new(temporality: Temporality) -> Self {
        let reader = ManualReader::builder().with_temporality(temporality);
        Self(Arc::new(reader.build()))
    }
}

impl MetricReader for Reader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}
