//! Prometheus's protobuf: `io.prometheus.client.MetricFamily`, each with its length before it.
//!
//! Governing text: `io/prometheus/client/metrics.proto` of prometheus/client_model. Written by hand: of its messages seven are
//! needed, and the forms of protobuf are there for OTLP. A distribution has its explicit buckets, which carry the exemplars,
//! and its exponential ones where they are told: a Prometheus that knows these ("native histograms") takes them, and the others
//! too only where it is told to.

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_sdk::Resource;

use super::super::exponential::Exponential;
use super::super::family::{Collected, Series, Values};
use super::super::labels;
use super::super::points::{Exemplar, Histograms};
use super::{PIECE, TARGET_HELP, TARGET_INFO, family, in_order, kind};
use crate::otlp::protobuf;

/// Values of `MetricType`.
const COUNTER: u64 = 0;
const GAUGE: u64 = 1;
const HISTOGRAM: u64 = 4;

/// The finest scale, which Prometheus calls schema.
const FINEST: i32 = 8;

/// Below it is zero: what Prometheus's own libraries say. One above zero also marks a histogram without samples as native. No
/// time or number of things that is not zero comes near it.
const ZERO_THRESHOLD: f64 = 2.938_735_877_055_719e-39;

/// Fields of `Metric`.
const METRIC_GAUGE: u32 = 2;
const METRIC_COUNTER: u32 = 3;
const METRIC_HISTOGRAM: u32 = 7;

/// Most empty buckets that are told as such between others: a new span costs about as much.
const GAP: usize = 2;

/// The page while it is written.
pub(in super::super) struct Delimited {
    /// Those that are done.
    pieces: Vec<Vec<u8>>,
    /// The one that is written.
    out: Vec<u8>,
}

impl Delimited {
    /// Begins with the resource.
    pub(super) fn begin(resource: &Resource) -> Self {
        let mut page = Self {
            pieces: Vec::new(),
            out: Vec::new(),
        };
        if !resource.is_empty() {
            let attributes = resource.iter();
            let attributes = attributes.map(|(key, value)| (key.as_str(), value.as_str()));
            let pairs = labels::pairs(attributes);
            page.family((TARGET_INFO, TARGET_HELP, GAUGE, None), |out| {
                metric(out, &pairs, METRIC_GAUGE, |out| {
                    protobuf::fixed_64(out, 1, 1_f64.to_bits());
                });
            });
        }
        page
    }

    /// Adds a metric with all its points.
    pub(super) fn metric(&mut self, collected: &Collected) {
        let kind = kind(collected.metric);
        let (mut name, unit) = family(collected.metric, kind);
        let (number, field) = match kind {
            "counter" => (COUNTER, METRIC_COUNTER),
            "gauge" => (GAUGE, METRIC_GAUGE),
            _ => (HISTOGRAM, METRIC_HISTOGRAM),
        };
        if number == COUNTER {
            name.push_str("_total");
        }
        let head = (&*name, collected.metric.description, number, unit);
        self.family(head, |out| {
            for place in in_order(&collected.series) {
                let series = &collected.series[place];
                metric(out, &series.labels.pairs(), field, |out| {
                    let value = match &collected.values {
                        Values::Whole(numbers) => numbers[place] as f64,
                        Values::Floats(numbers) => numbers[place],
                        Values::Histograms(histograms) => {
                            let exponential = histograms.exponential(place);
                            let exponential = exponential.filter(|_| collected.exponential);
                            return histogram(out, series, histograms, place, exponential);
                        }
                    };
                    protobuf::fixed_64(out, 1, value.to_bits());
                    if number == COUNTER {
                        timestamp(out, 3, series.began);
                    }
                });
            }
        });
    }

    /// Ends it; its pieces in order.
    pub(super) fn finish(mut self) -> Vec<Vec<u8>> {
        self.pieces.push(self.out);
        self.pieces
    }

    /// Adds a family of that name, help, type and unit.
    fn family(
        &mut self,
        (name, help, kind, unit): (&str, &str, u64, Option<&str>),
        metrics: impl FnOnce(&mut Vec<u8>),
    ) {
        let mut family = Vec::new();
        protobuf::bytes(&mut family, 1, name.as_bytes());
        protobuf::bytes(&mut family, 2, help.as_bytes());
        protobuf::number(&mut family, 3, kind);
        metrics(&mut family);
        if let Some(unit) = unit {
            protobuf::bytes(&mut family, 5, unit.as_bytes());
        }
        protobuf::framed(&mut self.out, &family);
        if self.out.len() >= PIECE {
            self.pieces.push(std::mem::take(&mut self.out));
        }
    }
}

/// A `Metric` with its labels and its value in that field.
fn metric(
    out: &mut Vec<u8>,
    pairs: &[(String, Cow<'_, str>)],
    field: u32,
    value: impl FnOnce(&mut Vec<u8>),
) {
    protobuf::message(out, 4, |out| {
        for (name, value) in pairs {
            label(out, name, value);
        }
        protobuf::message(out, field, value);
    });
}

fn label(out: &mut Vec<u8>, name: &str, value: &str) {
    protobuf::message(out, 1, |out| {
        protobuf::bytes(out, 1, name.as_bytes());
        protobuf::bytes(out, 2, value.as_bytes());
    });
}

/// The content of a `Histogram`.
fn histogram(
    out: &mut Vec<u8>,
    series: &Series,
    histograms: &Histograms,
    place: usize,
    exponential: Option<&Exponential>,
) {
    let counts = histograms.counts(place);
    protobuf::number(out, 1, counts.iter().sum());
    protobuf::fixed_64(out, 2, histograms.extent(place).sum.to_bits());
    let bounds = histograms.bounds().iter().copied().chain([f64::INFINITY]);
    let exemplars = histograms.exemplars(place);
    let mut below = 0;
    for (bucket, (bound, count)) in bounds.zip(counts).enumerate() {
        below += count;
        protobuf::message(out, 3, |out| {
            protobuf::number(out, 1, below);
            protobuf::fixed_64(out, 2, bound.to_bits());
            if let Some((_, newest)) = exemplars.iter().find(|(of, _)| *of == bucket) {
                protobuf::message(out, 3, |out| exemplar(out, newest));
            }
        });
    }
    if let Some(exponential) = exponential {
        buckets(out, &exponential.at_most(FINEST));
    }
    timestamp(out, 15, series.began);
}

/// The fields of a `Histogram` for exponential buckets: of those that have samples the spans, and the difference of each count to
/// that of the one before.
fn buckets(out: &mut Vec<u8>, exponential: &Exponential) {
    protobuf::signed(out, 5, exponential.scale().into());
    protobuf::fixed_64(out, 6, ZERO_THRESHOLD.to_bits());
    protobuf::number(out, 7, exponential.zeros());
    let counts = exponential.counts();
    let mut deltas = Vec::with_capacity(counts.len());
    let mut before = 0;
    // A bucket has the index of its upper bound here, in OTLP that of its lower one.
    let mut offset = i64::from(exponential.first()) + 1;
    for span in spans(counts) {
        let length = span.len() as u64;
        protobuf::message(out, 12, |out| {
            protobuf::signed(out, 1, offset + span.start as i64);
            protobuf::number(out, 2, length);
        });
        // The next offset counts from the end of this span.
        offset = -(span.end as i64);
        for count in &counts[span] {
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            deltas.push(protobuf::zigzag(count - before));
            before = count;
        }
    }
    protobuf::varints(out, 13, deltas.iter().copied());
}

/// The runs of buckets that have samples, a few without among them.
fn spans(counts: &[u64]) -> Vec<std::ops::Range<usize>> {
    let mut spans: Vec<std::ops::Range<usize>> = Vec::new();
    for (at, count) in counts.iter().enumerate() {
        match spans.last_mut() {
            _ if *count == 0 => {}
            Some(last) if at - last.end <= GAP => last.end = at + 1,
            _ => spans.push(at..at + 1),
        }
    }
    spans
}

/// The content of an `Exemplar`.
fn exemplar(out: &mut Vec<u8>, exemplar: &Exemplar) {
    let origin = exemplar.origin;
    label(out, "trace_id", &format!("{:032x}", origin.trace_id));
    label(out, "span_id", &format!("{:016x}", origin.span_id));
    protobuf::fixed_64(out, 2, exemplar.value.to_bits());
    timestamp(out, 3, exemplar.at);
}

/// A `google.protobuf.Timestamp` field.
fn timestamp(out: &mut Vec<u8>, field: u32, at: SystemTime) {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    protobuf::message(out, field, |out| {
        protobuf::number(out, 1, since.as_secs());
        protobuf::number(out, 2, since.subsec_nanos().into());
    });
}

#[cfg(test)]
mod tests;
