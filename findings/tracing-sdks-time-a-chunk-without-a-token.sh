#!/usr/bin/env bash
# Sentry and Langfuse: what is the time to the first token of one stream?
#
# Guess: one figure from both, the time until the first text; or, with a model that reasons, until the first reasoning. The chunk with
# the role, which most servers send before a token is there, has no token.
#
# Found: of a chat stream it is the time until that chunk in both, however long the first reasoning and the first text take. Of the same
# answer by the Responses API it is the time of the first event in Langfuse, and that of the text in Sentry.
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
import time
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai

BASE = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "output": [], "error": None, "incomplete_details": None,
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "instructions": None, "metadata": {}, "temperature": 1,
        "top_p": 1, "usage": None}
PAUSE = None


def chat_events():
    def chunk(delta, finish=None):
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}

    yield chunk({"role": "assistant", "content": ""})
    yield PAUSE
    yield chunk({"reasoning_content": "Well"})
    yield PAUSE
    yield chunk({"content": "Hello"})
    yield chunk({}, "stop")


def responses_events():
    text = {"type": "output_text", "text": "Hello", "annotations": []}
    message = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [text]}
    summary = {"type": "summary_text", "text": "Well"}
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": [summary]}
    first = {"item_id": "rs_1", "output_index": 0, "summary_index": 0}
    second = {"item_id": "msg_1", "output_index": 1, "content_index": 0}
    usage = {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 2,
             "output_tokens_details": {"reasoning_tokens": 1}, "total_tokens": 12}
    yield {"type": "response.created", "response": {**BASE, "status": "in_progress"}}
    yield {"type": "response.output_item.added", "output_index": 0, "item": {**reasoning, "summary": []}}
    yield {"type": "response.reasoning_summary_part.added", **first, "part": {**summary, "text": ""}}
    yield PAUSE
    yield {"type": "response.reasoning_summary_text.delta", **first, "delta": "Well"}
    yield {"type": "response.reasoning_summary_text.done", **first, "text": "Well"}
    yield {"type": "response.reasoning_summary_part.done", **first, "part": summary}
    yield {"type": "response.output_item.done", "output_index": 0, "item": reasoning}
    yield {"type": "response.output_item.added", "output_index": 1, "item": {**message, "status": "in_progress", "content": []}}
    yield {"type": "response.content_part.added", **second, "part": {**text, "text": ""}}
    yield PAUSE
    yield {"type": "response.output_text.delta", **second, "delta": "Hello", "logprobs": []}
    yield {"type": "response.output_text.done", **second, "text": "Hello", "logprobs": []}
    yield {"type": "response.content_part.done", **second, "part": text}
    yield {"type": "response.output_item.done", "output_index": 1, "item": message}
    yield {"type": "response.completed", "response": {**BASE, "status": "completed", "output": [reasoning, message], "usage": usage}}


# The model goes on only when the application has what was sent, so that on a slow machine too a pause lies between one step and the next.
has_read = threading.Semaphore(0)
pauses = []


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        is_chat = self.path.endswith("/chat/completions")
        for number, event in enumerate(chat_events() if is_chat else responses_events()):
            if event is PAUSE:
                pauses.append(time.time())
                time.sleep(2)
                continue
            self.send(f"data: {json.dumps(event)}" if is_chat else
                      f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': number})}")
            has_read.acquire(timeout=60)
        if is_chat:
            self.send("data: [DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def send(self, event):
        self.wfile.write(b"%x\r\n%s\n\n\r\n" % (len(event) + 2, event.encode()))

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
settings = {"api_key": "key", "base_url": f"http://127.0.0.1:{server.server_port}/v1", "max_retries": 0}
question = {"model": "m", "stream": True}


def chat(client):
    for _ in client.chat.completions.create(messages=[{"role": "user", "content": "Hi"}], **question):
        has_read.release()


def responses(client):
    for _ in client.responses.create(input="Hi", **question):
        has_read.release()


def sentry(ask):
    import sentry_sdk

    transactions = []
    sentry_sdk.init("http://key@127.0.0.1:9/1", traces_sample_rate=1.0, before_send_transaction=lambda event, _: transactions.append(event))
    with sentry_sdk.start_transaction(name="run"):
        ask(openai.OpenAI(**settings))
    [[start, first]] = [(span["start_timestamp"], span["data"][key]) for span in transactions[0]["spans"] for key in span["data"]
                        if key.endswith("time_to_first_token")]
    return datetime.fromisoformat(start).timestamp() + first


def langfuse(ask):
    from langfuse import Langfuse
    from langfuse.openai import OpenAI
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    client = Langfuse(public_key="pk", secret_key="sk", base_url="http://127.0.0.1:9", span_exporter=exporter)
    ask(OpenAI(**settings))
    client.flush()
    [span] = exporter.get_finished_spans()
    return datetime.fromisoformat(span.attributes["langfuse.observation.completion_start_time"].strip('"')).timestamp()


tracing, api = sys.argv[1:]
logging.disable()
first = globals()[tracing](globals()[api])
# The middle of each pause divides the steps.
step = ["before any token", "with the reasoning", "with the text"][sum(pause + 1 < first for pause in pauses)]
print(f"{tracing}, {api}: {step}", flush=True)
# Without waiting for exporters.
os._exit(0)
PYTHON

venv/bin/pip list --format freeze | grep -E '^(openai|sentry-sdk|langfuse)='
seen=$(
  for tracing in sentry langfuse; do
    for api in chat responses; do venv/bin/python finding.py "$tracing" "$api" 2> log || { cat log >&2; exit 1; }; done
  done
)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
sentry, chat: before any token
sentry, responses: with the text
langfuse, chat: before any token
langfuse, responses: before any token
SEEN
