#!/usr/bin/env bash
# The Prometheus exporters of OpenTelemetry's SDKs for Node and Python: has one metric of the GenAI conventions one name in both?
#
# Guess: yes. The specification of OpenTelemetry says how a metric's name and unit become a name of Prometheus, and the two
# exporters are of one project. `gen_ai.client.operation.duration` in `s` is `gen_ai_client_operation_duration_seconds`, as it is
# in Prometheus when it is pushed there by OTLP.
#
# Found: the exporter for Node leaves the unit out of the name: no `_seconds`, no `_bytes`, no `_per_second`. The unit of curly
# braces of `gen_ai.client.token.usage` is in no name, so that metric is the same in both: half of a dashboard works.
# Known: open-telemetry/opentelemetry-js#3466, closed for its age.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

npm install --silent --no-save --prefix "$work" \
  @opentelemetry/api@1.9.1 @opentelemetry/sdk-metrics@2.12.1 @opentelemetry/exporter-prometheus@0.223.0
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet opentelemetry-sdk==1.45.2 opentelemetry-exporter-prometheus==0.66b2

# (name, unit) of histograms: two of the GenAI conventions for clients, and two of other kinds of unit.
cat > "$work/metrics.json" <<'JSON'
[
  ["gen_ai.client.operation.duration", "s"],
  ["gen_ai.client.token.usage", "{token}"],
  ["http.server.response.body.size", "By"],
  ["tokens.rate", "{token}/s"]
]
JSON

cat > "$work/finding.mjs" <<'NODE'
import { readFileSync } from 'node:fs';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';

const exporter = new PrometheusExporter({ preventServerStart: true });
const meter = new MeterProvider({ readers: [exporter] }).getMeter('m');
for (const [name, unit] of JSON.parse(readFileSync('metrics.json'))) meter.createHistogram(name, { unit }).record(1);
exporter.getMetricsRequestHandler({}, { setHeader() {}, end: (text) => console.log(text) });
NODE

cat > "$work/finding.py" <<'PYTHON'
import json

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import generate_latest

meter = MeterProvider(metric_readers=[PrometheusMetricReader()]).get_meter("m")
with open("metrics.json") as file:
    for name, unit in json.load(file):
        meter.create_histogram(name, unit=unit).record(1)
print(generate_latest().decode())
PYTHON

npm ls --prefix "$work" --depth 0 | grep -oE '@opentelemetry/(exporter-prometheus|sdk-metrics)@[0-9.]+'
"$work/venv/bin/pip" list --format freeze | grep -E '^opentelemetry-(sdk|exporter-prometheus)='
names() { grep -oE '^(gen_ai|http|tokens)[a-z_]*_count' | sed "s/^/$1: /; s/_count$//"; }
seen=$(cd "$work"; node finding.mjs | names Node; venv/bin/python finding.py | names Python)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
Node: gen_ai_client_operation_duration
Node: gen_ai_client_token_usage
Node: http_server_response_body_size
Node: tokens_rate
Python: gen_ai_client_operation_duration_seconds
Python: gen_ai_client_token_usage
Python: http_server_response_body_size_bytes
Python: tokens_rate_per_second
SEEN
