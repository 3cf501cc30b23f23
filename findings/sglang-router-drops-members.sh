#!/usr/bin/env bash
# sglang-router, the gateway in front of SGLang's servers: does a chat request arrive as it was sent?
#
# Guess: yes. The router picks a worker; a member that it does not know is for the worker to judge, above all where router and
# server are of one project.
#
# Found: no. A request is read into the router's own types and written anew. Members that these lack are gone without a word:
# OpenAI's `user` and `store`, SGLang's own `priority` and `rid`, a running total of usage, and state that a provider wants back
# in the next turn (`extra_content` of a tool call). `max_tokens` has another name, and members are there that nobody sent. What
# OpenAI documents and the types have otherwise is a 400 (`verbosity`, parts `input_audio` and `file`).
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet sglang-router==0.3.2

cat > "$work/finding.py" <<'PYTHON'
import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODEL = {"object": "list", "data": [{"id": "m", "object": "model"}], "model_path": "m", "is_generation": True}
ANSWER = {
    "id": "1", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
}
BASE = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
# One member each, as a client may send it.
MEMBERS = {
    "seed": 1, "metadata": {"a": "b"}, "chat_template_kwargs": {"enable_thinking": False}, "max_tokens": 5, "user": "u",
    "store": True, "priority": 3, "rid": "r", "vendor": 1, "verbosity": "low",
}
CALL = {
    "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"},
    "extra_content": {"google": {"thought_signature": "s"}},
}
HISTORY = [{"role": "assistant", "content": None, "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "call_1", "content": "x"}]
PARTS = {
    "image_url": {"url": "data:image/png;base64,AA=="}, "input_audio": {"data": "AA==", "format": "wav"}, "file": {"file_id": "f"},
}
read = []  # what the worker was sent


class Worker(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.whole(MODEL)

    def do_POST(self):
        read.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.whole(ANSWER)

    def whole(self, answer):
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def post(body):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"content-type": "application/json"})
    return connection.getresponse().status


def arrives(body, place):
    """What the worker reads at the place (keys and indices) of a member of the body."""
    before = len(read)
    status = post(body)
    if len(read) == before:
        return f"refused by the router, {status}"
    found = read[-1]
    new = sorted(found.keys() - body.keys() - ADDED)
    for step in place:
        if isinstance(found, dict) and step not in found:
            return f"gone{', and there is ' + new[0] if new else ''}"
        found = found[step]
    return "arrives"


worker = ThreadingHTTPServer(("127.0.0.1", 0), Worker)
threading.Thread(target=worker.serve_forever, daemon=True).start()
port = free_port()
command = [
    sys.executable, "-m", "sglang_router.launch_router", "--host", "127.0.0.1", "--port", str(port),
    "--prometheus-host", "127.0.0.1", "--prometheus-port", str(free_port()),
    "--worker-urls", f"http://127.0.0.1:{worker.server_port}",
]
with open("router.log", "w") as log:
    router = subprocess.Popen(command, stdout=log, stderr=log)
try:
    for _ in range(120):
        try:
            if post(BASE) == 200:
                break
        except OSError:
            pass
        time.sleep(0.5)
    ADDED = read[-1].keys() - BASE.keys()
    print("members that nobody sent:", ", ".join(sorted(ADDED)))
    for name, value in MEMBERS.items():
        print(f"{name}: {arrives({**BASE, name: value}, [name])}")
    usage = {"include_usage": True, "continuous_usage_stats": True}
    asked = {**BASE, "stream": True, "stream_options": usage}
    print("stream_options.continuous_usage_stats:", arrives(asked, ["stream_options", "continuous_usage_stats"]))
    history = {**BASE, "messages": BASE["messages"] + HISTORY}
    print("extra_content of a tool call:", arrives(history, ["messages", 1, "tool_calls", 0, "extra_content"]))
    for kind, part in PARTS.items():
        body = {**BASE, "messages": [{"role": "user", "content": [{"type": kind, kind: part}]}]}
        print(f"a part {kind}: {arrives(body, ['messages', 0, 'content', 0, kind])}")
finally:
    router.terminate()
    router.wait()
PYTHON

"$work/venv/bin/pip" list --format freeze | grep '^sglang-router='
seen=$(cd "$work"; venv/bin/python finding.py)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
members that nobody sent: continue_final_message, ignore_eos, logprobs, no_stop_trim, return_hidden_states, separate_reasoning, skip_special_tokens, stream, stream_reasoning
seed: arrives
metadata: arrives
chat_template_kwargs: arrives
max_tokens: gone, and there is max_completion_tokens
user: gone
store: gone
priority: gone
rid: gone
vendor: gone
verbosity: refused by the router, 400
stream_options.continuous_usage_stats: gone
extra_content of a tool call: gone
a part image_url: arrives
a part input_audio: refused by the router, 400
a part file: refused by the router, 400
SEEN
