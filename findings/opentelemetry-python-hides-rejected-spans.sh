#!/usr/bin/env bash
# OTLP exporters for Python, Node and Go: what is heard of spans that the receiver takes in part (a partial success)?
#
# Guess: a warning with the receiver's message and the number of spans. The protocol has an answer of its own for it, with
# status 200, and receivers give it for spans that are too large or too old, for attributes over a limit, and over a quota;
# prompts in spans run into each of them.
#
# Found: Python's exporters, by HTTP and by gRPC, do not look at the answer: the export is a SUCCESS, nothing is logged at any
# level, and the spans are gone. Node writes a warning to its diagnostics, which nobody sees who has set no logger for them. Go
# writes it to the standard error by itself.
set -euo pipefail

work=$(mktemp -d)
trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet opentelemetry-sdk==1.45.1 opentelemetry-exporter-otlp-proto-http==1.45.1 \
  opentelemetry-exporter-otlp-proto-grpc==1.45.1
npm install --silent --no-save --prefix "$work" @opentelemetry/api@1.9.1 @opentelemetry/sdk-trace-node@2.12.1 \
  @opentelemetry/exporter-trace-otlp-proto@0.223.1

# A receiver that rejects one span of each export, by HTTP and by gRPC.
cat > "$work/receiver.py" <<'PYTHON'
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceServicer, add_TraceServiceServicer_to_server

ANSWER = ExportTraceServiceResponse()
ANSWER.partial_success.rejected_spans = 1
ANSWER.partial_success.error_message = "attribute gen_ai.input.messages is too long"


class Http(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        if "content-length" in self.headers:
            self.rfile.read(int(self.headers["content-length"]))
        else:
            while size := int(self.rfile.readline(), 16):
                self.rfile.read(size + 2)
            self.rfile.readline()
        body = ANSWER.SerializeToString()
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Grpc(TraceServiceServicer):
    def Export(self, request, context):
        return ANSWER


rpc = grpc.server(futures.ThreadPoolExecutor(1))
add_TraceServiceServicer_to_server(Grpc(), rpc)
port = rpc.add_insecure_port("127.0.0.1:0")
rpc.start()
http = ThreadingHTTPServer(("127.0.0.1", 0), Http)
print(f"http://127.0.0.1:{http.server_port}/v1/traces 127.0.0.1:{port}", flush=True)
http.serve_forever()
PYTHON

cat > "$work/finding.py" <<'PYTHON'
import logging
import sys

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as Grpc
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as Http
from opentelemetry.sdk.trace import TracerProvider

heard = []
handler = logging.Handler()
handler.emit = lambda record: heard.append(record.getMessage()) if record.name.startswith("opentelemetry") else None
logging.basicConfig(level=logging.DEBUG, handlers=[handler])
tracing = TracerProvider()
for name, exporter in [("http", Http(endpoint=sys.argv[1])), ("grpc", Grpc(endpoint=sys.argv[2], insecure=True))]:
    span = tracing.get_tracer("finding").start_span("chat")
    span.end()
    heard.clear()
    print(f"Python, {name}: {exporter.export([span]).name}, logged at any level: {heard or 'nothing'}")
PYTHON

cat > "$work/finding.mjs" <<'NODE'
import { diag, DiagLogLevel } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';

let heard = [];
for (const stream of [process.stdout, process.stderr]) {
  const write = stream.write.bind(stream);
  stream.write = (text, ...rest) => { heard.push(text); return write(text, ...rest); };
}
const spans = new InMemorySpanExporter();
new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] }).getTracer('finding').startSpan('chat').end();
for (const logger of [false, true]) {
  const note = (...said) => heard.push(said.join(' '));
  if (logger) diag.setLogger({ error: note, warn: note, info() {}, debug() {}, verbose() {} }, DiagLogLevel.WARN);
  heard = [];
  const exporter = new OTLPTraceExporter({ url: process.argv[2] });
  const { code } = await new Promise((done) => exporter.export(spans.getFinishedSpans(), done));
  const said = heard.join(' ') || 'nothing';
  console.log(`Node, ${logger ? 'a logger is set' : 'as it comes'}: ${code === 0 ? 'SUCCESS' : 'FAILED'}, written: ${said}`);
}
NODE

cat > "$work/main.go" <<'GO'
package main

import (
	"context"
	"os"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/trace"
)

func main() {
	exporter, err := otlptracehttp.New(context.Background(), otlptracehttp.WithEndpointURL(os.Args[1]))
	if err != nil {
		panic(err)
	}
	tracing := trace.NewTracerProvider(trace.WithSyncer(exporter))
	_, span := tracing.Tracer("finding").Start(context.Background(), "chat")
	span.End()
}
GO

cd "$work"
go mod init finding 2> /dev/null
go get go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp@v1.47.0 go.opentelemetry.io/otel/sdk@v1.47.0 2> /dev/null
go mod tidy 2> /dev/null
venv/bin/pip list --format freeze | grep -E '^opentelemetry-exporter-otlp-proto-(http|grpc)='
npm ls --prefix . --depth 0 | grep -o '@opentelemetry/exporter-trace-otlp-proto@[0-9.]*'
grep otlptracehttp go.mod
mkfifo said
venv/bin/python receiver.py > said &
server=$!
trap 'kill "$server"; chmod -R u+w "$work" && rm -rf "$work"' EXIT
read -r http grpc < said
seen=$(
  venv/bin/python finding.py "$http" "$grpc"
  node finding.mjs "$http"
  go run . "$http" 2>&1 | sed -E 's/^[0-9/]+ [0-9:]+ /Go, as it comes, written: /'
)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
Python, http: SUCCESS, logged at any level: nothing
Python, grpc: SUCCESS, logged at any level: nothing
Node, as it comes: SUCCESS, written: nothing
Node, a logger is set: SUCCESS, written: Received Partial Success response: {"rejectedSpans":1,"errorMessage":"attribute gen_ai.input.messages is too long"}
Go, as it comes, written: traces export: OTLP partial success: attribute gen_ai.input.messages is too long (1 spans rejected)
SEEN
