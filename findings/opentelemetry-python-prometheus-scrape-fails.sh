#!/usr/bin/env bash
# OpenTelemetry's Prometheus exporter for Python: what does a scrape show of an exponential histogram?
#
# Guess: nothing, and a warning. An exporter may have no native histograms to give; the collector's own was long such a one, left the
# metric out and logged it (open-telemetry/opentelemetry-collector-contrib#25146). The process's other metrics are not concerned.
#
# Found: all of them are gone. Once one instrument has a view with the exponential aggregation and one measurement, each scrape
# is a 500 (an AttributeError out of the exporter), for good. Nothing is said before the scrape: the view, the instrument
# and the measurement are taken. The same process with the default aggregation is scraped well.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet opentelemetry-exporter-prometheus==0.66b2 opentelemetry-sdk==1.45.2 prometheus_client==0.26.0

cat > "$work/finding.py" <<'PYTHON'
import urllib.error
import urllib.request

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from prometheus_client import start_http_server

DURATION = "gen_ai.client.operation.duration"
EXPONENTIAL = View(instrument_name=DURATION, aggregation=ExponentialBucketHistogramAggregation())


def scrape(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as response:
            families = [line.split()[2] for line in response.read().decode().splitlines() if line.startswith("# TYPE")]
        ours = [family for family in families if family.startswith("gen_ai")]
        return f"200 with {', '.join(ours)}"
    except urllib.error.HTTPError as error:
        return f"{error.code}"


server, _ = start_http_server(0, "127.0.0.1")
for name, views in [("default", []), ("exponential", [EXPONENTIAL])]:
    provider = MeterProvider([PrometheusMetricReader()], views=views)
    meter = provider.get_meter("finding")
    meter.create_counter("gen_ai.calls").add(1)
    print(f"{name}, before the first duration: {scrape(server.server_port)}")
    meter.create_histogram(DURATION, unit="s").record(1.5)
    for number in [1, 2]:
        print(f"{name}, scrape {number} after it: {scrape(server.server_port)}")
    provider.shutdown()
server.shutdown()
PYTHON

"$work/venv/bin/pip" list --format freeze | grep -E '^(opentelemetry-(exporter-prometheus|sdk)|prometheus_client)='
seen=$("$work/venv/bin/python" "$work/finding.py" 2> "$work/errors")
echo "$seen"
grep '^AttributeError' "$work/errors" | sort -u

diff <(echo "$seen") - <<'SEEN'
default, before the first duration: 200 with gen_ai_calls_total
default, scrape 1 after it: 200 with gen_ai_calls_total, gen_ai_client_operation_duration_seconds
default, scrape 2 after it: 200 with gen_ai_calls_total, gen_ai_client_operation_duration_seconds
exponential, before the first duration: 200 with gen_ai_calls_total
exponential, scrape 1 after it: 500
exponential, scrape 2 after it: 500
SEEN
