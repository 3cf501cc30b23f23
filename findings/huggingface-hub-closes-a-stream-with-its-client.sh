#!/usr/bin/env bash
# huggingface_hub: is a stream read to its end when the client that asked for it has no name?
#
# Guess: yes. The stream holds what it needs, as in the SDKs of OpenAI and Groq: `for chunk in
# OpenAI().chat.completions.create(…)` is a loop like any other, and so is a function that makes a client and returns the
# stream.
#
# Found: `InferenceClient` closes its streams when it is collected, which in CPython is before the first chunk is read: the loop
# ends with StreamClosed, a message that looks like a fault of the server or of a hop. The request was answered with 200, and is
# billed. With the client in a variable that lives as long as the loop, the same call is whole.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet huggingface-hub==2.4.0 openai==3.57.0 groq==1.7.0

cat > "$work/finding.py" <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import groq
import openai
from huggingface_hub import InferenceClient


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        deltas = [({"role": "assistant", "content": "Hel"}, None), ({"content": "lo"}, None), ({}, "stop")]
        chunks = [{"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m",
                   "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]} for delta, finish in deltas]
        body = "".join(f"data: {event}\n\n" for event in [*map(json.dumps, chunks), "[DONE]"]).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/v1"
clients = {
    "openai": lambda: openai.OpenAI(api_key="key", base_url=url),
    "groq": lambda: groq.Groq(api_key="key", base_url=url),
    "huggingface_hub": lambda: InferenceClient(base_url=url, api_key="key"),
}


def stream(client):
    return client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}], stream=True)


def read(chunks):
    text = ""
    try:
        for chunk in chunks:
            text += chunk.choices[0].delta.content or ""
    except Exception as error:
        return f'"{text}", {type(error).__name__}'
    return f'"{text}", no error'


for name, make in clients.items():
    print(f"{name}, the client has no name: {read(stream(make()))}")
    client = make()
    print(f"{name}, the client has one: {read(stream(client))}")
server.shutdown()
PYTHON

"$work/venv/bin/pip" list --format freeze | grep -E '^(huggingface.hub|openai|groq)='
seen=$("$work/venv/bin/python" "$work/finding.py")
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
openai, the client has no name: "Hello", no error
openai, the client has one: "Hello", no error
groq, the client has no name: "Hello", no error
groq, the client has one: "Hello", no error
huggingface_hub, the client has no name: "", StreamClosed
huggingface_hub, the client has one: "Hello", no error
SEEN
