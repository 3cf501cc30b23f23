//! Metrics as text: OpenMetrics 1.0 with exemplars, and the classic Prometheus format 0.0.4.
//!
//! Names by the OpenTelemetry rules for Prometheus: dots become underscores, the unit becomes a suffix, counters end in
//! `_total`. The resource is `target_info`. There is one instrumentation scope, so its labels are left out.
//! <https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/>

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::{Display, Write};
use std::rc::Rc;
use std::time::UNIX_EPOCH;

use foldhash::fast::RandomState;
use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Histogram, Metric, MetricData};

use super::series::{Exemplar, Exemplars};

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus text 0.0.4.
    Classic,
}

impl Format {
    /// The format that the value of an `Accept` header prefers; classic where it names neither.
    pub(super) fn negotiate(accept: Option<&str>) -> Self {
        let (mut open, mut classic) = (0.0, 0.0);
        for range in accept.unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let best = match parts.next().map(str::to_ascii_lowercase).as_deref() {
                Some("application/openmetrics-text") => &mut open,
                Some("text/plain" | "text/*" | "*/*") => &mut classic,
                _ => continue,
            };
            let weight = parts
                .find_map(|part| part.strip_prefix("q="))
                .map_or(Some(1.0), |q| q.parse().ok());
            *best = f64::max(*best, weight.unwrap_or(0.0));
        }
        if open > 0.0 && open >= classic {
            Self::OpenMetrics
        } else {
            Self::Classic
        }
    }

    /// Value of the `Content-Type` header.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Length at which a piece of the text is done, in bytes.
const PIECE: usize = 64 << 10;

/// The text while it is written.
pub(super) struct Text<'t> {
    format: Format,
    exemplars: &'t Exemplars,
    /// Told of each small step of the work.
    step: &'t mut dyn FnMut(),
    names: Names,
    /// Those that are done.
    pieces: Vec<String>,
    /// The one that is written.
    out: String,
}

impl<'t> Text<'t> {
    /// Begins with the resource.
    pub(super) fn begin(
        format: Format,
        resource: &Resource,
        exemplars: &'t Exemplars,
        step: &'t mut dyn FnMut(),
    ) -> Self {
        let mut text = Self {
            format,
            exemplars,
            step,
            names: Names::default(),
            pieces: Vec::new(),
            out: String::new(),
        };
        text.target_info(resource);
        text
    }

    /// Adds a metric with all its points.
    pub(super) fn metric(&mut self, metric: &Metric) {
        // Collecting it was one.
        (self.step)();
        match metric.data() {
            AggregatedMetrics::F64(data) => self.data(metric, data),
            AggregatedMetrics::U64(data) => self.data(metric, data),
            AggregatedMetrics::I64(data) => self.data(metric, data),
        }
    }

    /// Ends it; its pieces in order.
    pub(super) fn finish(mut self) -> Vec<String> {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.pieces.push(self.out);
        self.pieces
    }

    fn target_info(&mut self, resource: &Resource) {
        if resource.is_empty() {
            return;
        }
        let labels = self.names.labels(
            resource
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str())),
        );
        match self.format {
            Format::OpenMetrics => self.header(
                "target",
                "info",
                "Resource that the metrics come from.",
                None,
            ),
            Format::Classic => self.header(
                "target_info",
                "gauge",
                "Resource that the metrics come from.",
                None,
            ),
        }
        self.sample("target_info", "", &labels, "", 1, None);
    }

    fn data<T: Copy + Display>(&mut self, metric: &Metric, data: &MetricData<T>) {
        match data {
            MetricData::Sum(sum) => {
                let kind = if sum.is_monotonic() {
                    "counter"
                } else {
                    "gauge"
                };
                let points = sum.data_points();
                let points = points.map(|point| (point.attributes(), point.value()));
                self.numbers(metric, kind, points);
            }
            MetricData::Gauge(gauge) => {
                let points = gauge.data_points();
                let points = points.map(|point| (point.attributes(), point.value()));
                self.numbers(metric, "gauge", points);
            }
            MetricData::Histogram(histogram) => self.histogram(metric, histogram),
            // No instrument of ours aggregates so, and neither text format has a shape for it.
            MetricData::ExponentialHistogram(_) => {}
        }
    }

    fn numbers<'a, T: Display>(
        &mut self,
        metric: &Metric,
        kind: &str,
        points: impl Iterator<Item = (impl Iterator<Item = &'a KeyValue>, T)>,
    ) {
        let points = self.labelled(points);
        let (name, unit) = family(metric, kind);
        let total = if kind == "counter" { "_total" } else { "" };
        // The classic format names a counter's family as its samples, OpenMetrics without the suffix.
        match self.format {
            Format::OpenMetrics => self.header(&name, kind, metric.description(), unit),
            Format::Classic => {
                self.header(&format!("{name}{total}"), kind, metric.description(), unit)
            }
        }
        for (labels, value) in points {
            self.sample(&name, total, &labels, "", value, None);
            self.end_point();
        }
    }

    fn histogram<T: Copy + Display>(&mut self, metric: &Metric, histogram: &Histogram<T>) {
        let (name, unit) = family(metric, "histogram");
        self.header(&name, "histogram", metric.description(), unit);
        let kept = self.exemplars.get(metric.name());
        let points = histogram.data_points();
        let points = self.labelled(points.map(|point| (point.attributes(), point)));
        // The bounds belong to the metric, and so all its points have the same.
        let bounds = points.first().map(|(_, point)| self.bounds(point.bounds()));
        let bounds = bounds.unwrap_or_default();
        for (labels, point) in points {
            let kept = kept.and_then(|kept| {
                let key: Vec<KeyValue> = point.attributes().cloned().collect();
                kept.get(key.as_slice())
            });
            let mut below = 0;
            for (bucket, (bound, count)) in bounds.iter().zip(point.bucket_counts()).enumerate() {
                below += count;
                let exemplar = kept.and_then(|kept| kept.get(bucket).copied().flatten());
                self.sample(&name, "_bucket", &labels, bound, below, exemplar);
            }
            self.sample(&name, "_sum", &labels, "", point.sum(), None);
            self.sample(&name, "_count", &labels, "", point.count(), None);
            self.end_point();
        }
    }

    /// Points with the text of their labels, in the order of it.
    fn labelled<'a, P>(
        &mut self,
        points: impl Iterator<Item = (impl Iterator<Item = &'a KeyValue>, P)>,
    ) -> Vec<(String, P)> {
        let mut labelled = Vec::new();
        for (attributes, point) in points {
            labelled.push((self.names.labels_of(attributes), point));
            (self.step)();
        }
        labelled.sort_by(|(one, _), (other, _)| one.cmp(other));
        labelled
    }

    /// All lines of a point are written.
    fn end_point(&mut self) {
        if self.out.len() >= PIECE {
            let next = String::with_capacity(self.out.capacity());
            self.pieces.push(std::mem::replace(&mut self.out, next));
        }
        (self.step)();
    }

    fn header(&mut self, name: &str, kind: &str, help: &str, unit: Option<&str>) {
        // OpenMetrics escapes quotes in help texts as well.
        let quoted = self.format == Format::OpenMetrics;
        let _ = writeln!(self.out, "# HELP {name} {}", escape(help, quoted));
        let _ = writeln!(self.out, "# TYPE {name} {kind}");
        if let (Format::OpenMetrics, Some(unit)) = (self.format, unit) {
            let _ = writeln!(self.out, "# UNIT {name} {unit}");
        }
    }

    /// The labels of all buckets; OpenMetrics wants every bound to look like a float.
    fn bounds(&self, bounds: impl Iterator<Item = f64>) -> Vec<String> {
        let finite = bounds.map(|bound| match self.format {
            Format::OpenMetrics => format!("le=\"{bound:?}\""),
            Format::Classic => format!("le=\"{bound}\""),
        });
        finite.chain(["le=\"+Inf\"".to_owned()]).collect()
    }

    /// One line. Written piece by piece: of thousands, a format string would take most of a scrape's time.
    fn sample(
        &mut self,
        name: &str,
        suffix: &str,
        labels: &str,
        extra: &str,
        value: impl Display,
        exemplar: Option<Exemplar>,
    ) {
        let out = &mut self.out;
        out.push_str(name);
        out.push_str(suffix);
        if !(labels.is_empty() && extra.is_empty()) {
            out.push('{');
            out.push_str(labels);
            if !(labels.is_empty() || extra.is_empty()) {
                out.push(',');
            }
            out.push_str(extra);
            out.push('}');
        }
        let _ = write!(out, " {value}");
        if let (Format::OpenMetrics, Some(exemplar)) = (self.format, exemplar) {
            let origin = exemplar.origin;
            let at = origin.at.duration_since(UNIX_EPOCH).unwrap_or_default();
            let _ = write!(
                out,
                " # {{trace_id=\"{:032x}\",span_id=\"{:016x}\"}} {} {}.{:03}",
                origin.trace_id,
                origin.span_id,
                exemplar.value,
                at.as_secs(),
                at.subsec_millis(),
            );
        }
        out.push('\n');
    }
}

/// Name of a metric's family without `_total`, and its unit in words where it has one.
fn family(metric: &Metric, kind: &str) -> (String, Option<&'static str>) {
    let mut name = sanitize(metric.name(), ':');
    let unit = match metric.unit() {
        "s" => Some("seconds"),
        "By" => Some("bytes"),
        "1" if kind == "gauge" => Some("ratio"),
        _ => None,
    };
    if kind == "counter" {
        name.truncate(name.trim_end_matches("_total").len());
    }
    if let Some(unit) = unit.filter(|unit| !name.ends_with(&format!("_{unit}"))) {
        let _ = write!(name, "_{unit}");
    }
    (name, unit)
}

/// Names of labels by the keys they are made of, of which a scrape has few and writes each thousands of times.
#[derive(Default)]
struct Names(HashMap<String, Rc<str>, RandomState>);

impl Names {
    fn of(&mut self, key: &str) -> Rc<str> {
        if let Some(name) = self.0.get(key) {
            return Rc::clone(name);
        }
        let name = Rc::from(sanitize(key, '_'));
        self.0.insert(key.to_owned(), Rc::clone(&name));
        name
    }

    fn labels_of<'a>(&mut self, attributes: impl Iterator<Item = &'a KeyValue>) -> String {
        self.labels(attributes.map(|attribute| (attribute.key.as_str(), attribute.value.as_str())))
    }

    /// Labels in the order of their names. Keys that become the same name share it, their values joined by `;`.
    fn labels<'a>(&mut self, attributes: impl Iterator<Item = (&'a str, Cow<'a, str>)>) -> String {
        let mut sorted: Vec<_> = attributes
            .map(|(key, value)| (self.of(key), value))
            .collect();
        sorted.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut text = String::with_capacity(256);
        for shared in sorted.chunk_by(|(one, _), (other, _)| one == other) {
            let (name, _) = &shared[0];
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(name);
            text.push_str("=\"");
            for (index, (_, value)) in shared.iter().enumerate() {
                if index > 0 {
                    text.push(';');
                }
                text.push_str(&escape(value, true));
            }
            text.push('"');
        }
        text
    }
}

/// A name of letters, digits, underscores and `also`, that begins with no digit and has no two underscores in a row.
fn sanitize(name: &str, also: char) -> String {
    let mut clean = String::with_capacity(name.len() + 1);
    for letter in name.chars() {
        match letter {
            letter if letter.is_ascii_alphanumeric() || letter == also && also != '_' => {
                if clean.is_empty() && letter.is_ascii_digit() {
                    clean.push('_');
                }
                clean.push(letter);
            }
            _ if clean.ends_with('_') => {}
            _ => clean.push('_'),
        }
    }
    clean
}

fn escape(text: &str, quotes: bool) -> Cow<'_, str> {
    if !text.contains(['\\', '\n', '"']) {
        return Cow::Borrowed(text);
    }
    let escaped = text.replace('\\', "\\\\").replace('\n', "\\n");
    Cow::Owned(if quotes {
        escaped.replace('"', "\\\"")
    } else {
        escaped
    })
}

#[cfg(test)]
mod tests;
