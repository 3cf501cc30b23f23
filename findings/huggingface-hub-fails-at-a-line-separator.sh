#!/usr/bin/env bash
# huggingface_hub: is an answer read that has a line separator (U+2028) in its text?
#
# Guess: yes. A stream of events has lines that end with a line feed, a carriage return or both, and nothing else. In JSON the
# character may stand as it is, and stands so in what Rust's serde_json and Python's Pydantic write, of which TGI and vLLM make
# their chunks. Models take it over from web pages and PDF files in the prompt. The OpenAI SDK is the yardstick.
#
# Found: it takes lines from httpx2, which ends one at U+2028, U+0085 and others too, and half an event is no JSON: the stream
# fails with a JSONDecodeError in the middle of the answer, though TGI is made by the same house. No retry helps where the
# answer is the same, and the server has no error.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet huggingface-hub==2.4.0 openai==3.57.0

cat > "$work/provider.py" <<'PYTHON'
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TEXTS = {"plain": "two lines", "U+2028": "two\u2028lines", "U+2028-escaped": "two\u2028lines", "U+0085": "two\u0085lines"}


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        model = json.loads(self.rfile.read(int(self.headers["content-length"])))["model"]
        deltas = [({"role": "assistant", "content": "Here: "}, None), ({"content": TEXTS[model]}, None), ({}, "stop")]
        chunks = [{"id": "1", "object": "chat.completion.chunk", "created": 1, "model": model,
                   "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]} for delta, finish in deltas]
        events = [json.dumps(chunk, ensure_ascii=model.endswith("escaped")) for chunk in chunks] + ["[DONE]"]
        body = "".join(f"data: {event}\n\n" for event in events).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
PYTHON

cat > "$work/finding.py" <<'PYTHON'
import sys

import openai
from huggingface_hub import InferenceClient

url = f"{sys.argv[1]}/v1"
messages = [{"role": "user", "content": "Hi"}]
ways = {
    "OpenAI SDK": openai.OpenAI(api_key="key", base_url=url).chat.completions.create,
    "huggingface_hub": InferenceClient(base_url=url, api_key="key").chat.completions.create,
}
for name, create in ways.items():
    for model in sys.argv[2:]:
        text, end = "", "no error"
        try:
            for chunk in create(model=model, messages=messages, stream=True):
                text += chunk.choices[0].delta.content or ""
        except ValueError as error:
            end = type(error).__name__
        print(f"{name}, {model}: {text!a}, {end}")
PYTHON

"$work/venv/bin/pip" list --format freeze | grep -E '^(huggingface.hub|openai|httpx2?)='
mkfifo "$work/said"
python3 "$work/provider.py" > "$work/said" &
server=$!
trap 'kill "$server"; rm -rf "$work"' EXIT
read -r url < "$work/said"
texts=(plain U+2028-escaped U+2028 U+0085)
seen=$("$work/venv/bin/python" "$work/finding.py" "$url" "${texts[@]}")
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
OpenAI SDK, plain: 'Here: two lines', no error
OpenAI SDK, U+2028-escaped: 'Here: two\u2028lines', no error
OpenAI SDK, U+2028: 'Here: two\u2028lines', no error
OpenAI SDK, U+0085: 'Here: two\x85lines', no error
huggingface_hub, plain: 'Here: two lines', no error
huggingface_hub, U+2028-escaped: 'Here: two\u2028lines', no error
huggingface_hub, U+2028: 'Here: ', JSONDecodeError
huggingface_hub, U+0085: 'Here: ', JSONDecodeError
SEEN
