#!/usr/bin/env bash
# LangChain for Anthropic, in Python and Node: how many tokens has a streamed message?
#
# Guess: as many as one that is not streamed. Anthropic's stream says the input, and what of it was cached, in its first event
# (`message_start`), with an output that has only begun, and the whole output in its last but one (`message_delta`). That may repeat
# the input and need not: of its counts only `output_tokens` is required. Anthropic's own SDK is the yardstick.
#
# Found: each is wrong about one half. LangChain for Python reads `message_delta` alone: where that has the output only, as in the
# reference's example of a stream, the message has 0 input tokens and none from the cache; 0, not None, and no error. LangChain for
# Node has the input, and adds the output of the first event to that of the last, which has it already. Known upstream for Python:
# langchain-ai/langchain#35509.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"; [ -z "${server:-}" ] || kill "$server"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet anthropic==2.14.0 langchain-anthropic==1.7.10 langchain-core==1.8.3
npm install --silent --no-save --prefix "$work" @langchain/anthropic@1.5.11 @langchain/core@1.4.0

cat > "$work/provider.py" <<'PYTHON'
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

USAGE = {"input_tokens": 50, "cache_read_input_tokens": 1000, "cache_creation_input_tokens": 200, "output_tokens": 30}
MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn", "stop_sequence": None, "usage": USAGE,
}


def events(last_usage):
    begun = {**MESSAGE, "content": [], "stop_reason": None, "usage": {**USAGE, "output_tokens": 1}}
    return [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": last_usage},
        {"type": "message_stop"},
    ]


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if request.get("stream"):
            last_usage = USAGE if request["model"] == "input-twice" else {"output_tokens": 30}
            said = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events(last_usage)]
            body = "".join(said).encode()
        else:
            body = json.dumps(MESSAGE).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if request.get("stream") else "application/json")
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

import anthropic
from langchain_anthropic import ChatAnthropic

root = sys.argv[1]


def said(message):
    usage = message.usage_metadata
    cached = usage["input_token_details"].get("cache_read", 0)
    return f"{usage['input_tokens']} in, of them {cached} cached, {usage['output_tokens']} out"


client = anthropic.Anthropic(api_key="key", base_url=root)
with client.messages.stream(model="input-once", messages=[{"role": "user", "content": "Hi"}], max_tokens=99) as stream:
    usage = stream.get_final_message().usage
whole = usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens
cached = usage.cache_read_input_tokens
print(f"Anthropic SDK for Python, input-once: {whole} in, of them {cached} cached, {usage.output_tokens} out")
for model in ["input-twice", "input-once"]:
    chat = ChatAnthropic(model=model, api_key="key", base_url=root, max_tokens=99)
    print(f"LangChain for Python, not streamed, {model}: {said(chat.invoke('Hi'))}")
    whole = None
    for chunk in chat.stream("Hi"):
        whole = chunk if whole is None else whole + chunk
    print(f"LangChain for Python, streamed, {model}: {said(whole)}")
PYTHON

cat > "$work/finding.mjs" <<'NODE'
import { ChatAnthropic } from '@langchain/anthropic';

for (const model of ['input-twice', 'input-once']) {
  const chat = new ChatAnthropic({ model, apiKey: 'key', anthropicApiUrl: process.argv[2], maxTokens: 99 });
  let whole;
  for await (const chunk of await chat.stream('Hi')) {
    whole = whole ? whole.concat(chunk) : chunk;
  }
  const usage = whole.usage_metadata;
  console.log(`LangChain for Node, streamed, ${model}: ${usage.input_tokens} in, ` +
    `of them ${usage.input_token_details?.cache_read ?? 0} cached, ${usage.output_tokens} out`);
}
NODE

"$work/venv/bin/pip" list --format freeze | grep -E '^(langchain-anthropic|langchain-core|anthropic)='
npm ls --prefix "$work" --depth 0 | grep -o '@langchain/[a-z]*@[0-9.]*'
mkfifo "$work/said"
python3 "$work/provider.py" > "$work/said" &
server=$!
read -r root < "$work/said"
seen=$("$work/venv/bin/python" "$work/finding.py" "$root"; cd "$work"; node finding.mjs "$root")
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
Anthropic SDK for Python, input-once: 1250 in, of them 1000 cached, 30 out
LangChain for Python, not streamed, input-twice: 1250 in, of them 1000 cached, 30 out
LangChain for Python, streamed, input-twice: 1250 in, of them 1000 cached, 30 out
LangChain for Python, not streamed, input-once: 1250 in, of them 1000 cached, 30 out
LangChain for Python, streamed, input-once: 0 in, of them 0 cached, 30 out
LangChain for Node, streamed, input-twice: 1250 in, of them 1000 cached, 31 out
LangChain for Node, streamed, input-once: 1250 in, of them 1000 cached, 31 out
SEEN
