#!/usr/bin/env bash
# Three instrumentations of the OpenAI SDK for Python: what do they record of a stream that its caller or an error ends?
#
# Guess: the same in all three. A stream that fails with an error after its first tokens (an event with `error`, which the SDK
# raises as APIError) is a span with status ERROR; a stream that the caller leaves with `break` is a span without an error, ended
# when the stream is closed or collected; a stream in a `with` block too.
#
# Found: no two agree. opentelemetry-instrumentation-openai-v2 records no span and no duration at all after a plain `break`.
# opentelemetry-instrumentation-openai (Traceloop) ends the failed stream with status OK and a duration without `error.type`: its
# clean-up ends the span as OK before the error is set (seen in the review of traceloop/openllmetry#3155).
# openinference-instrumentation-openai has all three as guessed.
#
# With openai 3, the first needs httpx, which it imports and does not depend on (open-telemetry/opentelemetry-python-contrib#4953),
# and an older opentelemetry-util-genai than pip takes by itself: with 1.3b0, which it allows, it cannot be imported.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet openai==3.54.0 httpx==0.28.1 opentelemetry-sdk==1.45.2 \
  opentelemetry-util-genai==1.0b0 opentelemetry-instrumentation-openai-v2==2.4b0 \
  opentelemetry-instrumentation-openai==0.62.4 openinference-instrumentation-openai==0.1.66

cat > "$work/finding.py" <<'PYTHON'
import gc
import importlib
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


def chunk(delta, finish=None):
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}


BEGIN = [chunk({"role": "assistant", "content": "Hel"})]
STREAMS = {
    "whole": BEGIN + [chunk({"content": "lo"}), chunk({}, "stop")],
    "failing": BEGIN + [{"error": {"message": "overloaded", "type": "server_error", "code": 503}}],
}


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        events = [json.dumps(event) for event in STREAMS[request["model"]]] + ["[DONE]"]
        body = "".join(f"data: {event}\n\n" for event in events).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def stream(model):
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hi"}], stream=True)


def read_to_the_end():
    for _ in stream("whole"):
        pass


def leave_in_with():
    with stream("whole") as chunks:
        for _ in chunks:
            break


def leave():
    for _ in stream("whole"):
        break


def fail():
    try:
        for _ in stream("failing"):
            pass
    except openai.APIError:
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = openai.OpenAI(api_key="key", base_url=f"http://127.0.0.1:{server.server_port}/v1", max_retries=0)
exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
tracing = TracerProvider()
tracing.add_span_processor(SimpleSpanProcessor(exporter))
package = importlib.import_module(sys.argv[1])
package.OpenAIInstrumentor().instrument(tracer_provider=tracing, meter_provider=MeterProvider([reader]))
for call in [read_to_the_end, leave_in_with, leave, fail]:
    call()
    gc.collect()
    spans = [f"span {span.status.status_code.name}, error.type {span.attributes.get('error.type')}"
             for span in exporter.get_finished_spans()]
    exporter.clear()
    print(f"{sys.argv[2]}, {call.__name__}: {'; '.join(spans) or 'no span'}")
data = reader.get_metrics_data()
points = [point for resource in (data.resource_metrics if data else []) for scope in resource.scope_metrics
          for metric in scope.metrics if metric.name == "gen_ai.client.operation.duration"
          for point in metric.data.data_points]
if points:
    failed = sum(point.count for point in points if "error.type" in point.attributes)
    print(f"{sys.argv[2]}: 4 calls, durations {sum(point.count for point in points)}, with error.type {failed}")
server.shutdown()
PYTHON

"$work/venv/bin/pip" list --format freeze | grep -E '^(openai|open.*-instrumentation-openai.*|opentelemetry-util-genai)='
seen=$(
  "$work/venv/bin/python" "$work/finding.py" opentelemetry.instrumentation.openai_v2 openai-v2
  "$work/venv/bin/python" "$work/finding.py" opentelemetry.instrumentation.openai Traceloop
  "$work/venv/bin/python" "$work/finding.py" openinference.instrumentation.openai OpenInference
)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
openai-v2, read_to_the_end: span UNSET, error.type None
openai-v2, leave_in_with: span UNSET, error.type None
openai-v2, leave: no span
openai-v2, fail: span ERROR, error.type APIError
openai-v2: 4 calls, durations 3, with error.type 1
Traceloop, read_to_the_end: span OK, error.type None
Traceloop, leave_in_with: span OK, error.type None
Traceloop, leave: span OK, error.type None
Traceloop, fail: span OK, error.type None
Traceloop: 4 calls, durations 4, with error.type 0
OpenInference, read_to_the_end: span OK, error.type None
OpenInference, leave_in_with: span UNSET, error.type None
OpenInference, leave: span UNSET, error.type None
OpenInference, fail: span ERROR, error.type None
SEEN
