#!/usr/bin/env bash
# The OpenAI SDK for Python: do streamed calls of one client share a connection, as its other calls do?
#
# Guess: yes. The server answers with a chunked body, complete and in one write, and keeps the connection open (HTTP/1.1); the
# client keeps a pool of connections and reads each stream to its end.
#
# Found: not the synchronous client with a stream that ends with `data: [DONE]`, as chat completions do. It stops reading at the
# sentinel, so that the last piece of the body (`0\r\n\r\n`) stays unread, and closes the connection: one connection for each call.
# The same stream without the sentinel is read to its end, and the asynchronous client reads on for up to 0.1 s: one connection
# for all calls.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet openai==3.54.0 httpx2==2.16.2

cat > "$work/finding.py" <<'PYTHON'
import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai

CALLS = 5
MESSAGES = [{"role": "user", "content": "Hi"}]


def chat(kind, **choice):
    return json.dumps({"id": "1", "object": kind, "created": 1, "model": "m", "choices": [{"index": 0, **choice}]})


WHOLE = chat("chat.completion", message={"role": "assistant", "content": "Hello"}, finish_reason="stop")
EVENTS = [
    chat("chat.completion.chunk", delta={"role": "assistant", "content": "Hello"}, finish_reason=None),
    chat("chat.completion.chunk", delta={}, finish_reason="stop"),
]


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    connections = 0

    def setup(self):
        super().setup()
        Provider.connections += 1

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        sentinel = ["[DONE]"] if request["model"] == "with [DONE]" else []
        stream = "".join(f"data: {event}\n\n" for event in EVENTS + sentinel)
        body, kind = (stream, "text/event-stream") if request.get("stream") else (WHOLE, "application/json")
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.wfile.write(f"{len(body):x}\r\n{body}\r\n0\r\n\r\n".encode())

    def log_message(self, *_):
        pass


def whole(client):
    client.chat.completions.create(model="m", messages=MESSAGES)


def streamed(model):
    def call(client):
        for _ in client.chat.completions.create(model=model, messages=MESSAGES, stream=True):
            pass

    return call


def call_many(url, call):
    with openai.OpenAI(api_key="key", base_url=url, max_retries=0) as client:
        for _ in range(CALLS):
            call(client)


async def stream_many(url):
    async with openai.AsyncOpenAI(api_key="key", base_url=url, max_retries=0) as client:
        for _ in range(CALLS):
            async for _ in await client.chat.completions.create(model="with [DONE]", messages=MESSAGES, stream=True):
                pass


def count(what, calls):
    Provider.connections = 0
    calls()
    print(f"{what}: calls {CALLS}, connections {Provider.connections}")


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/v1"
count("OpenAI, no stream", lambda: call_many(url, whole))
count("OpenAI, stream without [DONE]", lambda: call_many(url, streamed("without [DONE]")))
count("OpenAI, stream with [DONE]", lambda: call_many(url, streamed("with [DONE]")))
count("AsyncOpenAI, stream with [DONE]", lambda: asyncio.run(stream_many(url)))
server.shutdown()
PYTHON

"$work/venv/bin/pip" list --format freeze | grep -E '^(openai|httpx2)='
seen=$("$work/venv/bin/python" "$work/finding.py")
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
OpenAI, no stream: calls 5, connections 1
OpenAI, stream without [DONE]: calls 5, connections 1
OpenAI, stream with [DONE]: calls 5, connections 5
AsyncOpenAI, stream with [DONE]: calls 5, connections 1
SEEN
