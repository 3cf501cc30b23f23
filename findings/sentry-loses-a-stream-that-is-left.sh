#!/usr/bin/env bash
# Sentry's tracing of OpenAI's SDK: what does a transaction have of a stream that its reader leaves, or that fails in the middle?
#
# Guess: a span that ends where the reading ended, with the error if there was one. What the application does after it stands beside it, as
# after a stream that was read to its end.
#
# Found: no span at all, and no error. The span that was begun is never ended, so it is not sent; and it stays the current one: the next
# call of the model and the next step of the application are its children, with a parent that is not in the transaction.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"; [ -z "${server:-}" ] || kill "$server"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip install --quiet sentry-sdk==2.75.0 openai==3.57.0

cat > provider.py <<'PYTHON'
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def chunk(delta, finish=None):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


HALF = [chunk({"role": "assistant", "content": "Half"}), chunk({"content": " of"})]
USAGE = {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}
STREAMS = {
    "whole": [*HALF, chunk({"content": " it"}), {**chunk({}, "stop"), "usage": USAGE}],
    "failing": [*HALF, {"error": {"message": "overloaded", "type": "server_error"}}],
}


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        model = json.loads(self.rfile.read(int(self.headers["content-length"])))["model"]
        body = "".join(f"data: {event}\n\n" for event in [*map(json.dumps, STREAMS[model]), "[DONE]"])
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
print(f"http://127.0.0.1:{server.server_port}/v1", flush=True)
server.serve_forever()
PYTHON

cat > finding.py <<'PYTHON'
import sys

import openai
import sentry_sdk

transactions = []
sentry_sdk.init("http://key@127.0.0.1:9/1", traces_sample_rate=1.0, before_send_transaction=lambda event, _: transactions.append(event))
client = openai.OpenAI(api_key="key", base_url=sys.argv[1], max_retries=0)


def stream(model):
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hi"}], stream=True)


def to_the_end():
    for _ in stream("whole"):
        pass


def left():
    with stream("whole") as chunks:
        for _ in chunks:
            break


def failing():
    try:
        for _ in stream("failing"):
            pass
    except openai.APIError:
        pass


for first in [to_the_end, left, failing]:
    with sentry_sdk.isolation_scope(), sentry_sdk.start_transaction(name="run", op="task"):
        first()
        to_the_end()
        with sentry_sdk.start_span(op="step", name="save"):
            pass
    transaction = transactions.pop()
    spans = [span for span in transaction["spans"] if span["op"] in ("gen_ai.chat", "step")]
    names = {span["span_id"]: span["op"] for span in spans} | {transaction["contexts"]["trace"]["span_id"]: "run"}
    print(f"{first.__name__}, then whole, then save:",
          ", ".join(f"{span['op']} in {names.get(span['parent_span_id'], 'none that is there')}" for span in spans))
PYTHON

venv/bin/pip list --format freeze | grep -E '^(openai|sentry-sdk)='
mkfifo said
python3 provider.py > said &
server=$!
read -r url < said
seen=$(venv/bin/python finding.py "$url" 2> log) || { cat log; exit 1; }
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
to_the_end, then whole, then save: gen_ai.chat in run, gen_ai.chat in run, step in run
left, then whole, then save: gen_ai.chat in none that is there, step in none that is there
failing, then whole, then save: gen_ai.chat in none that is there, step in none that is there
SEEN
