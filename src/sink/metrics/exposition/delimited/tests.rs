//! What a reader of the protocol's messages finds on the page.

use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use proptest::prelude::*;
use prost::Message as _;

use super::super::super::family::{For, Told};
use super::super::super::points::{Moment, Origin};
use super::super::super::registry::{Bounds, Registry};
use super::super::super::window::Clock;
use super::super::{Format, Page};
use super::*;
use crate::otel::Buckets;
use crate::semconv::{Facets, Kind, Metric, Record as _, Sample, sample};

/// The messages of `io.prometheus.client` that are written, with all fields of theirs that are.
mod proto {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct MetricFamily {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(string, tag = "2")]
        pub(super) help: String,
        #[prost(int32, tag = "3")]
        pub(super) kind: i32,
        #[prost(message, repeated, tag = "4")]
        pub(super) metric: Vec<Metric>,
        #[prost(string, tag = "5")]
        pub(super) unit: String,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Metric {
        #[prost(message, repeated, tag = "1")]
        pub(super) label: Vec<LabelPair>,
        #[prost(message, optional, tag = "2")]
        pub(super) gauge: Option<Number>,
        #[prost(message, optional, tag = "3")]
        pub(super) counter: Option<Number>,
        #[prost(message, optional, tag = "7")]
        pub(super) histogram: Option<Histogram>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct LabelPair {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(string, tag = "2")]
        pub(super) value: String,
    }
    /// `Gauge`, and `Counter`, which has a timestamp.
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Number {
        #[prost(double, tag = "1")]
        pub(super) value: f64,
        #[prost(message, optional, tag = "3")]
        pub(super) created: Option<Timestamp>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Histogram {
        #[prost(uint64, tag = "1")]
        pub(super) count: u64,
        #[prost(double, tag = "2")]
        pub(super) sum: f64,
        #[prost(message, repeated, tag = "3")]
        pub(super) bucket: Vec<Bucket>,
        #[prost(sint32, tag = "5")]
        pub(super) schema: i32,
        #[prost(double, tag = "6")]
        pub(super) zero_threshold: f64,
        #[prost(uint64, tag = "7")]
        pub(super) zero_count: u64,
        #[prost(message, repeated, tag = "12")]
        pub(super) span: Vec<Span>,
        #[prost(sint64, repeated, tag = "13")]
        pub(super) delta: Vec<i64>,
        #[prost(message, optional, tag = "15")]
        pub(super) created: Option<Timestamp>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Bucket {
        #[prost(uint64, tag = "1")]
        pub(super) below: u64,
        #[prost(double, tag = "2")]
        pub(super) bound: f64,
        #[prost(message, optional, tag = "3")]
        pub(super) exemplar: Option<Exemplar>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Span {
        #[prost(sint32, tag = "1")]
        pub(super) offset: i32,
        #[prost(uint32, tag = "2")]
        pub(super) length: u32,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Exemplar {
        #[prost(message, repeated, tag = "1")]
        pub(super) label: Vec<LabelPair>,
        #[prost(double, tag = "2")]
        pub(super) value: f64,
        #[prost(message, optional, tag = "3")]
        pub(super) at: Option<Timestamp>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Timestamp {
        #[prost(int64, tag = "1")]
        pub(super) seconds: i64,
        #[prost(int32, tag = "2")]
        pub(super) nanos: i32,
    }
}

static CALLS: Metric = Metric {
    name: "llm.calls",
    unit: "{call}",
    description: "Calls.",
    kind: Kind::Counter,
    exemplars: false,
};
static LATENCY: Metric = Metric {
    name: "a.latency",
    unit: "s",
    description: "Latency.",
    kind: Kind::Histogram(&[0.5, 1.0]),
    exemplars: true,
};

fn registry(buckets: Buckets) -> Registry {
    let bounds = Bounds {
        label_values: 100,
        series: 100,
    };
    let told = Told {
        scraped: buckets,
        ..Told::default()
    };
    let clock = Clock::new(Duration::from_secs(300), Instant::now());
    Registry::new([&CALLS, &LATENCY].into_iter(), bounds, told, clock)
}

fn record(registry: &Registry, sample: Sample, origin: Option<Origin>) {
    let exchange = sample::plain();
    let moment = Moment {
        seen_at: UNIX_EPOCH,
        ended_at: UNIX_EPOCH + Duration::from_millis(1_500),
        origin,
    };
    let mut registry = registry.open();
    let facets = Facets::of(&exchange);
    let mut recorder = registry.recorder(&facets, moment, &[]);
    let labels = [("gen_ai.model", "m\"1".into())];
    recorder.record_under(&labels, &[Some(sample)]);
}

/// The families on the page.
fn read(registry: &Registry, resource: &Resource) -> Vec<proto::MetricFamily> {
    let mut page = Page::begin(Format::Protobuf, resource);
    registry.collect(For::Scrape, |metric| page.metric(metric));
    let bytes = page.finish().concat();
    let mut rest = bytes.as_slice();
    let mut families = Vec::new();
    while !rest.is_empty() {
        families.push(proto::MetricFamily::decode_length_delimited(&mut rest).unwrap());
    }
    families
}

fn nothing() -> Resource {
    Resource::builder_empty().build()
}

fn pair(name: &str, value: &str) -> proto::LabelPair {
    proto::LabelPair {
        name: name.into(),
        value: value.into(),
    }
}

const SECOND_AND_A_HALF: Option<proto::Timestamp> = Some(proto::Timestamp {
    seconds: 1,
    nanos: 500_000_000,
});

#[test]
fn a_family_has_its_name_as_prometheus_spells_it_and_when_its_series_began() {
    let registry = registry(Buckets::Explicit);
    record(&registry, CALLS.sample(3_u64), None);
    let resource = Resource::builder_empty()
        .with_attribute(KeyValue::new("service.name", "gauge"))
        .build();
    let [target, calls] = read(&registry, &resource).try_into().unwrap();
    assert_eq!((&*target.name, target.kind), ("target_info", 1));
    assert_eq!(target.metric[0].label, [pair("service_name", "gauge")]);
    assert_eq!(target.metric[0].gauge.as_ref().unwrap().value, 1.0);
    assert_eq!((&*calls.name, calls.kind), ("llm_calls_total", 0));
    assert_eq!((&*calls.help, &*calls.unit), ("Calls.", ""));
    let [series] = calls.metric.as_slice() else {
        panic!("{calls:?}")
    };
    assert_eq!(series.label, [pair("gen_ai_model", "m\"1")]);
    let counter = series.counter.as_ref().unwrap();
    assert_eq!((counter.value, &counter.created), (3.0, &SECOND_AND_A_HALF));
}

/// The only series of the only distribution.
fn histogram_of(registry: &Registry) -> proto::Histogram {
    let [family] = read(registry, &nothing()).try_into().unwrap();
    assert_eq!(
        (&*family.name, &*family.unit),
        ("a_latency_seconds", "seconds")
    );
    assert_eq!(family.kind, 4);
    family.metric[0].histogram.clone().unwrap()
}

#[test]
fn explicit_buckets_are_cumulative_and_carry_the_exemplars() {
    let registry = registry(Buckets::Explicit);
    let origin = Origin {
        trace_id: 0xabc,
        span_id: 0xd,
    };
    record(&registry, LATENCY.sample(0.25), None);
    record(&registry, LATENCY.sample(4.0), Some(origin));
    let found = histogram_of(&registry);
    let exemplar = proto::Exemplar {
        label: vec![
            pair("trace_id", "00000000000000000000000000000abc"),
            pair("span_id", "000000000000000d"),
        ],
        value: 4.0,
        at: SECOND_AND_A_HALF,
    };
    let bucket = |below, bound, exemplar| proto::Bucket {
        below,
        bound,
        exemplar,
    };
    let expected = proto::Histogram {
        count: 2,
        sum: 4.25,
        bucket: vec![
            bucket(1, 0.5, None),
            bucket(1, 1.0, None),
            bucket(2, f64::INFINITY, Some(exemplar)),
        ],
        created: SECOND_AND_A_HALF,
        ..proto::Histogram::default()
    };
    assert_eq!(found, expected);
}

#[test]
fn exponential_buckets_stand_beside_the_explicit_ones() {
    let registry = registry(Buckets::Exponential);
    for (number, times) in [(0.0, 1), (1.0, 2), (1.001, 3), (4.0, 4)] {
        record(&registry, LATENCY.sample_times(number, times), None);
    }
    let found = histogram_of(&registry);
    assert_eq!((found.count, found.bucket.len()), (10, 3));
    // From 1 to 4 take 160 buckets where each power of two is cut into 64: the numbers end the buckets 0, 1 and 128.
    assert_eq!((found.schema, found.zero_count), (6, 1));
    assert_eq!(found.zero_threshold, ZERO_THRESHOLD);
    let span = |offset, length| proto::Span { offset, length };
    assert_eq!(found.span, [span(0, 2), span(126, 1)]);
    assert_eq!(found.delta, [2, 1, 1]);
}

#[test]
fn a_distribution_of_zeros_is_a_native_one_too() {
    let registry = registry(Buckets::Exponential);
    record(&registry, LATENCY.sample(0.0), None);
    let found = histogram_of(&registry);
    assert_eq!((found.schema, found.zero_count), (8, 1));
    assert!(found.zero_threshold > 0.0 && found.span.is_empty());
}

#[test]
fn text_has_explicit_buckets_in_either_case() {
    let text = |buckets| {
        let registry = registry(buckets);
        record(&registry, LATENCY.sample(0.25), None);
        let mut page = Page::begin(Format::Classic, &nothing());
        registry.collect(For::Scrape, |metric| page.metric(metric));
        page.finish().concat()
    };
    assert_eq!(text(Buckets::Explicit), text(Buckets::Exponential));
}

/// The count of each bucket by the index of its upper bound, as Prometheus reads it.
fn counts(histogram: &proto::Histogram) -> Vec<(i32, i64)> {
    let (mut deltas, mut counts) = (histogram.delta.iter(), Vec::new());
    let (mut index, mut count) = (0, 0);
    for span in &histogram.span {
        index += span.offset;
        for _ in 0..span.length {
            count += deltas.next().unwrap();
            counts.push((index, count));
            index += 1;
        }
    }
    assert_eq!(deltas.next(), None);
    counts.retain(|(_, count)| *count > 0);
    counts
}

proptest! {
    #[test]
    fn each_sample_is_in_the_bucket_that_prometheus_has_for_it(
        exponents in prop::collection::vec(-5.0..3.0_f64, 1..200),
    ) {
        let registry = registry(Buckets::Exponential);
        let numbers: Vec<f64> = exponents.iter().map(|exponent| 10_f64.powf(*exponent)).collect();
        for number in &numbers {
            record(&registry, LATENCY.sample(*number), None);
        }
        let found = histogram_of(&registry);
        prop_assert!((-4..=8).contains(&found.schema));
        let mut expected = std::collections::BTreeMap::new();
        for number in &numbers {
            let index = (number.log2() * 2_f64.powi(found.schema)).ceil() as i32;
            *expected.entry(index).or_insert(0) += 1;
        }
        prop_assert_eq!(counts(&found), expected.into_iter().collect::<Vec<_>>());
    }
}
