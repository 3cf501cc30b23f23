//! Our aggregates beside those of the OpenTelemetry SDK: whatever is recorded, and whenever it is collected, both tell the same.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Barrier, Weak};
use std::time::{Duration, Instant, UNIX_EPOCH};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, MeterProvider as _};
use opentelemetry_proto::tonic::metrics::v1;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{
    Aggregation, Instrument as SdkInstrument, InstrumentKind, ManualReader, Pipeline,
    SdkMeterProvider, Stream, Temporality as SdkTemporality,
};
use proptest::prelude::*;
use prost::Message as _;

use super::super::family::{Told, Values};
use super::super::otlp::{self, Items};
use super::super::points::Origin;
use super::*;
use crate::otel::{Buckets, Temporality};
use crate::semconv::{Kind, Value, sample};

const BOUNDS: &[f64] = &[0.0, 1.0, 2.5, 10.0];

const fn metric(name: &'static str, unit: &'static str, kind: Kind) -> Metric {
    Metric {
        name,
        unit,
        description: "What it is.",
        kind,
        exemplars: true,
    }
}

static COUNTER: Metric = metric("counter", "{call}", Kind::Counter);
static LEVEL: Metric = metric("level", "{item}", Kind::Gauge);
static TIMES: Metric = metric("times", "s", Kind::Histogram(BOUNDS));
static SIZES: Metric = metric("sizes", "By", Kind::Histogram(BOUNDS));
static WATCHED_COUNTER: Metric = metric("watched.counter", "{call}", Kind::ObservedCounter);
static WATCHED_LEVEL: Metric = metric("watched.level", "{item}", Kind::ObservedGauge);
static ALL: [&Metric; 6] = [
    &COUNTER,
    &LEVEL,
    &TIMES,
    &SIZES,
    &WATCHED_COUNTER,
    &WATCHED_LEVEL,
];

/// Sets of labels, the first without any.
fn labels(which: usize) -> Vec<Attribute<'static>> {
    match which {
        0 => Vec::new(),
        1 => vec![("model", "a".into()), ("port", 443_u16.into())],
        2 => vec![("port", 443_u16.into()), ("model", "b".into())],
        3 => vec![("partial", true.into())],
        _ => vec![("model", format!("m-{which}").into())],
    }
}

fn key_values(labels: &[Attribute<'_>]) -> Vec<KeyValue> {
    let pair = |(key, value): &Attribute<'_>| match value {
        Value::Str(text) => KeyValue::new(*key, text.clone().into_owned()),
        Value::Int(number) => KeyValue::new(*key, *number),
        Value::Float(number) => KeyValue::new(*key, *number),
        Value::Bool(flag) => KeyValue::new(*key, *flag),
        Value::StrList(_) => unreachable!("no label is a list"),
    };
    labels.iter().map(pair).collect()
}

/// What happens.
#[derive(Debug, Clone)]
enum Step {
    Count {
        labels: usize,
        number: u64,
    },
    Level {
        labels: usize,
        number: u64,
    },
    Time {
        labels: usize,
        quarters: u64,
        times: u64,
    },
    Size {
        labels: usize,
        number: u64,
    },
    /// The number that is watched grows, the level is set.
    Watch {
        number: u64,
    },
    Scrape,
    Push,
}

fn step() -> impl Strategy<Value = Step> {
    let labels = || 0_usize..6;
    prop_oneof![
        4 => (labels(), 0_u64..100).prop_map(|(labels, number)| Step::Count { labels, number }),
        2 => (labels(), 0_u64..100).prop_map(|(labels, number)| Step::Level { labels, number }),
        // Quarters add up exactly in whatever order.
        6 => (labels(), 0_u64..50, 1_u64..4)
            .prop_map(|(labels, quarters, times)| Step::Time { labels, quarters, times }),
        3 => (labels(), 0_u64..20).prop_map(|(labels, number)| Step::Size { labels, number }),
        1 => (0_u64..20).prop_map(|number| Step::Watch { number }),
        1 => Just(Step::Scrape),
        2 => Just(Step::Push),
    ]
}

/// What is watched by both.
#[derive(Default)]
struct Watched {
    counter: Arc<AtomicU64>,
    level: Arc<AtomicU64>,
}

/// A reader that a provider owns and that we read as well.
#[derive(Debug, Clone)]
struct Reader(Arc<ManualReader>);

impl Reader {
    fn new(temporality: Temporality) -> Self {
        let temporality = match temporality {
            Temporality::Cumulative => SdkTemporality::Cumulative,
            Temporality::Delta => SdkTemporality::Delta,
            Temporality::LowMemory => SdkTemporality::LowMemory,
        };
        let reader = ManualReader::builder().with_temporality(temporality);
        Self(Arc::new(reader.build()))
    }

    /// What the SDK tells.
    fn told(&self) -> Vec<v1::Metric> {
        let mut collected = ResourceMetrics::default();
        self.0.collect(&mut collected).unwrap();
        let scopes = collected.scope_metrics();
        let metrics = scopes.flat_map(|scope| scope.metrics());
        metrics.map(v1::Metric::from).collect()
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

    fn temporality(&self, kind: InstrumentKind) -> SdkTemporality {
        self.0.temporality(kind)
    }
}

/// The SDK's side.
struct Sdk {
    _provider: SdkMeterProvider,
    scrape: Reader,
    push: Reader,
    counter: Counter<u64>,
    level: Gauge<u64>,
    times: Histogram<f64>,
    sizes: Histogram<u64>,
}

impl Sdk {
    fn new(told: Told, series: usize, watched: &Watched) -> Self {
        let limit = move |instrument: &SdkInstrument| {
            let stream = Stream::builder().with_cardinality_limit(series);
            let exponential = told.pushed == Buckets::Exponential
                && instrument.kind() == InstrumentKind::Histogram;
            let stream = match exponential {
                false => stream,
                true => stream.with_aggregation(Aggregation::Base2ExponentialHistogram {
                    max_size: 160,
                    max_scale: 20,
                    record_min_max: true,
                }),
            };
            stream.build().ok()
        };
        let pushed = told.temporality;
        let (scrape, push) = (Reader::new(Temporality::Cumulative), Reader::new(pushed));
        let provider = SdkMeterProvider::builder()
            .with_view(limit)
            .with_reader(scrape.clone())
            .with_reader(push.clone())
            .build();
        let meter = provider.meter("streamgauge");
        macro_rules! built {
            ($kind:ident, $metric:expr $(, $with:ident($argument:expr))?) => {
                meter
                    .$kind($metric.name)
                    .with_unit($metric.unit)
                    .with_description($metric.description)
                    $(.$with($argument))?
                    .build()
            };
        }
        let key = labels(1);
        for (is_counter, number) in [(true, &watched.counter), (false, &watched.level)] {
            let (number, key) = (Arc::clone(number), key_values(&key));
            let read = move |point: &dyn opentelemetry::metrics::AsyncInstrument<u64>| {
                point.observe(number.load(Relaxed), &key);
            };
            if is_counter {
                built!(u64_observable_counter, WATCHED_COUNTER, with_callback(read));
            } else {
                built!(u64_observable_gauge, WATCHED_LEVEL, with_callback(read));
            }
        }
        Self {
            counter: built!(u64_counter, COUNTER),
            level: built!(u64_gauge, LEVEL),
            times: built!(f64_histogram, TIMES, with_boundaries(BOUNDS.to_vec())),
            sizes: built!(u64_histogram, SIZES, with_boundaries(BOUNDS.to_vec())),
            _provider: provider,
            scrape,
            push,
        }
    }

    fn record(&self, step: &Step) {
        let key = |which: &usize| key_values(&labels(*which));
        match step {
            Step::Count { labels, number } => self.counter.add(*number, &key(labels)),
            Step::Level { labels, number } => self.level.record(*number, &key(labels)),
            Step::Size { labels, number } => self.sizes.record(*number, &key(labels)),
            Step::Time {
                labels,
                quarters,
                times,
            } => {
                let time = *quarters as f64 / 4.0;
                (0..*times).for_each(|_| self.times.record(time, &key(labels)));
            }
            Step::Watch { .. } | Step::Scrape | Step::Push => {}
        }
    }
}

fn registry(pushed: Temporality, series: usize) -> Registry {
    bounded(pushed, 100, series)
}

fn bounded(pushed: Temporality, label_values: usize, series: usize) -> Registry {
    let told = Told {
        temporality: pushed,
        ..Told::default()
    };
    telling(told, label_values, series)
}

fn telling(told: Told, label_values: usize, series: usize) -> Registry {
    let bounds = Bounds {
        label_values,
        series,
    };
    let clock = Clock::new(Duration::from_secs(300), Instant::now());
    Registry::new(ALL.into_iter(), bounds, told, clock)
}

/// The moment of so many seconds, in a trace of that number.
fn moment(second: u64) -> Moment {
    let at = UNIX_EPOCH + Duration::from_secs(second);
    Moment {
        seen_at: at,
        ended_at: at,
        origin: Some(Origin {
            trace_id: second.into(),
            span_id: second,
        }),
    }
}

fn record(registry: &Registry, labels: &[Attribute<'_>], moment: Moment, sample: Sample) {
    let exchange = sample::plain();
    let mut registry = registry.open();
    let facets = Facets::of(&exchange);
    let mut recorder = registry.recorder(&facets, moment, &[]);
    recorder.record_under(labels, &[Some(sample)]);
}

/// Records what a step says, at a moment of its own.
fn take(registry: &Registry, second: u64, step: &Step) {
    let (which, sample) = match *step {
        Step::Count { labels, number } => (labels, COUNTER.sample(number)),
        Step::Level { labels, number } => (labels, LEVEL.sample(number)),
        Step::Size { labels, number } => (labels, SIZES.sample(number)),
        Step::Time {
            labels,
            quarters,
            times,
        } => (labels, TIMES.sample_times(quarters as f64 / 4.0, times)),
        Step::Watch { .. } | Step::Scrape | Step::Push => return,
    };
    record(registry, &labels(which), moment(second), sample);
}

/// What we tell.
fn told(registry: &Registry, by: For) -> Vec<v1::Metric> {
    let [items] = requests(registry, by).try_into().unwrap();
    v1::ScopeMetrics::decode(&*items.bytes).unwrap().metrics
}

/// The same, one for each request.
fn requests(registry: &Registry, by: For) -> Vec<Items> {
    let (mut items, mut all) = (Items::default(), Vec::new());
    registry.collect(by, |metric| {
        otlp::write(&mut items, metric, |full| all.push(full))
    });
    all.push(items);
    all
}

/// How many points a metric has.
fn points(metric: &v1::Metric) -> usize {
    match metric.data.as_ref().unwrap() {
        Data::Sum(sum) => sum.data_points.len(),
        Data::Histogram(histogram) => histogram.data_points.len(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_push_is_cut_between_points_before_it_is_too_large_for_a_receiver() {
    // What a receiver over gRPC takes by default.
    const MESSAGE_MAX: usize = 4 << 20;
    for (series, value_bytes) in [(9_000, 1), (800, 6_000)] {
        let registry = bounded(Temporality::Cumulative, 100_000, 100_000);
        let long = "x".repeat(value_bytes);
        for at in 0..series {
            let value = format!("{long}{at}");
            let labels = [("a", value.as_str().into())];
            record(&registry, &labels, moment(0), COUNTER.sample(1));
            record(&registry, &labels, moment(0), TIMES.sample(0.5));
        }
        let requests = requests(&registry, For::Push);
        assert!(requests.len() > 2, "{}", requests.len());
        let (mut counted, mut timed) = (0, 0);
        for items in requests {
            assert!(items.bytes.len() < MESSAGE_MAX, "{}", items.bytes.len());
            let metrics = v1::ScopeMetrics::decode(&*items.bytes).unwrap().metrics;
            let mut all = 0;
            for metric in &metrics {
                let name = metric.name.as_str();
                let part = if name == COUNTER.name {
                    &mut counted
                } else {
                    &mut timed
                };
                *part += points(metric);
                all += points(metric);
            }
            assert_eq!(all, items.points);
            assert!(all <= 8_192, "{all}");
        }
        assert_eq!((counted, timed), (series, series));
    }
}

/// The same in an order, without times, which differ, and without exemplars, which the SDK has not.
fn normal(mut metrics: Vec<v1::Metric>) -> Vec<v1::Metric> {
    fn order<P: std::fmt::Debug>(points: &mut [P]) {
        points.sort_by_cached_key(|point| format!("{point:?}"));
    }
    fn numbers(points: &mut [v1::NumberDataPoint]) {
        for point in &mut *points {
            assert!(point.start_time_unix_nano <= point.time_unix_nano);
            (point.start_time_unix_nano, point.time_unix_nano) = (0, 0);
            point
                .attributes
                .sort_by(|one, other| one.key.cmp(&other.key));
        }
        order(points);
    }
    for metric in &mut metrics {
        match metric.data.as_mut().unwrap() {
            Data::Gauge(gauge) => numbers(&mut gauge.data_points),
            Data::Sum(sum) => numbers(&mut sum.data_points),
            Data::Histogram(histogram) => {
                for point in &mut histogram.data_points {
                    assert!(point.start_time_unix_nano <= point.time_unix_nano);
                    (point.start_time_unix_nano, point.time_unix_nano) = (0, 0);
                    point
                        .attributes
                        .sort_by(|one, other| one.key.cmp(&other.key));
                    point.exemplars.clear();
                }
                order(&mut histogram.data_points);
            }
            Data::ExponentialHistogram(histogram) => {
                for point in &mut histogram.data_points {
                    assert!(point.start_time_unix_nano <= point.time_unix_nano);
                    (point.start_time_unix_nano, point.time_unix_nano) = (0, 0);
                    point
                        .attributes
                        .sort_by(|one, other| one.key.cmp(&other.key));
                    point.exemplars.clear();
                    // The SDK has those of negative numbers, without any.
                    let negative = point.negative.take();
                    assert!(negative.is_none_or(|buckets| buckets.bucket_counts.is_empty()));
                }
                order(&mut histogram.data_points);
            }
            other => panic!("{other:?}"),
        }
    }
    metrics.sort_by(|one, other| one.name.cmp(&other.name));
    metrics
}

/// Does the same on both sides and compares what they tell, each time that it is asked for and once more at the end.
fn compare(steps: &[Step], told_how: Told, series: usize) -> Result<(), TestCaseError> {
    let watched = Watched::default();
    let registry = telling(told_how, 100, series);
    let sdk = Sdk::new(told_how, series, &watched);
    for (metric, number) in [
        (&WATCHED_COUNTER, &watched.counter),
        (&WATCHED_LEVEL, &watched.level),
    ] {
        let number = Arc::clone(number);
        let read = Arc::new(move || number.load(Relaxed));
        assert!(registry.open().watch(metric, &labels(1), read));
    }
    for (second, step) in (0..).zip(steps.iter().chain([&Step::Scrape, &Step::Push])) {
        sdk.record(step);
        take(&registry, second, step);
        match step {
            Step::Watch { number } => {
                watched.counter.fetch_add(*number, Relaxed);
                watched.level.store(*number, Relaxed);
            }
            Step::Scrape => {
                let expected = normal(sdk.scrape.told());
                prop_assert_eq!(normal(told(&registry, For::Scrape)), expected);
            }
            Step::Push => {
                let expected = normal(sdk.push.told());
                prop_assert_eq!(normal(told(&registry, For::Push)), expected);
            }
            _ => {}
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn whatever_is_recorded_is_told_as_by_the_sdk(
        steps in prop::collection::vec(step(), 0..120),
        temporality in prop::sample::select(vec![Temporality::Cumulative, Temporality::Delta, Temporality::LowMemory]),
        buckets in prop::sample::select(vec![Buckets::Explicit, Buckets::Exponential]),
    ) {
        compare(&steps, Told { temporality, scraped: buckets, pushed: buckets }, 100)?;
    }

    #[test]
    fn series_beyond_the_bound_share_one_as_in_the_sdk(
        // The SDK does not count the series without labels.
        steps in prop::collection::vec((1_usize..12, 0_u64..100), 0..60),
    ) {
        let steps = steps.into_iter().map(|(labels, number)| Step::Count { labels, number });
        compare(&steps.collect::<Vec<_>>(), Told::default(), 5)?;
    }

    #[test]
    fn each_bucket_keeps_the_exemplar_of_its_newest_sample(
        steps in prop::collection::vec(step(), 0..120),
        pushed in prop::sample::select(vec![Temporality::Cumulative, Temporality::Delta]),
    ) {
        let registry = registry(pushed, 100);
        let (mut newest, mut since_push) = (HashMap::new(), HashMap::new());
        for (second, step) in (0..).zip(steps.iter().chain([&Step::Scrape, &Step::Push])) {
            take(&registry, second, step);
            match step {
                Step::Time { labels: which, quarters, .. } => {
                    let bucket = BOUNDS.partition_point(|bound| *bound < *quarters as f64 / 4.0);
                    let set = registry.open().families.sets.of(labels(*which));
                    newest.insert((set.id(), bucket), second);
                    since_push.insert((set.id(), bucket), second);
                }
                Step::Scrape => prop_assert_eq!(&exemplars(&registry, For::Scrape), &newest),
                Step::Push if pushed == Temporality::Delta => {
                    prop_assert_eq!(exemplars(&registry, For::Push), std::mem::take(&mut since_push));
                }
                Step::Push => prop_assert_eq!(&exemplars(&registry, For::Push), &newest),
                _ => {}
            }
        }
    }
}

/// Of each series, by the id of its labels, and each bucket: the second of the exemplar.
fn exemplars(registry: &Registry, by: For) -> HashMap<(u64, usize), u64> {
    let mut found = HashMap::new();
    registry.collect(by, |collected| {
        if let Values::Histograms(histograms) = &collected.values
            && std::ptr::eq(collected.metric, &TIMES)
        {
            for (place, series) in collected.series.iter().enumerate() {
                for (bucket, exemplar) in histograms.exemplars(place) {
                    found.insert((series.labels.id(), *bucket), exemplar.origin.span_id);
                }
            }
        }
    });
    found
}

/// Where steps record the same, whichever buckets a push has beside those of scrapes.
#[test]
fn scrapes_and_pushes_have_the_buckets_of_their_own() {
    for temporality in [Temporality::Cumulative, Temporality::Delta] {
        for [scraped, pushed] in [
            [Buckets::Explicit, Buckets::Exponential],
            [Buckets::Exponential, Buckets::Explicit],
        ] {
            let told_how = Told {
                temporality,
                scraped,
                pushed,
            };
            let registry = telling(told_how, 100, 10);
            record(&registry, &[], moment(0), TIMES.sample(0.25));
            for (by, buckets) in [(For::Scrape, scraped), (For::Push, pushed)] {
                let [metric] = told(&registry, by).try_into().unwrap();
                let data = metric.data.unwrap();
                let exponential = matches!(data, Data::ExponentialHistogram(_));
                assert_eq!(exponential, buckets == Buckets::Exponential, "{by:?}");
            }
        }
    }
}

#[test]
fn exemplars_are_pushed_with_value_time_and_trace() {
    let registry = registry(Temporality::Cumulative, 10);
    for (second, time) in [(3, 0.5), (4, 0.75), (5, 20.0)] {
        record(&registry, &[], moment(second), TIMES.sample(time));
    }
    let metrics = told(&registry, For::Push);
    let Some(Data::Histogram(histogram)) = &metrics[0].data else {
        panic!("{metrics:?}");
    };
    let expected = [(4_u64, 0.75), (5, 20.0)].map(|(second, value)| v1::Exemplar {
        time_unix_nano: second * 1_000_000_000,
        value: Some(v1::exemplar::Value::AsDouble(value)),
        span_id: second.to_be_bytes().to_vec(),
        trace_id: u128::from(second).to_be_bytes().to_vec(),
        filtered_attributes: Vec::new(),
    });
    assert_eq!(histogram.data_points[0].exemplars, expected);
}

#[test]
fn numbers_without_end_are_left_out() {
    let registry = registry(Temporality::Cumulative, 10);
    for number in [1.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        record(&registry, &[], moment(0), TIMES.sample(number));
    }
    let metrics = told(&registry, For::Scrape);
    let Some(Data::Histogram(histogram)) = &metrics[0].data else {
        panic!("{metrics:?}");
    };
    let [point] = histogram.data_points.as_slice() else {
        panic!("{histogram:?}");
    };
    assert_eq!((point.count, point.sum), (1, Some(1.5)));
    assert_eq!((point.min, point.max), (Some(1.5), Some(1.5)));
}

#[test]
fn a_series_begins_with_its_first_sample_and_a_difference_with_the_push_before() {
    let times = |registry: &Registry, by| {
        let mut times = Vec::new();
        registry.collect(by, |collected| {
            if std::ptr::eq(collected.metric, &COUNTER) {
                let series = collected.series.iter();
                times.extend(series.map(|series| (series.began, collected.at)));
            }
        });
        times
    };
    for pushed in [Temporality::Cumulative, Temporality::Delta] {
        let registry = registry(pushed, 10);
        record(&registry, &labels(1), moment(7), COUNTER.sample(1_u64));
        let first = times(&registry, For::Push);
        record(&registry, &labels(1), moment(8), COUNTER.sample(1_u64));
        record(&registry, &labels(2), moment(9), COUNTER.sample(1_u64));
        let began = |times: Vec<(SystemTime, SystemTime)>| -> Vec<SystemTime> {
            times.into_iter().map(|(began, _)| began).collect()
        };
        let at = |second| UNIX_EPOCH + Duration::from_secs(second);
        assert_eq!(began(times(&registry, For::Scrape)), [at(7), at(9)]);
        let (_, first_push) = first[0];
        let expected = match pushed {
            Temporality::Cumulative => [at(7), at(9)],
            _ => [first_push; 2],
        };
        assert_eq!(began(times(&registry, For::Push)), expected);
    }
}

#[test]
fn a_push_of_differences_tells_no_level_of_an_older_response() {
    let registry = registry(Temporality::Delta, 10);
    let levels = |second, number: u64| {
        record(&registry, &[], moment(second), LEVEL.sample(number));
        let mut levels = Vec::new();
        registry.collect(For::Push, |collected| match &collected.values {
            Values::Whole(whole) => levels.extend_from_slice(whole),
            other => panic!("{other:?}"),
        });
        levels
    };
    assert_eq!(levels(20, 5), [5]);
    assert!(levels(10, 9).is_empty());
    assert_eq!(levels(30, 0), [0]);
}

#[test]
fn a_number_that_is_watched_anew_is_told_once() {
    let registry = registry(Temporality::Cumulative, 10);
    for number in [1, 2] {
        let read = Arc::new(move || number);
        assert!(registry.open().watch(&WATCHED_LEVEL, &labels(1), read));
    }
    let mut numbers = Vec::new();
    registry.collect(For::Scrape, |collected| match &collected.values {
        Values::Whole(whole) => numbers.extend_from_slice(whole),
        other => panic!("{other:?}"),
    });
    assert_eq!(numbers, [2]);
}

#[test]
fn what_is_recorded_while_differences_are_pushed_is_told_once() {
    const EACH: u64 = 2_000;
    let registry = registry(Temporality::Delta, 10);
    let start = Barrier::new(3);
    let count = |by| {
        let mut sum = 0;
        registry.collect(by, |collected| match &collected.values {
            Values::Whole(whole) if std::ptr::eq(collected.metric, &COUNTER) => {
                sum += whole.iter().sum::<u64>();
            }
            _ => {}
        });
        sum
    };
    let pushed = std::thread::scope(|scope| {
        let threads = [1, 2].map(|which| {
            let (start, registry) = (&start, &registry);
            scope.spawn(move || {
                start.wait();
                for second in 0..EACH {
                    let sample = COUNTER.sample(1_u64);
                    record(registry, &labels(which), moment(second), sample);
                }
            })
        });
        start.wait();
        let mut pushed = 0;
        while !threads.iter().all(|thread| thread.is_finished()) {
            pushed += count(For::Push);
        }
        pushed
    });
    assert_eq!(pushed + count(For::Push), 2 * EACH);
    assert_eq!(count(For::Scrape), 2 * EACH);
}
