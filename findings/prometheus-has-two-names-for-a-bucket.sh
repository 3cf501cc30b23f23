#!/usr/bin/env bash
# Prometheus 3: one histogram, scraped from one process and pushed by OTLP from another; do their buckets have the same label?
#
# Guess: since version 3 Prometheus writes the label `le` in one form on every way in, so that `sum by (le)` adds up buckets of both.
#
# Found: a bound that is a whole number is `le="1.0"` by scrape and `le="1"` by OTLP push, in one server, under its default
# settings. `sum by (le)` has two rows for one bound, and `histogram_quantile` over them reads a distribution that nobody has.
set -euo pipefail

prometheus=0.316.0
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"

GOBIN=$work GOFLAGS=-buildvcs=false CGO_ENABLED=0 go install -tags remove_all_sd -ldflags "-s -w" \
  "github.com/prometheus/prometheus/cmd/prometheus@v$prometheus" 2>/dev/null
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check prometheus-client==0.24.1 opentelemetry-sdk==1.45.2 \
  opentelemetry-exporter-otlp-proto-http==1.45.2

cat > finding.py <<'PY'
import json
import subprocess
import time
import urllib.parse
import urllib.request

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from prometheus_client import Histogram, start_http_server

BOUNDS = [0.5, 1, 2]
SERVER = "http://127.0.0.1:19390"

open("prometheus.yml", "w").write("""
global: { scrape_interval: 200ms }
scrape_configs: [{ job_name: scraped, static_configs: [{ targets: ["127.0.0.1:19391"] }] }]
""")
command = ["./prometheus", "--config.file=prometheus.yml", "--web.listen-address=127.0.0.1:19390", "--storage.tsdb.path=data",
           "--web.enable-otlp-receiver", "--log.level=error"]
server = subprocess.Popen(command)


def ask(query):
    url = f"{SERVER}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    try:
        return [entry["metric"] | {"value": entry["value"][1]} for entry in json.load(urllib.request.urlopen(url))["data"]["result"]]
    except OSError:
        return []


def until(query):
    for _ in range(150):
        if found := ask(query):
            return found
        time.sleep(0.2)
    raise SystemExit(f"nothing for {query}")


start_http_server(19391, "127.0.0.1")
scraped = Histogram("call_duration_seconds", "Of a call.", buckets=BOUNDS)
for value in [0.3, 0.7, 1.5]:
    scraped.observe(value)
until('call_duration_seconds_bucket{job="scraped"}')
exporter = OTLPMetricExporter(endpoint=f"{SERVER}/api/v1/otlp/v1/metrics")
provider = MeterProvider(resource=Resource({"service.name": "pushed"}), metric_readers=[PeriodicExportingMetricReader(exporter)])
pushed = provider.get_meter("m").create_histogram("call.duration", unit="s", explicit_bucket_boundaries_advisory=BOUNDS)
for value in [0.3, 0.7, 1.5]:
    pushed.record(value)
provider.shutdown()
until('call_duration_seconds_bucket{job="pushed"}')

labels = {job: sorted({entry["le"] for entry in ask(f'call_duration_seconds_bucket{{job="{job}"}}')}) for job in ["scraped", "pushed"]}
rows = sorted((entry["le"], entry["value"]) for entry in ask("sum by (le) (call_duration_seconds_bucket)"))
server.terminate()
server.wait()
print("le by scrape: ", labels["scraped"])
print("le by push:   ", labels["pushed"])
print("sum by (le):  ", rows)
assert labels["scraped"] == ["+Inf", "0.5", "1.0", "2.0"], labels
assert labels["pushed"] == ["+Inf", "0.5", "1", "2"], labels
assert rows == [("+Inf", "6"), ("0.5", "2"), ("1", "2"), ("1.0", "2"), ("2", "3"), ("2.0", "3")], rows
PY

printf 'prometheus %s, prometheus-client 0.24.1, opentelemetry-sdk 1.45.2 (Python)\n' "$prometheus"
NO_PROXY=127.0.0.1 python/bin/python finding.py 2>/dev/null
