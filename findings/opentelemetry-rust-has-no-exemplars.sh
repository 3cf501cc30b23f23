#!/usr/bin/env bash
# OpenTelemetry's SDK for Rust: does a histogram that is recorded within a sampled span have an exemplar, as in other languages?
#
# Guess: yes. The specification of exemplars is stable, its default filter (`trace_based`) keeps measurements made within a sampled
# span, and the SDK's data points have `exemplars()`, with trace id and span id. The same lines in Python are the yardstick.
#
# Found: never. The accessor is there and always empty, also with `OTEL_METRICS_EXEMPLAR_FILTER=always_on`, and nothing is logged.
# Python keeps one by default. Known upstream: open-telemetry/opentelemetry-rust#3369.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet opentelemetry-sdk==1.45.2

cat > "$work/finding.py" <<'PYTHON'
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

reader = InMemoryMetricReader()
meter = MeterProvider([reader]).get_meter("finding")
tokens = meter.create_histogram("gen_ai.client.token.usage", unit="{token}")
with TracerProvider().get_tracer("finding").start_as_current_span("chat"):
    tokens.record(42)
[resource] = reader.get_metrics_data().resource_metrics
[point] = resource.scope_metrics[0].metrics[0].data.data_points
print(f"Python: count {point.count}, exemplars {len(point.exemplars)}")
PYTHON

cat > "$work/Cargo.toml" <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"

[dependencies]
opentelemetry = "=0.33.1"
opentelemetry_sdk = { version = "=0.33.1", features = ["testing"] }
TOML

cat > "$work/src/main.rs" <<'RUST'
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::{TraceContextExt, Tracer, TracerProvider};
use opentelemetry::Context;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;

fn main() {
    let exporter = InMemoryMetricExporter::default();
    let reader = PeriodicReader::builder(exporter.clone()).build();
    let metrics = SdkMeterProvider::builder().with_reader(reader).build();
    let meter = metrics.meter("finding");
    let tokens = meter.u64_histogram("gen_ai.client.token.usage").with_unit("{token}").build();
    let tracer = SdkTracerProvider::builder().build().tracer("finding");
    tracer.in_span("chat", |_| {
        assert!(Context::current().span().span_context().is_sampled());
        tokens.record(42, &[]);
    });
    metrics.force_flush().unwrap();

    let exported = exporter.get_finished_metrics().unwrap();
    let scope = exported[0].scope_metrics().next().unwrap();
    let metric = scope.metrics().next().unwrap();
    let AggregatedMetrics::U64(MetricData::Histogram(histogram)) = metric.data() else {
        panic!("no histogram");
    };
    let point = histogram.data_points().next().unwrap();
    println!("Rust: count {}, exemplars {}", point.count(), point.exemplars().count());
}
RUST

export CARGO_TARGET_DIR="$work/target"
cargo build --quiet --manifest-path "$work/Cargo.toml"
cargo tree --manifest-path "$work/Cargo.toml" --depth 1 --prefix none | grep '^opentelemetry_sdk '
"$work/venv/bin/pip" list --format freeze | grep '^opentelemetry-sdk='
seen=$(
  "$work/venv/bin/python" "$work/finding.py"
  "$work/target/debug/finding"
  export OTEL_METRICS_EXEMPLAR_FILTER=always_on
  "$work/target/debug/finding"
)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
Python: count 1, exemplars 1
Rust: count 1, exemplars 0
Rust: count 1, exemplars 0
SEEN
