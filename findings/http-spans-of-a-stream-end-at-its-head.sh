#!/usr/bin/env bash
# OpenTelemetry's instrumentations of HTTP clients: how long is the span of a streamed answer?
#
# Guess: as long as the answer. `http.client.request.duration` and the span say how long a request took, and the body of a
# streamed answer is what a model call takes its time for.
#
# Found: four of four for Python (httpx, requests, urllib3, aiohttp) end the span and the duration when the head has come; for
# an answer of two seconds they say 0. The instrumentation of Node's `fetch` (undici) ends both with the body, and that of Go's
# net/http ends its span when the body is read or closed, and its duration with the head.
set -euo pipefail

work=$(mktemp -d)
trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet opentelemetry-sdk==1.45.1 httpx==0.28.1 requests==2.34.2 urllib3==2.8.0 aiohttp==3.14.5 \
  opentelemetry-instrumentation-httpx==0.66b1 opentelemetry-instrumentation-requests==0.66b1 \
  opentelemetry-instrumentation-urllib3==0.66b1 opentelemetry-instrumentation-aiohttp-client==0.66b1
npm install --silent --no-save --prefix "$work" @opentelemetry/instrumentation-undici@0.33.0 \
  @opentelemetry/instrumentation@0.223.0 @opentelemetry/api@1.9.1 @opentelemetry/sdk-trace-node@2.12.1 @opentelemetry/sdk-metrics@2.12.1

cat > "$work/provider.py" <<'PYTHON'
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for _ in range(4):
            time.sleep(0.5)
            self.wfile.write(b"a\r\ndata: {}\n\n\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
print(f"http://127.0.0.1:{server.server_port}/", flush=True)
server.serve_forever()
PYTHON

cat > "$work/finding.py" <<'PYTHON'
import asyncio
import os
import sys

os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "http"

import aiohttp
import httpx
import requests
import urllib3
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

url = sys.argv[1]


def with_httpx():
    with httpx.stream("GET", url) as response:
        for _ in response.iter_bytes():
            pass


def with_requests():
    for _ in requests.get(url, stream=True).iter_content(None):
        pass


def with_urllib3():
    for _ in urllib3.PoolManager().request("GET", url, preload_content=False).stream():
        pass


def with_aiohttp():
    async def read():
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            async for _ in response.content:
                pass

    asyncio.run(read())


for instrumentor, call in [(HTTPXClientInstrumentor, with_httpx), (RequestsInstrumentor, with_requests),
                           (URLLib3Instrumentor, with_urllib3), (AioHttpClientInstrumentor, with_aiohttp)]:
    exporter, tracing, reader = InMemorySpanExporter(), TracerProvider(), InMemoryMetricReader()
    tracing.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor().instrument(tracer_provider=tracing, meter_provider=MeterProvider([reader]))
    call()
    instrumentor().uninstrument()
    [span] = exporter.get_finished_spans()
    [duration] = [point.sum for resource in reader.get_metrics_data().resource_metrics for scope in resource.scope_metrics
                  for metric in scope.metrics if metric.name == "http.client.request.duration" for point in metric.data.data_points]
    took = [round(seconds) for seconds in ((span.end_time - span.start_time) / 1e9, duration)]
    print(f"Python, {call.__name__[5:]}: span {took[0]} s, duration {took[1]} s")
PYTHON

cat > "$work/finding.mjs" <<'NODE'
import { setTimeout as sleep } from 'node:timers/promises';
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici';
import {
  AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';

const exporter = new InMemorySpanExporter();
const metrics = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
const reader = new PeriodicExportingMetricReader({ exporter: metrics });
const instrumentation = new UndiciInstrumentation();
instrumentation.setTracerProvider(new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));
instrumentation.setMeterProvider(new MeterProvider({ readers: [reader] }));
instrumentation.enable();
const response = await fetch(process.argv[2]);
for await (const _ of response.body);
await sleep(200);
await reader.forceFlush();
const [span] = exporter.getFinishedSpans();
const [{ value }] = metrics.getMetrics()[0].scopeMetrics[0].metrics[0].dataPoints;
console.log(`Node, fetch: span ${Math.round(span.duration[0] + span.duration[1] / 1e9)} s, duration ${Math.round(value.sum)} s`);
process.exit(0);
NODE

cat > "$work/main.go" <<'GO'
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

func main() {
	spans, reader := tracetest.NewInMemoryExporter(), sdkmetric.NewManualReader()
	transport := otelhttp.NewTransport(http.DefaultTransport,
		otelhttp.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))),
		otelhttp.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))))
	response, err := (&http.Client{Transport: transport}).Get(os.Args[1])
	if err != nil {
		panic(err)
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		panic(err)
	}
	response.Body.Close()
	var read metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &read); err != nil {
		panic(err)
	}
	duration := 0.0
	for _, metric := range read.ScopeMetrics[0].Metrics {
		if metric.Name == "http.client.request.duration" {
			duration = metric.Data.(metricdata.Histogram[float64]).DataPoints[0].Sum
		}
	}
	span := spans.GetSpans()[0]
	fmt.Printf("Go, net/http: span %.0f s, duration %.0f s\n", span.EndTime.Sub(span.StartTime).Seconds(), duration)
}
GO

cd "$work"
go mod init finding 2> /dev/null
go get go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp@v0.72.0 go.opentelemetry.io/otel/sdk@v1.47.0 \
  go.opentelemetry.io/otel/sdk/metric@v1.47.0 2> /dev/null
go mod tidy 2> /dev/null
venv/bin/pip list --format freeze | grep -E '^opentelemetry-instrumentation-[a-z]'
npm ls --prefix . --depth 0 | grep -o '@opentelemetry/instrumentation-undici@[0-9.]*'
grep otelhttp go.mod
mkfifo said
python3 provider.py > said &
server=$!
trap 'kill "$server"; chmod -R u+w "$work" && rm -rf "$work"' EXIT
read -r url < said
seen=$(venv/bin/python finding.py "$url"; node finding.mjs "$url"; go run . "$url")
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
Python, httpx: span 0 s, duration 0 s
Python, requests: span 0 s, duration 0 s
Python, urllib3: span 0 s, duration 0 s
Python, aiohttp: span 0 s, duration 0 s
Node, fetch: span 2 s, duration 2 s
Go, net/http: span 2 s, duration 0 s
SEEN
