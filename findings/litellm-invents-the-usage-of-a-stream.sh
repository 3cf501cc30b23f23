#!/usr/bin/env bash
# LiteLLM, asked for the usage of a stream (`stream_options.include_usage`) whose server sends none: what does the client get?
#
# Guess: no usage, as from the server; or, if LiteLLM counts for itself, a count that is marked as its own. The server answers with
# one word after 1,200 tokens of reasoning that it does not show, to a request with a tool whose description has 1,000 words. The
# same answer, not streamed, has its usage: 2,640 tokens of input and 1,205 of output.
#
# Found: a usage chunk of LiteLLM's own, by the library and, over HTTP, by its proxy, that has nothing to tell it from a reported
# one: 9 tokens of input, since tools are not counted, and 1 of output, since only text is. It says that there was no reasoning
# (`reasoning_tokens: 0`) and has a `cost`, here less than a hundredth of the true one. Where the application does not ask
# for usage, `stream_chunk_builder`, which puts the answer together afterwards, has the same numbers.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The extra `proxy` of 1.110.2 could not be installed: one of its packages was not to be had.
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet litellm==1.110.2
python3 -m venv "$work/proxy"
"$work/proxy/bin/pip" install --quiet 'litellm[proxy]==1.106.12'

cat > "$work/provider.py" <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

USAGE = {
    "prompt_tokens": 2640, "completion_tokens": 1205, "total_tokens": 3845,
    "completion_tokens_details": {"reasoning_tokens": 1200},
}
FUNCTION = {"name": "search", "description": "look up " * 500, "parameters": {"type": "object", "properties": {}}}
REQUEST = {
    "messages": [{"role": "user", "content": "Hi there"}],
    "tools": [{"type": "function", "function": FUNCTION}],
    "stream": True,
    "stream_options": {"include_usage": True},
}


def answer(kind, model, choice, **more):
    return {"id": "1", "object": kind, "created": 1, "model": model, "choices": [{"index": 0, **choice}], **more}


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        said = {"role": "assistant", "content": "Hello"}
        if request.get("stream"):
            choices = [{"delta": said, "finish_reason": None}, {"delta": {}, "finish_reason": "stop"}]
            events = [json.dumps(answer("chat.completion.chunk", request["model"], choice)) for choice in choices]
            body, kind = "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"]), "text/event-stream"
        else:
            choice = {"message": said, "finish_reason": "stop"}
            body, kind = json.dumps(answer("chat.completion", request["model"], choice, usage=USAGE)), "application/json"
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


def start():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/v1"


def show(name, usage):
    reasoning = usage["completion_tokens_details"]["reasoning_tokens"]
    counts = f"{usage['prompt_tokens']} in, {usage['completion_tokens']} out, of them {reasoning} of reasoning"
    print(f"{name}: {counts}, cost {usage['cost']:.7f}", flush=True)
PYTHON

cat > "$work/library.py" <<'PYTHON'
import litellm
from provider import REQUEST, show, start

litellm.suppress_debug_info = True  # no hints on standard output
call = {**REQUEST, "model": "openai/gpt-5.4", "api_base": start(), "api_key": "key"}
whole = litellm.completion(**{**call, "stream": False, "stream_options": None})
show("library, not streamed", {**whole.usage.model_dump(), "cost": whole._hidden_params["response_cost"]})
asked = [chunk.usage for chunk in litellm.completion(**call) if getattr(chunk, "usage", None)]
show("library, streamed, asked", asked[-1].model_dump())
chunks = list(litellm.completion(**{**call, "stream_options": None}))
sent = any(getattr(chunk, "usage", None) for chunk in chunks)
built = litellm.stream_chunk_builder(chunks, messages=REQUEST["messages"]).usage
show(f"library, streamed, not asked, usage on a chunk {sent}, stream_chunk_builder", built.model_dump())
PYTHON

cat > "$work/proxy.py" <<'PYTHON'
import json
import secrets
import socket
import subprocess
import sys
import time
import urllib.request

from provider import REQUEST, show, start

KEY = f"sk-{secrets.token_hex(32)}"
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
config = {
    "model_list": [
        {"model_name": "gpt-5.4", "litellm_params": {"model": "openai/gpt-5.4", "api_base": start(), "api_key": "key"}}
    ],
    "general_settings": {"master_key": KEY},
}
with open("config.yaml", "w") as file:
    json.dump(config, file)  # JSON is YAML too
command = [f"{sys.prefix}/bin/litellm", "--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port)]
with open("proxy.log", "w") as log:
    proxy = subprocess.Popen(command, stdout=log, stderr=log)
try:
    for _ in range(120):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(1)
    body = json.dumps({**REQUEST, "model": "gpt-5.4"}).encode()
    headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
    with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/v1/chat/completions", body, headers)) as answer:
        events = [line.removeprefix("data: ") for line in answer.read().decode().splitlines() if line.startswith("data: {")]
    show("proxy, streamed, asked", [json.loads(event)["usage"] for event in events if '"usage"' in event][-1])
finally:
    proxy.terminate()
    proxy.wait()
PYTHON

export LITELLM_LOCAL_MODEL_COST_MAP=True # the map of the package, not today's from the network
for venv in venv proxy; do "$work/$venv/bin/pip" list --format freeze | grep '^litellm='; done
seen=$(cd "$work"; venv/bin/python library.py 2> /dev/null && proxy/bin/python proxy.py)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
library, not streamed: 2640 in, 1205 out, of them 1200 of reasoning, cost 0.0246750
library, streamed, asked: 9 in, 1 out, of them 0 of reasoning, cost 0.0000375
library, streamed, not asked, usage on a chunk False, stream_chunk_builder: 9 in, 1 out, of them 0 of reasoning, cost 0.0000375
proxy, streamed, asked: 9 in, 1 out, of them 0 of reasoning, cost 0.0000375
SEEN
