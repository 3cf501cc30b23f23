//! Metrics as a scraper gets them: Prometheus's protobuf, OpenMetrics 1.0 with exemplars, and the classic text format 0.0.4.
//!
//! Names by the OpenTelemetry rules for Prometheus: dots become underscores, the unit becomes a suffix, counters end in
//! `_total`. The resource is `target_info`. There is one instrumentation scope, so its labels are left out.
//! <https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/>

mod delimited;
mod text;

use std::fmt::Write as _;

use opentelemetry_sdk::Resource;

use self::delimited::Delimited;
use self::text::Text;
use super::family::{Collected, Series};
use crate::semconv::{Kind, Metric, prometheus_name};

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// `io.prometheus.client.MetricFamily`, each with its length before it. The only one with exponential buckets.
    Protobuf,
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus text 0.0.4.
    Classic,
}

impl Format {
    /// The format that the value of an `Accept` header prefers; classic where it names none.
    pub(super) fn negotiate(accept: Option<&str>) -> Self {
        let (mut protobuf, mut open, mut classic) = (0.0, 0.0, 0.0);
        for range in accept.unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().map(str::to_ascii_lowercase);
            let has = |parameter| range.split(';').any(|part| part.trim() == parameter);
            let best = match kind.as_deref() {
                Some("application/vnd.google.protobuf")
                    if has("proto=io.prometheus.client.MetricFamily")
                        && has("encoding=delimited") =>
                {
                    &mut protobuf
                }
                Some("application/openmetrics-text") => &mut open,
                Some("text/plain" | "text/*" | "*/*") => &mut classic,
                _ => continue,
            };
            let weight = parts
                .find_map(|part| part.strip_prefix("q="))
                .map_or(Some(1.0), |q| q.parse().ok());
            *best = f64::max(*best, weight.unwrap_or(0.0));
        }
        if protobuf > 0.0 && protobuf >= f64::max(open, classic) {
            Self::Protobuf
        } else if open > 0.0 && open >= classic {
            Self::OpenMetrics
        } else {
            Self::Classic
        }
    }

    /// Value of the `Content-Type` header.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Length at which a piece of a page is done, in bytes.
const PIECE: usize = 64 << 10;

/// What the resource is called, and what it is.
const TARGET_INFO: &str = "target_info";
const TARGET_HELP: &str = "Resource that the metrics come from.";

/// A page while it is written.
pub(super) enum Page {
    Delimited(Delimited),
    Text(Text),
}

impl Page {
    /// Begins with the resource.
    pub(super) fn begin(format: Format, resource: &Resource) -> Self {
        match format {
            Format::Protobuf => Self::Delimited(Delimited::begin(resource)),
            Format::OpenMetrics | Format::Classic => Self::Text(Text::begin(format, resource)),
        }
    }

    /// Adds a metric with all its points.
    pub(super) fn metric(&mut self, collected: &Collected) {
        match self {
            Self::Delimited(page) => page.metric(collected),
            Self::Text(page) => page.metric(collected),
        }
    }

    /// Ends it; its pieces in order.
    pub(super) fn finish(self) -> Vec<Vec<u8>> {
        match self {
            Self::Delimited(page) => page.finish(),
            Self::Text(page) => page.finish(),
        }
    }
}

/// What a metric is to Prometheus.
const fn kind(metric: &Metric) -> &'static str {
    match metric.kind {
        Kind::Counter | Kind::Cost | Kind::ObservedCounter | Kind::ObservedSeconds => "counter",
        Kind::Gauge | Kind::ObservedGauge | Kind::WindowMean => "gauge",
        Kind::Histogram(_) => "histogram",
    }
}

/// Name of a metric's family without `_total`, and its unit in words where it has one.
fn family(metric: &Metric, kind: &str) -> (String, Option<&'static str>) {
    let mut name = prometheus_name(metric.name, ':');
    let unit = match metric.unit {
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

/// The places of series, in the order of their labels' text.
fn in_order(series: &[Series]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..series.len()).collect();
    places.sort_unstable_by_key(|place| series[*place].labels.text());
    places
}

#[cfg(test)]
mod tests;
