#!/usr/bin/env bash
# Sentry and Langfuse: how many tokens did a streamed response take that reached its token limit?
#
# Guess: those that it reported. Such a response ends with `response.incomplete`, which has the usage where `response.completed` has it.
#
# Found: in Langfuse those, in Sentry none, since it looks for `response.completed` only; the span is there, without an error. Not streamed,
# Sentry has them. What reached the limit are the longest answers, so that a sum over spans lacks the dearest ones.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip install --quiet sentry-sdk==2.75.0 langfuse==5.0.4 openai==3.57.0

cat > finding.py <<'PYTHON'
import json
import logging
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai

PLACE = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
TEXT = {"type": "output_text", "text": "Hello", "annotations": []}
USAGE = {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 20,
         "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 30}
BASE = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "output": [], "error": None, "incomplete_details": None,
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "instructions": None, "metadata": {}, "temperature": 1,
        "top_p": 1, "usage": None}


def message(status, *content):
    return {"type": "message", "id": "msg_1", "status": status, "role": "assistant", "content": content}


def last(status):
    details = {"reason": "max_output_tokens"} if status == "incomplete" else None
    return {**BASE, "status": status, "incomplete_details": details, "output": [message(status, TEXT)], "usage": USAGE}


def events(status):
    yield "response.created", {"response": {**BASE, "status": "in_progress"}}
    yield "response.output_item.added", {"output_index": 0, "item": message("in_progress")}
    yield "response.content_part.added", {**PLACE, "part": {**TEXT, "text": ""}}
    yield "response.output_text.delta", {**PLACE, "delta": "Hello", "logprobs": []}
    yield "response.output_text.done", {**PLACE, "text": "Hello", "logprobs": []}
    yield "response.content_part.done", {**PLACE, "part": TEXT}
    yield "response.output_item.done", {"output_index": 0, "item": message(status, TEXT)}
    yield f"response.{status}", {"response": last(status)}


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        status = self.path.split("/")[1]
        body, kind = json.dumps(last(status)), "application/json"
        if request.get("stream"):
            body = "".join(f"event: {name}\ndata: {json.dumps({'type': name, 'sequence_number': number, **said})}\n\n"
                           for number, (name, said) in enumerate(events(status)))
            kind = "text/event-stream"
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()


def ask(client, stream):
    question = {"model": "m", "input": "Hi", "max_output_tokens": 20}
    if stream:
        list(client.responses.create(**question, stream=True))
    else:
        client.responses.create(**question)


def sentry(settings, stream):
    import sentry_sdk

    transactions = []
    sentry_sdk.init("http://key@127.0.0.1:9/1", traces_sample_rate=1.0, before_send_transaction=lambda event, _: transactions.append(event))
    with sentry_sdk.start_transaction(name="run"):
        ask(openai.OpenAI(**settings), stream)
    [span] = [span for span in transactions[0]["spans"] if span["op"].startswith("gen_ai.")]
    return [span["data"].get(f"gen_ai.usage.{kind}_tokens") for kind in ("input", "output")]


def langfuse(settings, stream):
    from langfuse import Langfuse
    from langfuse.openai import OpenAI
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    client = Langfuse(public_key="pk", secret_key="sk", base_url="http://127.0.0.1:9", span_exporter=exporter)
    ask(OpenAI(**settings), stream)
    client.flush()
    [span] = exporter.get_finished_spans()
    usage = json.loads(span.attributes.get("langfuse.observation.usage_details", "{}"))
    return [usage.get(f"{kind}_tokens") for kind in ("input", "output")]


tracing, status, how = sys.argv[1:]
logging.disable()
settings = {"api_key": "key", "base_url": f"http://127.0.0.1:{server.server_port}/{status}/v1", "max_retries": 0}
tokens_in, tokens_out = globals()[tracing](settings, how == "streamed")
print(f"{tracing}, {status}, {how}: {tokens_in} tokens in, {tokens_out} out", flush=True)
# Without waiting for exporters.
os._exit(0)
PYTHON

venv/bin/pip list --format freeze | grep -E '^(openai|sentry-sdk|langfuse)='
seen=$(
  for tracing in sentry langfuse; do
    for status in completed incomplete; do
      for how in whole streamed; do venv/bin/python finding.py "$tracing" "$status" "$how" 2> log || { cat log >&2; exit 1; }; done
    done
  done
)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
sentry, completed, whole: 10 tokens in, 20 out
sentry, completed, streamed: 10 tokens in, 20 out
sentry, incomplete, whole: 10 tokens in, 20 out
sentry, incomplete, streamed: None tokens in, None out
langfuse, completed, whole: 10 tokens in, 20 out
langfuse, completed, streamed: 10 tokens in, 20 out
langfuse, incomplete, whole: 10 tokens in, 20 out
langfuse, incomplete, streamed: 10 tokens in, 20 out
SEEN
