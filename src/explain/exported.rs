//! What the sinks would export of an exchange: its spans as OTLP has them, and the samples of its metrics.
//!
//! Of two runs that differ in what the capture does not say, only what is the same in both is kept.

use std::collections::HashMap;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_sdk::Resource;
use prost::Message as _;
use serde_json::Value;

use crate::exchange::Exchange;
use crate::otel::{Batch, Spans, ToolSpans};
use crate::otlp::as_json;
use crate::semconv::{
    self, Attribute, Facets, Kind, Label, Labels, Metric, Number, PICODOLLARS, Record, Vocabulary,
};
use crate::sink::traces::{Traces, TracesConfig};
use crate::sink::{ExchangeId, Sink as _};

/// Longest time the spans of one exchange may take to be written.
const WITHIN: Duration = Duration::from_secs(10);

/// A key and its value, as a backend would show them.
pub(super) type Shown = (String, Value);

/// A span, but for ids and times.
#[derive(Debug)]
pub(super) struct ShownSpan {
    pub(super) name: String,
    /// `SERVER` or `CLIENT`.
    pub(super) kind: &'static str,
    /// What went wrong, perhaps empty; `None` where the status is unset.
    pub(super) error: Option<String>,
    pub(super) attributes: Vec<Shown>,
}

/// A sample, or several of the same value.
#[derive(Debug)]
pub(super) struct ShownSample {
    pub(super) metric: &'static Metric,
    pub(super) attributes: Vec<Shown>,
    pub(super) value: Number,
    pub(super) times: u64,
}

/// The spans that both of two exchanges have, the first from the top.
pub(super) fn spans(
    exchanges: &[Exchange; 2],
    vocabularies: &[&'static dyn Vocabulary],
    which: Spans,
) -> Vec<ShownSpan> {
    let (send, receive) = mpsc::channel();
    let config = TracesConfig {
        vocabularies: vocabularies.to_vec(),
        spans: which,
        tools: ToolSpans::Off,
        batching: Batch {
            queue: 1024,
            size: 1024,
            delay: WITHIN,
            timeout: WITHIN,
        },
    };
    let export = move |request: Bytes| {
        send.send(request)?;
        Ok(0)
    };
    let traces = Traces::new(config, &Resource::builder_empty().build(), export);
    for exchange in exchanges {
        traces.finished(ExchangeId(0), &Arc::new(exchange.clone()));
    }
    traces.flush(WITHIN.into());
    let mut written: Vec<v1::Span> = receive.try_iter().flat_map(|bytes| read(&bytes)).collect();
    // Each exchange's spans are written from the bottom up.
    let second = written.split_off(written.len() / 2);
    let pairs = written.into_iter().zip(second).rev();
    pairs
        .map(|(one, other)| ShownSpan::of(one, other))
        .collect()
}

fn read(request: &[u8]) -> Vec<v1::Span> {
    // What the sink wrote is whole.
    let request = ExportTraceServiceRequest::decode(request).unwrap_or_default();
    let scopes = request
        .resource_spans
        .into_iter()
        .flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).collect()
}

impl ShownSpan {
    fn of(span: v1::Span, other: v1::Span) -> Self {
        let kind = match span.kind() {
            SpanKind::Server => "SERVER",
            _ => "CLIENT",
        };
        let status = span.status.unwrap_or_default();
        let is_error = status.code() == StatusCode::Error;
        let [one, other] = [span.attributes, other.attributes].map(shown_all);
        Self {
            name: span.name,
            kind,
            error: is_error.then_some(status.message),
            attributes: common(one, &other),
        }
    }
}

fn shown_all(attributes: Vec<KeyValue>) -> Vec<Shown> {
    let attributes = attributes.into_iter();
    attributes
        .map(|attribute| (attribute.key, as_json(attribute.value)))
        .collect()
}

/// Those of `one` that are among `other`.
fn common(mut one: Vec<Shown>, other: &[Shown]) -> Vec<Shown> {
    one.retain(|attribute| other.contains(attribute));
    one
}

/// The samples that both of two exchanges give, in order.
pub(super) fn samples(
    exchanges: &[Exchange; 2],
    vocabularies: &[&'static dyn Vocabulary],
) -> Vec<ShownSample> {
    let [one, other] = exchanges.each_ref().map(|exchange| {
        let mut recorded = SampleRecorder {
            facets: Facets::of(exchange),
            vocabularies,
            samples: Vec::new(),
        };
        let all = vocabularies.iter().chain(&semconv::ALWAYS);
        all.for_each(|vocabulary| vocabulary.samples(exchange, &mut recorded));
        numbered(recorded.samples)
    });
    let mut other: HashMap<_, _> = other.collect();
    let both = one.filter_map(|(key, sample)| {
        let twin = other.remove(&key)?;
        (sample.value == twin.value && sample.times == twin.times).then(|| ShownSample {
            attributes: common(sample.attributes, &twin.attributes),
            ..sample
        })
    });
    both.collect()
}

/// Samples with what tells them apart: their metric, and which of its samples each is.
fn numbered(
    samples: Vec<ShownSample>,
) -> impl Iterator<Item = ((&'static str, usize), ShownSample)> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    samples.into_iter().map(move |sample| {
        let count = counts.entry(sample.metric.name).or_default();
        *count += 1;
        ((sample.metric.name, *count), sample)
    })
}

/// Takes down what the vocabularies record.
struct SampleRecorder<'e> {
    facets: Facets<'e>,
    vocabularies: &'e [&'static dyn Vocabulary],
    samples: Vec<ShownSample>,
}

impl Record for SampleRecorder<'_> {
    fn record(
        &mut self,
        labels: &'static Labels,
        by: Option<Label>,
        samples: &[Option<semconv::Sample>],
    ) {
        let facets = self.facets.clone();
        self.record_under(&labels.of(&facets, by), samples);
    }

    fn record_under(&mut self, attributes: &[Attribute<'_>], samples: &[Option<semconv::Sample>]) {
        self.samples
            .extend(samples.iter().flatten().map(|sample| ShownSample {
                metric: sample.metric,
                attributes: attributes.iter().map(shown_attribute).collect(),
                value: in_its_unit(sample.metric.kind, sample.value),
                times: sample.times,
            }));
    }

    fn includes(&self, vocabulary: &str) -> bool {
        let mut spoken = self.vocabularies.iter();
        spoken.any(|spoken| spoken.name() == vocabulary)
    }
}

/// A value in the unit of its metric: sums of money are recorded in picodollars.
fn in_its_unit(kind: Kind, value: Number) -> Number {
    match (kind, value) {
        (Kind::Cost, Number::Int(picodollars)) => {
            Number::Float(picodollars as f64 / PICODOLLARS as f64)
        }
        _ => value,
    }
}

fn shown_attribute((key, value): &Attribute<'_>) -> Shown {
    let value = match value {
        semconv::Value::Str(text) => text.as_ref().into(),
        semconv::Value::Int(number) => (*number).into(),
        semconv::Value::Float(number) => (*number).into(),
        semconv::Value::Bool(flag) => (*flag).into(),
        semconv::Value::StrList(texts) => (*texts).into(),
    };
    ((*key).to_owned(), value)
}
