//! The text formats: OpenMetrics 1.0 with exemplars, and the classic one. Of distributions they have the explicit buckets only.

use std::fmt::{Display, Write};
use std::time::UNIX_EPOCH;

use opentelemetry_sdk::Resource;

use super::super::family::{Collected, Values};
use super::super::labels::{self, escape};
use super::super::points::{Exemplar, Histograms};
use super::{Format, PIECE, TARGET_HELP, TARGET_INFO, family, in_order, kind};

/// The text while it is written.
pub(in super::super) struct Text {
    format: Format,
    /// Those that are done.
    pieces: Vec<Vec<u8>>,
    /// The one that is written.
    out: String,
}

impl Text {
    /// Begins with the resource.
    pub(super) fn begin(format: Format, resource: &Resource) -> Self {
        let mut text = Self {
            format,
            pieces: Vec::new(),
            out: String::new(),
        };
        text.target_info(resource);
        text
    }

    /// Adds a metric with all its points.
    pub(super) fn metric(&mut self, collected: &Collected) {
        let kind = kind(collected.metric);
        match &collected.values {
            Values::Whole(numbers) => self.numbers(collected, kind, numbers),
            Values::Floats(numbers) => self.numbers(collected, kind, numbers),
            Values::Histograms(histograms) => self.histograms(collected, kind, histograms),
        }
    }

    /// Ends it; its pieces in order.
    pub(super) fn finish(mut self) -> Vec<Vec<u8>> {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.pieces.push(self.out.into_bytes());
        self.pieces
    }

    fn target_info(&mut self, resource: &Resource) {
        if resource.is_empty() {
            return;
        }
        let attributes = resource.iter();
        let labels = labels::text(attributes.map(|(key, value)| (key.as_str(), value.as_str())));
        match self.format {
            Format::OpenMetrics => self.header("target", "info", TARGET_HELP, None),
            _ => self.header(TARGET_INFO, "gauge", TARGET_HELP, None),
        }
        self.sample(TARGET_INFO, "", &labels, "", 1, None);
    }

    fn numbers<T: Display>(&mut self, collected: &Collected, kind: &str, numbers: &[T]) {
        let metric = collected.metric;
        let (name, unit) = family(metric, kind);
        let total = if kind == "counter" { "_total" } else { "" };
        // The classic format names a counter's family as its samples, OpenMetrics without the suffix.
        match self.format {
            Format::OpenMetrics => self.header(&name, kind, metric.description, unit),
            _ => {
                self.header(&format!("{name}{total}"), kind, metric.description, unit);
            }
        }
        for place in in_order(&collected.series) {
            let labels = collected.series[place].labels.text();
            self.sample(&name, total, labels, "", &numbers[place], None);
            self.end_point();
        }
    }

    fn histograms(&mut self, collected: &Collected, kind: &str, histograms: &Histograms) {
        let (name, unit) = family(collected.metric, kind);
        self.header(&name, kind, collected.metric.description, unit);
        let bounds = self.bounds(histograms.bounds());
        for place in in_order(&collected.series) {
            let labels = collected.series[place].labels.text();
            let exemplars = histograms.exemplars(place);
            let mut below = 0;
            for (bucket, (bound, count)) in bounds.iter().zip(histograms.counts(place)).enumerate()
            {
                below += count;
                let exemplar = exemplars.iter().find(|(of, _)| *of == bucket);
                let exemplar = exemplar.map(|(_, exemplar)| exemplar);
                self.sample(&name, "_bucket", labels, bound, below, exemplar);
            }
            self.sample(
                &name,
                "_sum",
                labels,
                "",
                histograms.extent(place).sum,
                None,
            );
            self.sample(&name, "_count", labels, "", below, None);
            self.end_point();
        }
    }

    /// All lines of a point are written.
    fn end_point(&mut self) {
        if self.out.len() >= PIECE {
            let next = String::with_capacity(self.out.capacity());
            let done = std::mem::replace(&mut self.out, next);
            self.pieces.push(done.into_bytes());
        }
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
    fn bounds(&self, bounds: &[f64]) -> Vec<String> {
        let finite = bounds.iter().map(|bound| match self.format {
            Format::OpenMetrics => format!("le=\"{bound:?}\""),
            _ => format!("le=\"{bound}\""),
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
        exemplar: Option<&Exemplar>,
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
            let at = exemplar.at.duration_since(UNIX_EPOCH).unwrap_or_default();
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
