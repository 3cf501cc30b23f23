//! A metric with its points as OTLP has it.
//!
//! Governing text: `opentelemetry/proto/metrics/v1/metrics.proto`. Written at once, without the protocol's types: the points
//! of a push are many, and each has some ten labels. A push of more than one request should hold is cut between points.

use std::time::{SystemTime, UNIX_EPOCH};

use super::exponential::Exponential;
use super::family::{Collected, Series, Values};
use super::points::{Exemplar, Histograms};
use crate::otlp::ITEMS_BYTES;
use crate::otlp::envelope::ITEM;
use crate::otlp::protobuf;
use crate::semconv::Kind;

/// Values of `AggregationTemporality`.
const DELTA: u64 = 1;
const CUMULATIVE: u64 = 2;

/// Most points of one request; what collectors put into a batch of their own.
const POINTS: usize = 8_192;

/// Metrics for one request, and how many points they have.
#[derive(Debug, Default)]
pub(super) struct Items {
    /// Elements of `ScopeMetrics.metrics`.
    pub(super) bytes: Vec<u8>,
    /// Points of all of them.
    pub(super) points: usize,
}

/// Adds the points of a metric to the items, and hands these over each time they are enough for a request.
pub(super) fn write(items: &mut Items, collected: &Collected, mut full: impl FnMut(Items)) {
    let mut next = 0;
    while next < collected.series.len() {
        next = write_from(next, items, collected);
        if is_full(items.bytes.len(), items.points) {
            full(std::mem::take(items));
        }
    }
}

fn is_full(bytes: usize, points: usize) -> bool {
    bytes >= ITEMS_BYTES || points >= POINTS
}

/// Appends a metric with its points from one on, as many as there is room for, but at least one; gives the first that is
/// left.
fn write_from(first: usize, items: &mut Items, collected: &Collected) -> usize {
    const GAUGE: u32 = 5;
    const SUM: u32 = 7;
    const HISTOGRAM: u32 = 9;
    const EXPONENTIAL_HISTOGRAM: u32 = 10;
    let (metric, before) = (collected.metric, items.points);
    let mut next = first;
    protobuf::message(&mut items.bytes, ITEM, |out| {
        let texts = [(1, metric.name), (2, metric.description), (3, metric.unit)];
        for (field, text) in texts {
            protobuf::bytes(out, field, text.as_bytes());
        }
        let mut points = |out: &mut Vec<u8>| {
            next = points(out, collected, first, before);
        };
        match metric.kind {
            Kind::Histogram(_) => {
                let data = match collected.exponential {
                    true => EXPONENTIAL_HISTOGRAM,
                    false => HISTOGRAM,
                };
                protobuf::message(out, data, |out| {
                    points(out);
                    protobuf::number(out, 2, temporality(collected));
                });
            }
            Kind::Counter | Kind::Cost | Kind::ObservedCounter | Kind::ObservedSeconds => {
                protobuf::message(out, SUM, |out| {
                    points(out);
                    protobuf::number(out, 2, temporality(collected));
                    // It only grows.
                    protobuf::number(out, 3, 1);
                })
            }
            Kind::Gauge | Kind::ObservedGauge | Kind::WindowMean => {
                protobuf::message(out, GAUGE, |out| points(out));
            }
        }
    });
    items.points += next - first;
    next
}

const fn temporality(collected: &Collected) -> u64 {
    if collected.is_delta {
        DELTA
    } else {
        CUMULATIVE
    }
}

/// The points of the series from one on, while there is room beside those that are there; gives the first that is left.
fn points(out: &mut Vec<u8>, collected: &Collected, first: usize, before: usize) -> usize {
    const POINT: u32 = 1;
    let at = collected.at;
    let mut bounds = Vec::new();
    if let Values::Histograms(histograms) = &collected.values {
        let bits = histograms.bounds().iter().map(|bound| bound.to_bits());
        packed(&mut bounds, 7, bits);
    }
    for (place, series) in collected.series.iter().enumerate().skip(first) {
        if place > first && is_full(out.len(), before + place - first) {
            return place;
        }
        protobuf::message(out, POINT, |out| match &collected.values {
            Values::Whole(numbers) => {
                let number = i64::try_from(numbers[place]).unwrap_or(i64::MAX);
                number_point(out, series, at, (AS_INT, number.cast_unsigned()));
            }
            Values::Floats(numbers) => {
                number_point(out, series, at, (AS_DOUBLE, numbers[place].to_bits()));
            }
            Values::Histograms(histograms) => {
                let exponential = histograms.exponential(place);
                match exponential.filter(|_| collected.exponential) {
                    Some(exponential) => {
                        let series = (series, at);
                        exponential_point(out, series, exponential, histograms, place);
                    }
                    None => {
                        histogram_point(out, series, at, histograms, place);
                        out.extend_from_slice(&bounds);
                    }
                }
            }
        });
    }
    collected.series.len()
}

/// Fields of `NumberDataPoint.value`, both of eight bytes.
const AS_DOUBLE: u32 = 4;
const AS_INT: u32 = 6;

fn number_point(out: &mut Vec<u8>, series: &Series, at: SystemTime, (field, bits): (u32, u64)) {
    times(out, series, at);
    protobuf::fixed_64(out, field, bits);
    attributes(out, 7, series);
}

fn histogram_point(
    out: &mut Vec<u8>,
    series: &Series,
    at: SystemTime,
    histograms: &Histograms,
    place: usize,
) {
    times(out, series, at);
    let (counts, extent) = (histograms.counts(place), histograms.extent(place));
    let count: u64 = counts.iter().sum();
    protobuf::fixed_64(out, 4, count);
    protobuf::fixed_64(out, 5, extent.sum.to_bits());
    packed(out, 6, counts.iter().copied());
    if count > 0 {
        protobuf::fixed_64(out, 11, extent.min.to_bits());
        protobuf::fixed_64(out, 12, extent.max.to_bits());
    }
    for (_, exemplar) in histograms.exemplars(place) {
        protobuf::message(out, 8, |out| write_exemplar(out, exemplar));
    }
    attributes(out, 9, series);
}

/// The same fields as those of other histograms stand under other numbers in part.
fn exponential_point(
    out: &mut Vec<u8>,
    (series, at): (&Series, SystemTime),
    exponential: &Exponential,
    histograms: &Histograms,
    place: usize,
) {
    attributes(out, 1, series);
    times(out, series, at);
    let extent = histograms.extent(place);
    let counts = exponential.counts();
    let count = exponential.zeros() + counts.iter().sum::<u64>();
    protobuf::fixed_64(out, 4, count);
    protobuf::fixed_64(out, 5, extent.sum.to_bits());
    protobuf::signed(out, 6, exponential.scale().into());
    protobuf::fixed_64(out, 7, exponential.zeros());
    protobuf::message(out, 8, |out| {
        protobuf::signed(out, 1, exponential.first().into());
        protobuf::varints(out, 2, counts.iter().copied());
    });
    for (_, exemplar) in histograms.exemplars(place) {
        protobuf::message(out, 11, |out| write_exemplar(out, exemplar));
    }
    if count > 0 {
        protobuf::fixed_64(out, 12, extent.min.to_bits());
        protobuf::fixed_64(out, 13, extent.max.to_bits());
    }
}

fn write_exemplar(out: &mut Vec<u8>, exemplar: &Exemplar) {
    protobuf::fixed_64(out, 2, nanos(exemplar.at));
    protobuf::fixed_64(out, 3, exemplar.value.to_bits());
    protobuf::bytes(out, 4, &exemplar.origin.span_id.to_be_bytes());
    protobuf::bytes(out, 5, &exemplar.origin.trace_id.to_be_bytes());
}

/// All kinds of points have these fields under the same numbers.
fn times(out: &mut Vec<u8>, series: &Series, at: SystemTime) {
    protobuf::fixed_64(out, 2, nanos(series.began));
    protobuf::fixed_64(out, 3, nanos(at));
}

fn attributes(out: &mut Vec<u8>, field: u32, series: &Series) {
    for attribute in series.labels.attributes() {
        protobuf::attribute(out, field, attribute);
    }
}

/// A repeated field of eight bytes each.
fn packed(out: &mut Vec<u8>, field: u32, elements: impl ExactSizeIterator<Item = u64>) {
    protobuf::length(out, field, 8 * elements.len());
    elements.for_each(|element| out.extend_from_slice(&element.to_le_bytes()));
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
