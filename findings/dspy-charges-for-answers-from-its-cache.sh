#!/usr/bin/env bash
# DSPy: what does an answer from its cache cost, by its own history?
#
# Guess: nothing, as the usage of such an answer is empty. The cache is on by itself and lasts from one run to the next, which
# is what it is for: the second evaluation of a program costs nothing.
#
# Found: each entry of `lm.history` has the price of the first call, whether the model was asked or not. The sum over the
# history, the usual way to look up what was spent, grows with every hit. The `usage` of a hit is empty, so that tokens and cost
# of one entry do not go together.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet dspy==3.4.1 litellm==1.110.2

cat > "$work/finding.py" <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import dspy

asked = 0


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        global asked
        asked += 1
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps({
            "id": str(asked), "object": "chat.completion", "created": 1, "model": "gpt-4o",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "Paris"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
        }).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
lm = dspy.LM("openai/gpt-4o", api_base=f"http://127.0.0.1:{server.server_port}/v1", api_key="key")
for call in range(1, 4):
    lm("The capital of France?")
    entry = lm.history[-1]
    tokens = dict(entry["usage"]).get("total_tokens", "none")
    print(f"call {call}: requests so far {asked}, tokens of this entry {tokens}, its cost {entry['cost']}")
print(f"sum of the history: {sum(entry['cost'] for entry in lm.history)}")
server.shutdown()
PYTHON

"$work/venv/bin/pip" list --format freeze | grep -E '^(dspy|litellm)='
seen=$(cd "$work"; LITELLM_LOCAL_MODEL_COST_MAP=True DSPY_CACHEDIR="$work/cache" venv/bin/python finding.py)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
call 1: requests so far 1, tokens of this entry 1100, its cost 0.0035
call 2: requests so far 1, tokens of this entry none, its cost 0.0035
call 3: requests so far 1, tokens of this entry none, its cost 0.0035
sum of the history: 0.0105
SEEN
