#!/usr/bin/env bash
# Five clients and a 429 with `Retry-After: 300`: when do they ask again?
#
# Guess: after five minutes, or not at all, and then the caller is told at once. RFC 9110 §10.2.3 has the header say how long to
# wait, and the four SDKs of OpenAI and Anthropic come from one generator. A timeout of five seconds, which they are given, ends a
# wait of five minutes. `Retry-After: 1` is the yardstick: all of them heed it.
#
# Found: three answers. OpenAI's SDK for Python gives up at once, since it heeds two minutes at most. OpenAI's SDK for Node and
# Vercel's AI SDK ignore more than a minute, and ask twice more within seconds: the longer a server wants to be left alone, the
# sooner they are back. Anthropic's SDKs wait, and their timeout, which is that of a request, does not end it: the call is silent
# for five minutes, or for whatever the server says. OpenAI changed both of theirs in 2026 (openai/openai-python#3555,
# openai/openai-node#1840), so it depends on the version too.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet openai==3.57.0 anthropic==2.14.0
npm install --silent --no-save --prefix "$work" openai@7.59.0 @anthropic-ai/sdk@1.14.0 ai@7.0.173 @ai-sdk/openai-compatible@3.0.92

cat > "$work/finding.mjs" <<'NODE'
import Anthropic from '@anthropic-ai/sdk';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText } from 'ai';
import OpenAI from 'openai';

const [root, seconds] = process.argv.slice(2);
const messages = [{ role: 'user', content: 'Hi' }];
const timeout = 5000;
const openai = new OpenAI({ apiKey: 'key', baseURL: `${root}/v1`, timeout });
const anthropic = new Anthropic({ apiKey: 'key', baseURL: root, timeout });
const compatible = createOpenAICompatible({ name: 'other', baseURL: `${root}/v1`, apiKey: 'key' });
const calls = {
  'openai, Node': (model) => openai.chat.completions.create({ model, messages }),
  '@anthropic-ai/sdk, Node': (model) => anthropic.messages.create({ model, messages, max_tokens: 9 }),
  'ai, Node': (model) => generateText({ model: compatible(model), messages }),
};
for (const [name, call] of Object.entries(calls)) {
  for (const wait of [1, 300]) {
    call(`${name}: ${wait}`).catch(() => console.log(`${name}: ${wait}`));
  }
}
setTimeout(() => process.exit(), seconds * 1000);
NODE

cat > "$work/finding.py" <<'PYTHON'
import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anthropic
import openai

WATCHED_S = 12
MESSAGES = [{"role": "user", "content": "Hi"}]
CLIENTS = ["openai, Python", "openai, Node", "anthropic, Python", "@anthropic-ai/sdk, Node", "ai, Node"]
asked = {f"{client}: {wait}": [] for client in CLIENTS for wait in [1, 300]}
failed = set()


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        model = json.loads(self.rfile.read(int(self.headers["content-length"])))["model"]
        asked[model].append(time.monotonic())
        body = json.dumps({"error": {"message": "too many requests", "type": "rate_limit_error"}}).encode()
        self.send_response(429)
        self.send_header("retry-after", model.split(": ")[1])
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def fail(call, model):
    try:
        call(model)
    except Exception:
        failed.add(model)


def report(model):
    times = asked[model]
    wait = int(model.split(": ")[1])
    early = sum(later - earlier < wait for earlier, later in zip(times, times[1:]))
    call = "the call has failed" if model in failed else "the call goes on"
    print(f"{model} s: requests {len(times)}, of them too early {early}, {call}")


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
server.handle_error = lambda *_: None  # connections that Node drops when it exits
threading.Thread(target=server.serve_forever, daemon=True).start()
root = f"http://127.0.0.1:{server.server_port}"
node = subprocess.Popen(["node", "finding.mjs", root, str(WATCHED_S)], stdout=subprocess.PIPE, text=True)
of_openai = openai.OpenAI(api_key="key", base_url=f"{root}/v1", timeout=5)
of_anthropic = anthropic.Anthropic(api_key="key", base_url=root, timeout=5)
calls = {
    "openai, Python": lambda model: of_openai.chat.completions.create(model=model, messages=MESSAGES),
    "anthropic, Python": lambda model: of_anthropic.messages.create(model=model, messages=MESSAGES, max_tokens=9),
}
for client, call in calls.items():
    for wait in [1, 300]:
        threading.Thread(target=fail, args=(call, f"{client}: {wait}"), daemon=True).start()
failed.update(node.communicate()[0].splitlines())
for wait in [1, 300]:
    for client in CLIENTS:
        report(f"{client}: {wait}")
sys.stdout.flush()
os._exit(0)  # without those that still wait
PYTHON

"$work/venv/bin/pip" list --format freeze | grep -E '^(anthropic|openai)='
npm ls --prefix "$work" --depth 0 | grep -oE '(@ai-sdk/openai-compatible|@anthropic-ai/sdk|\bopenai|\bai)@[0-9.]+'
seen=$(cd "$work"; venv/bin/python finding.py)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
openai, Python: 1 s: requests 3, of them too early 0, the call has failed
openai, Node: 1 s: requests 3, of them too early 0, the call has failed
anthropic, Python: 1 s: requests 3, of them too early 0, the call has failed
@anthropic-ai/sdk, Node: 1 s: requests 3, of them too early 0, the call has failed
ai, Node: 1 s: requests 3, of them too early 0, the call has failed
openai, Python: 300 s: requests 1, of them too early 0, the call has failed
openai, Node: 300 s: requests 3, of them too early 2, the call has failed
anthropic, Python: 300 s: requests 1, of them too early 0, the call goes on
@anthropic-ai/sdk, Node: 300 s: requests 1, of them too early 0, the call goes on
ai, Node: 300 s: requests 3, of them too early 2, the call has failed
SEEN
