//! From attributes to the instruments bound to them, and the exemplars beside them.
//!
//! The SDK's lookup by attributes costs some 250 ns a sample; here a set of attributes is looked up once for all its
//! samples, and most often found in the [`Bundle`] of the exchange. The SDK for Rust records no exemplars, so the latest of each bucket is kept here.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Instant, SystemTime};

use foldhash::fast::RandomState;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundGauge, BoundHistogram, Counter, Gauge, Histogram};

use super::aggregates::Aggregates;
use super::bundle::{Bundle, Bundles};
use super::fold::Folds;
use super::window::{Window, Windows};
use crate::semconv::{Attribute, Facets, Kind, Metric, Number, Sample, Value};
use crate::sink::attributes::key_value;

/// A sample and the trace it came from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Exemplar {
    /// The value of the sample.
    pub(super) value: f64,
    /// Where it came from.
    pub(super) origin: Origin,
}

/// The trace and time of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Origin {
    /// Trace id.
    pub(super) trace_id: u128,
    /// Span id of the inference span.
    pub(super) span_id: u64,
    /// When the exchange ended.
    pub(super) at: SystemTime,
}

/// The latest exemplar of each bucket, by metric name and sorted labels.
pub(super) type Exemplars = HashMap<
    &'static str,
    HashMap<Arc<[KeyValue]>, Vec<Option<Exemplar>>, RandomState>,
    RandomState,
>;

/// All series that have been recorded lately.
pub(super) struct Table {
    instruments: HashMap<&'static str, Instrument>,
    capacity: usize,
    hasher: RandomState,
    series: RwLock<HashMap<u64, Arc<Series>, RandomState>>,
    bundles: Bundles,
    folds: Mutex<Folds>,
}

/// One set of attributes, and what is bound to it.
pub(super) struct Series {
    attributes: Vec<Attribute<'static>>,
    /// The same, sorted by key.
    pub(super) labels: Arc<[KeyValue]>,
    handles: Mutex<Vec<Handle>>,
}

enum Instrument {
    Counter(Counter<u64>),
    Gauge(Gauge<u64>),
    Floats(Histogram<f64>),
    Ints(Histogram<u64>),
    Mean(Arc<Windows>),
}

struct Handle {
    metric: &'static Metric,
    bound: Bound,
    /// One place per bucket; empty for a metric without exemplars.
    exemplars: Vec<Option<Exemplar>>,
}

enum Bound {
    Counter(BoundCounter<u64>),
    /// And when its value was seen: exchanges that began earlier may end later.
    Gauge(BoundGauge<u64>, SystemTime),
    Floats(BoundHistogram<f64>),
    Ints(BoundHistogram<u64>),
    Mean(Window),
}

impl Table {
    /// Creates the instruments of all metrics that are recorded by sample.
    pub(super) fn new<'m>(
        aggregates: &Aggregates,
        metrics: impl Iterator<Item = &'m &'static Metric>,
        windows: &Arc<Windows>,
        label_values: usize,
        capacity: usize,
    ) -> Self {
        let instrument = |metric| Instrument::new(aggregates, metric, windows);
        let instruments = metrics.filter_map(|metric| Some((metric.name, instrument(metric)?)));
        Self {
            instruments: instruments.collect(),
            capacity,
            hasher: RandomState::default(),
            series: RwLock::default(),
            bundles: Bundles::default(),
            folds: Mutex::new(Folds::new(label_values)),
        }
    }

    /// The series that exchanges of these facets have recorded in.
    pub(super) fn bundle(&self, facets: &Facets<'_>) -> Arc<Bundle> {
        self.bundles.of(facets)
    }

    /// The series of these attributes, folded where they are beyond the bound.
    pub(super) fn series(&self, attributes: &[Attribute<'_>]) -> Arc<Series> {
        if let Ok(series) = self.find(attributes) {
            return series;
        }
        let mut owned = attributes.to_vec();
        self.folds
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .fold(&mut owned);
        let free = match self.find(&owned) {
            Ok(series) => return series,
            Err(free) => free,
        };
        let series = Arc::new(Series::new(owned));
        let mut table = self.series.write().unwrap_or_else(PoisonError::into_inner);
        if table.len() >= self.capacity {
            // Only the way to the aggregates is forgotten, not the aggregates: those in use are bound again at once.
            table.clear();
            self.bundles.clear();
        }
        table.insert(free, Arc::clone(&series));
        series
    }

    /// The series, or the key that is free for it.
    fn find(&self, attributes: &[Attribute<'_>]) -> Result<Arc<Series>, u64> {
        let mut key = self.key(attributes);
        let table = self.series.read().unwrap_or_else(PoisonError::into_inner);
        while let Some(series) = table.get(&key) {
            if same(&series.attributes, attributes) {
                return Ok(Arc::clone(series));
            }
            key = key.wrapping_add(1);
        }
        Err(key)
    }

    /// Hash of the values alone: comparing tells the rare sets apart that differ in keys only.
    fn key(&self, attributes: &[Attribute<'_>]) -> u64 {
        struct Values<'a>(&'a [Attribute<'a>]);
        impl std::hash::Hash for Values<'_> {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                self.0.iter().for_each(|(_, value)| value.hash(state));
            }
        }
        self.hasher.hash_one(Values(attributes))
    }

    /// The exemplars of all series.
    pub(super) fn exemplars(&self) -> Exemplars {
        let mut all = Exemplars::default();
        for series in self
            .series
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
        {
            for handle in series
                .handles()
                .iter()
                .filter(|handle| handle.exemplars.iter().any(Option::is_some))
            {
                let of_metric = all.entry(handle.metric.name).or_default();
                of_metric.insert(Arc::clone(&series.labels), handle.exemplars.clone());
            }
        }
        all
    }
}

impl Series {
    fn new(attributes: Vec<Attribute<'_>>) -> Self {
        let attributes: Vec<Attribute<'static>> = attributes.into_iter().map(owned).collect();
        let mut labels: Vec<KeyValue> = attributes.iter().cloned().map(key_value).collect();
        labels.sort_by(|one, other| one.key.cmp(&other.key));
        Self {
            attributes,
            labels: labels.into(),
            handles: Mutex::default(),
        }
    }

    /// Records samples of metrics that the table has instruments for.
    /// `seen_at` is when the response came that they are of.
    pub(super) fn record(
        &self,
        table: &Table,
        samples: &[Option<Sample>],
        seen_at: SystemTime,
        origin: Option<Origin>,
    ) {
        let mut handles = self.handles();
        for sample in samples.iter().flatten() {
            let known = handles
                .iter()
                .position(|handle| std::ptr::eq(handle.metric, sample.metric));
            let index = known.or_else(|| {
                let instrument = table.instruments.get(sample.metric.name)?;
                // Bound at the first sample: the SDK exports a bound series even where nothing was recorded.
                handles.push(Handle::new(sample.metric, instrument.bind(&self.labels)));
                Some(handles.len() - 1)
            });
            if let Some(index) = index {
                handles[index].record(sample, seen_at, origin);
            }
        }
    }

    fn handles(&self) -> MutexGuard<'_, Vec<Handle>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handle {
    fn new(metric: &'static Metric, bound: Bound) -> Self {
        let buckets = match metric.kind {
            Kind::Histogram(bounds) if metric.exemplars => bounds.len() + 1,
            _ => 0,
        };
        Self {
            metric,
            bound,
            exemplars: vec![None; buckets],
        }
    }

    fn record(&mut self, sample: &Sample, seen_at: SystemTime, origin: Option<Origin>) {
        match (&mut self.bound, sample.value) {
            (Bound::Counter(counter), Number::Int(number)) => {
                counter.add(number.saturating_mul(sample.times))
            }
            (Bound::Gauge(gauge, newest), Number::Int(number)) => {
                if *newest <= seen_at {
                    *newest = seen_at;
                    gauge.record(number);
                }
            }
            (Bound::Ints(histogram), Number::Int(number)) => {
                (0..sample.times).for_each(|_| histogram.record(number));
            }
            (Bound::Floats(histogram), Number::Float(number)) => {
                (0..sample.times).for_each(|_| histogram.record(number));
                self.keep(number, origin);
            }
            (Bound::Mean(window), Number::Float(number)) => window.add(number, Instant::now()),
            (_, number) => debug_assert!(false, "{} does not take {number:?}", self.metric.name),
        }
    }

    fn keep(&mut self, value: f64, origin: Option<Origin>) {
        let (Some(origin), Kind::Histogram(bounds)) = (origin, self.metric.kind) else {
            return;
        };
        let bucket = bounds.partition_point(|bound| *bound < value);
        if let Some(place) = self.exemplars.get_mut(bucket) {
            *place = Some(Exemplar { value, origin });
        }
    }
}

impl Instrument {
    /// `None` for metrics that are observed rather than recorded.
    fn new(
        aggregates: &Aggregates,
        metric: &'static Metric,
        windows: &Arc<Windows>,
    ) -> Option<Self> {
        let meter = aggregates.meter(metric.name);
        let (name, unit, description) = (metric.name, metric.unit, metric.description);
        Some(match metric.kind {
            Kind::Counter => Self::Counter(
                meter
                    .u64_counter(name)
                    .with_unit(unit)
                    .with_description(description)
                    .build(),
            ),
            Kind::Gauge => Self::Gauge(
                meter
                    .u64_gauge(name)
                    .with_unit(unit)
                    .with_description(description)
                    .build(),
            ),
            Kind::Histogram(bounds) => {
                let builder = meter
                    .f64_histogram(name)
                    .with_unit(unit)
                    .with_description(description);
                Self::Floats(builder.with_boundaries(bounds.to_vec()).build())
            }
            Kind::IntHistogram(bounds) => {
                let builder = meter
                    .u64_histogram(name)
                    .with_unit(unit)
                    .with_description(description);
                Self::Ints(builder.with_boundaries(bounds.to_vec()).build())
            }
            Kind::WindowMean => Self::Mean(Arc::clone(windows)),
            Kind::ObservedCounter | Kind::ObservedGauge => return None,
        })
    }

    fn bind(&self, labels: &[KeyValue]) -> Bound {
        match self {
            Self::Counter(counter) => Bound::Counter(counter.bind(labels)),
            Self::Gauge(gauge) => Bound::Gauge(gauge.bind(labels), SystemTime::UNIX_EPOCH),
            Self::Floats(histogram) => Bound::Floats(histogram.bind(labels)),
            Self::Ints(histogram) => Bound::Ints(histogram.bind(labels)),
            Self::Mean(windows) => Bound::Mean(windows.bind(labels)),
        }
    }
}

/// Whether two sets are equal. Keys are spelled once, so most often it is the very same text.
fn same(one: &[Attribute<'_>], other: &[Attribute<'_>]) -> bool {
    let same_key = |one: &str, other: &str| std::ptr::eq(one, other) || one == other;
    let mut pairs = one.iter().zip(other);
    one.len() == other.len()
        && pairs.all(|((one, value), (other, its))| same_key(one, other) && value == its)
}

fn owned((key, value): Attribute<'_>) -> Attribute<'static> {
    let value = match value {
        Value::Str(text) => Value::Str(Cow::Owned(text.into_owned())),
        Value::Int(number) => Value::Int(number),
        Value::Float(number) => Value::Float(number),
        Value::Bool(flag) => Value::Bool(flag),
        // No metric has a list for a label; joined it would still be told apart.
        Value::StrList(texts) => Value::Str(Cow::Owned(texts.join(","))),
    };
    (key, value)
}
