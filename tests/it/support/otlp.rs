//! What a collector received, and how a test looks things up in it. Follows opentelemetry-proto 1.x.

use std::fmt::{Debug, Write as _};

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1 as logs;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{self as metrics, number_data_point};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1 as trace;

/// Everything a collector has received.
#[derive(Debug, Clone, Default)]
pub(crate) struct Received {
    /// The requests, refused ones too, in order of arrival.
    pub(crate) requests: Vec<Request>,
    /// The spans, in order of arrival.
    pub(crate) spans: Vec<Span>,
    /// The metric points, in order of arrival.
    pub(crate) points: Vec<Point>,
    /// The log records, in order of arrival.
    pub(crate) records: Vec<logs::LogRecord>,
}

/// One export request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The URL path, or the gRPC method as one.
    pub(crate) path: String,
    /// Its headers, or gRPC metadata.
    pub(crate) headers: http::HeaderMap,
}

impl Request {
    /// A header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// One span, with the resource that sent it.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    /// Who sent it.
    pub(crate) resource: Resource,
    /// Schema of the scope it came under.
    pub(crate) schema_url: String,
    /// The span itself.
    pub(crate) proto: trace::Span,
}

/// One point of a metric, whatever its kind.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    /// Who sent it.
    pub(crate) resource: Resource,
    /// Name of the metric.
    pub(crate) name: String,
    /// Unit of the metric.
    pub(crate) unit: String,
    /// What kind of metric it belongs to.
    pub(crate) kind: Kind,
    /// Its attributes.
    pub(crate) attributes: Vec<KeyValue>,
    /// The number; of a histogram the sum.
    pub(crate) value: f64,
    /// How many values a histogram has taken; 1 for a number.
    pub(crate) count: u64,
    /// Upper bounds of the histogram's buckets; empty for a number.
    pub(crate) bounds: Vec<f64>,
    /// Counts of the histogram's buckets, one more than `bounds`; empty for a number.
    pub(crate) buckets: Vec<u64>,
    /// Trace id and value of each of the histogram's exemplars, in the order of the values.
    pub(crate) exemplars: Vec<(String, f64)>,
}

/// The kinds of metric that streamgauge sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A sum that only grows.
    Counter,
    /// A sum that also shrinks.
    UpDownCounter,
    /// A value as it is now.
    Gauge,
    /// A distribution with explicit buckets.
    Histogram,
    /// A histogram over exponential buckets.
    Exponential,
}

impl Received {
    /// The only span of that name.
    pub(crate) fn span(&self, name: &str) -> Option<&Span> {
        let mut named = self.spans.iter().filter(|span| span.name() == name);
        let span = named.next();
        assert!(
            named.next().is_none(),
            "more than one span is named {name:?}:\n{}",
            self.summary()
        );
        span
    }

    /// The spans under a span.
    pub(crate) fn children(&self, parent: &Span) -> Vec<&Span> {
        let is_child = |span: &&Span| span.proto.parent_span_id == parent.proto.span_id;
        self.spans.iter().filter(is_child).collect()
    }

    /// The newest point of a metric that has all the given attributes, among others it may have.
    pub(crate) fn point(&self, name: &str, attributes: &[(&str, &str)]) -> Option<&Point> {
        self.points.iter().rev().find(|point| {
            // Counters that have not counted anything are there too.
            let is_there = point.kind != Kind::Counter || point.value > 0.0;
            is_there
                && point.name == name
                && attributes.iter().all(|(key, value)| {
                    point
                        .attribute(key)
                        .is_some_and(|found| display(found) == *value)
                })
        })
    }

    /// What there is, for the message of a failed test.
    pub(crate) fn summary(&self) -> String {
        let mut text = format!("{} requests\n", self.requests.len());
        for span in &self.spans {
            let _ = writeln!(
                text,
                "span {:?} {:?}",
                span.name(),
                listed(&span.proto.attributes)
            );
        }
        for point in &self.points {
            let _ = writeln!(
                text,
                "point {} {} {:?}",
                point.name,
                point.value,
                listed(&point.attributes)
            );
        }
        text
    }
}

/// Anything with attributes.
pub(crate) trait Attributes {
    /// All of them.
    fn attributes(&self) -> &[KeyValue];

    /// The value under a key.
    fn attribute(&self, key: &str) -> Option<&Value> {
        let found = self
            .attributes()
            .iter()
            .find(|attribute| attribute.key == key)?;
        found.value.as_ref()?.value.as_ref()
    }

    /// A string; fails where the attribute has another type.
    fn text(&self, key: &str) -> Option<&str> {
        self.attribute(key).map(|value| match value {
            Value::StringValue(text) => text.as_str(),
            other => mistyped(key, "a string", other),
        })
    }

    /// An integer; fails where the attribute has another type.
    fn int(&self, key: &str) -> Option<i64> {
        self.attribute(key).map(|value| match value {
            Value::IntValue(int) => *int,
            other => mistyped(key, "an integer", other),
        })
    }

    /// A double; fails where the attribute has another type.
    fn double(&self, key: &str) -> Option<f64> {
        self.attribute(key).map(|value| match value {
            Value::DoubleValue(double) => *double,
            other => mistyped(key, "a double", other),
        })
    }

    /// A boolean; fails where the attribute has another type.
    fn boolean(&self, key: &str) -> Option<bool> {
        self.attribute(key).map(|value| match value {
            Value::BoolValue(boolean) => *boolean,
            other => mistyped(key, "a boolean", other),
        })
    }

    /// A value as text: numbers with a fraction keep their point, lists have brackets. Fails where there is none.
    fn shown(&self, key: &str) -> String {
        match self.attribute(key) {
            Some(Value::DoubleValue(double)) => format!("{double:?}"),
            Some(Value::ArrayValue(_)) => format!("{:?}", self.texts(key).unwrap_or_default()),
            Some(value) => display(value),
            None => panic!("there is no attribute {key}"),
        }
    }

    /// An array of strings; fails where the attribute has another type.
    fn texts(&self, key: &str) -> Option<Vec<&str>> {
        self.attribute(key).map(|value| match value {
            Value::ArrayValue(array) => {
                array.values.iter().map(|item| element(key, item)).collect()
            }
            other => mistyped(key, "an array of strings", other),
        })
    }
}

impl Attributes for Span {
    fn attributes(&self) -> &[KeyValue] {
        &self.proto.attributes
    }
}

impl Attributes for trace::span::Event {
    fn attributes(&self) -> &[KeyValue] {
        &self.attributes
    }
}

impl Attributes for logs::LogRecord {
    fn attributes(&self) -> &[KeyValue] {
        &self.attributes
    }
}

impl Attributes for Point {
    fn attributes(&self) -> &[KeyValue] {
        &self.attributes
    }
}

impl Attributes for Resource {
    fn attributes(&self) -> &[KeyValue] {
        &self.attributes
    }
}

impl Span {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.proto.name
    }

    /// Its trace id, in hex.
    pub(crate) fn trace_id(&self) -> String {
        hex(&self.proto.trace_id)
    }

    /// Its own id, in hex.
    pub(crate) fn span_id(&self) -> String {
        hex(&self.proto.span_id)
    }

    /// The first event of that name.
    pub(crate) fn event(&self, name: &str) -> Option<&trace::span::Event> {
        self.proto.events.iter().find(|event| event.name == name)
    }

    /// Its status code; unset where it has none.
    pub(crate) fn status(&self) -> trace::status::StatusCode {
        self.proto
            .status
            .as_ref()
            .map_or(trace::status::StatusCode::Unset, trace::Status::code)
    }
}

fn exemplars(exemplars: &[metrics::Exemplar]) -> Vec<(String, f64)> {
    let value = |exemplar: &metrics::Exemplar| match exemplar.value {
        Some(metrics::exemplar::Value::AsDouble(value)) => value,
        Some(metrics::exemplar::Value::AsInt(value)) => value as f64,
        None => f64::NAN,
    };
    let pairs = exemplars.iter();
    let mut pairs: Vec<_> = pairs
        .map(|exemplar| (hex(&exemplar.trace_id), value(exemplar)))
        .collect();
    pairs.sort_by(|(_, one), (_, other)| one.total_cmp(other));
    pairs
}

/// An exponential point as one of few buckets, whose number is all that they say: those at zero, and each of the others.
fn explicit(point: metrics::ExponentialHistogramDataPoint) -> metrics::HistogramDataPoint {
    let above = point.positive.map(|buckets| buckets.bucket_counts);
    let counts = [point.zero_count].into_iter();
    metrics::HistogramDataPoint {
        attributes: point.attributes,
        count: point.count,
        sum: point.sum,
        bucket_counts: counts.chain(above.unwrap_or_default()).collect(),
        exemplars: point.exemplars,
        ..metrics::HistogramDataPoint::default()
    }
}

/// The points of one metric.
pub(crate) fn points(resource: &Resource, metric: metrics::Metric) -> Vec<Point> {
    let (kind, numbers, histograms) = match metric.data {
        Some(Data::ExponentialHistogram(histogram)) => {
            let points = histogram.data_points.into_iter().map(explicit).collect();
            (Kind::Exponential, Vec::new(), points)
        }
        Some(Data::Gauge(gauge)) => (Kind::Gauge, gauge.data_points, Vec::new()),
        Some(Data::Sum(sum)) if sum.is_monotonic => (Kind::Counter, sum.data_points, Vec::new()),
        Some(Data::Sum(sum)) => (Kind::UpDownCounter, sum.data_points, Vec::new()),
        Some(Data::Histogram(histogram)) => (Kind::Histogram, Vec::new(), histogram.data_points),
        other => panic!(
            "metric {} has data of a kind that is never sent: {other:?}",
            metric.name
        ),
    };
    let empty = Point {
        resource: resource.clone(),
        name: metric.name,
        unit: metric.unit,
        kind,
        attributes: Vec::new(),
        value: 0.0,
        count: 1,
        bounds: Vec::new(),
        buckets: Vec::new(),
        exemplars: Vec::new(),
    };
    let number = |point: metrics::NumberDataPoint| Point {
        value: match point.value {
            Some(number_data_point::Value::AsDouble(value)) => value,
            Some(number_data_point::Value::AsInt(value)) => value as f64,
            None => f64::NAN,
        },
        attributes: point.attributes,
        ..empty.clone()
    };
    let histogram = |point: metrics::HistogramDataPoint| Point {
        attributes: point.attributes,
        value: point.sum.unwrap_or(f64::NAN),
        count: point.count,
        bounds: point.explicit_bounds,
        buckets: point.bucket_counts,
        exemplars: exemplars(&point.exemplars),
        ..empty.clone()
    };
    numbers
        .into_iter()
        .map(number)
        .chain(histograms.into_iter().map(histogram))
        .collect()
}

fn mistyped(key: &str, wanted: &str, found: &impl Debug) -> ! {
    panic!("attribute {key} should be {wanted}, not {found:?}")
}

fn element<'a>(key: &str, item: &'a AnyValue) -> &'a str {
    match &item.value {
        Some(Value::StringValue(text)) => text,
        other => mistyped(key, "an array of strings", other),
    }
}

fn display(value: &Value) -> String {
    match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(int) => int.to_string(),
        Value::DoubleValue(double) => double.to_string(),
        Value::BoolValue(boolean) => boolean.to_string(),
        other => format!("{other:?}"),
    }
}

fn listed(attributes: &[KeyValue]) -> Vec<String> {
    let value = |attribute: &KeyValue| attribute.value.as_ref()?.value.as_ref().map(display);
    attributes
        .iter()
        .map(|attribute| format!("{}={}", attribute.key, value(attribute).unwrap_or_default()))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
