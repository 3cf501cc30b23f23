#!/usr/bin/env bash
# OpenTelemetry's instrumentation for FastAPI (and every ASGI server): how many spans is one streamed answer?
#
# Guess: one, of kind server, that lasts until the last byte. It is one HTTP request.
#
# Found: one for each piece of the body, and five more: an answer of 200 chunks is 205 spans. The instrumentation wraps what an
# ASGI application sends, and a body that is streamed is sent in as many pieces as it has events: one for each token in most
# model servers and gateways. An answer that is not streamed has four. The argument `exclude_spans` turns them off; there is no
# environment variable for it, so that an application under `opentelemetry-instrument` has them all.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet fastapi==0.165.0 uvicorn==0.54.0 httpx==0.28.1 opentelemetry-sdk==1.45.1 \
  opentelemetry-instrumentation-fastapi==0.66b1

cat > "$work/finding.py" <<'PYTHON'
import json
import threading
import time
from collections import Counter

import httpx
import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

CHUNKS = 200


def application():
    app = FastAPI()

    @app.post("/v1/chat/completions")
    async def chat(request: dict):
        words = ["word "] * CHUNKS
        if not request.get("stream"):
            message = {"role": "assistant", "content": "".join(words)}
            return {"id": "1", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}

        async def events():
            for word in words:
                yield f"data: {json.dumps({'id': '1', 'choices': [{'index': 0, 'delta': {'content': word}}]})}\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    return app


def ask(name, stream, **options):
    exporter, tracing = InMemorySpanExporter(), TracerProvider()
    tracing.add_span_processor(SimpleSpanProcessor(exporter))
    app = application()
    FastAPIInstrumentor.instrument_app(app, tracer_provider=tracing, **options)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    httpx.post(f"http://127.0.0.1:{port}/v1/chat/completions", json={"stream": stream}).read()
    server.should_exit = True
    thread.join()
    names = [span.name.removeprefix("POST /v1/chat/completions").strip() for span in exporter.get_finished_spans()]
    spans = Counter(name or "the request" for name in names)
    print(f"{name}: {spans.total()} spans: {', '.join(f'{count} {kind}' for kind, count in sorted(spans.items()))}")


ask("whole", False)
ask(f"{CHUNKS} chunks", True)
ask(f"{CHUNKS} chunks, exclude_spans", True, exclude_spans=["receive", "send"])
PYTHON

"$work/venv/bin/pip" list --format freeze | grep -E '^(fastapi|opentelemetry-instrumentation-(fastapi|asgi))='
seen=$("$work/venv/bin/python" "$work/finding.py")
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
whole: 4 spans: 1 http receive, 2 http send, 1 the request
200 chunks: 205 spans: 2 http receive, 202 http send, 1 the request
200 chunks, exclude_spans: 1 spans: 1 the request
SEEN
