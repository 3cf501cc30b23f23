#!/usr/bin/env bash
# The OpenAI SDKs for Python and Node: what do they make of a chat stream that ends too early, in good order?
#
# Guess: an error, and the same one in both. The reference has a stream end with `data: [DONE]`, and the last chunk of a choice
# with a finish reason. This body has neither, since the server gave up in the middle, but it ends like a whole one (chunked, with
# the last chunk of length zero): a server that meets an error after its head, or a proxy that hides one, ends it so.
#
# Found: neither SDK looks for the sentinel. Iterating over `create(stream=True)` ends without an error in both: half an answer
# looks like a whole one. The helpers that collect the answer differ: Node's `finalChatCompletion()` fails ("missing
# finish_reason"), Python's `get_final_completion()` returns the half with the finish reason None.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"; [ -z "${server:-}" ] || kill "$server"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet openai==3.54.0
npm install --silent --no-save --prefix "$work" openai@6.49.0

cat > "$work/provider.py" <<'PYTHON'
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        choice = {"index": 0, "delta": {"role": "assistant", "content": "Half of"}, "finish_reason": None}
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
        event = f"data: {json.dumps(chunk)}\n\n"
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.wfile.write(f"{len(event):x}\r\n{event}\r\n0\r\n\r\n".encode())

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
print(f"http://127.0.0.1:{server.server_port}/v1", flush=True)
server.serve_forever()
PYTHON

cat > "$work/finding.py" <<'PYTHON'
import sys

import openai

client = openai.OpenAI(api_key="key", base_url=sys.argv[1], max_retries=0)
request = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def iterate():
    chunks = client.chat.completions.create(**request, stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def collect():
    with client.chat.completions.stream(**request) as stream:
        choice = stream.get_final_completion().choices[0]
    return f"{choice.message.content}, finish reason {choice.finish_reason}"


for name, call in [("create(stream=True)", iterate), ("get_final_completion()", collect)]:
    try:
        print(f"Python {name}: {call()}")
    except Exception as error:
        print(f"Python {name}: error: {error}")
PYTHON

cat > "$work/finding.mjs" <<'NODE'
import OpenAI from 'openai';

const client = new OpenAI({ apiKey: 'key', baseURL: process.argv[2], maxRetries: 0 });
const request = { model: 'm', messages: [{ role: 'user', content: 'Hi' }] };

const iterate = async () => {
  let text = '';
  for await (const chunk of await client.chat.completions.create({ ...request, stream: true })) {
    text += chunk.choices[0].delta.content ?? '';
  }
  return text;
};

const collect = async () => {
  const [choice] = (await client.chat.completions.stream(request).finalChatCompletion()).choices;
  return `${choice.message.content}, finish reason ${choice.finish_reason}`;
};

for (const [name, call] of [['create({ stream: true })', iterate], ['finalChatCompletion()', collect]]) {
  const said = await call().catch((error) => `error: ${error.message}`);
  console.log(`Node ${name}: ${said}`);
}
NODE

"$work/venv/bin/pip" list --format freeze | grep '^openai='
npm ls --prefix "$work" openai | grep -o 'openai@.*'
mkfifo "$work/said"
python3 "$work/provider.py" > "$work/said" &
server=$!
read -r url < "$work/said"
seen=$("$work/venv/bin/python" "$work/finding.py" "$url"; cd "$work"; node finding.mjs "$url")
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
Python create(stream=True): Half of
Python get_final_completion(): Half of, finish reason None
Node create({ stream: true }): Half of
Node finalChatCompletion(): error: missing finish_reason for choice 0
SEEN
