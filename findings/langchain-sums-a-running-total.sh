#!/usr/bin/env bash
# LangChain for Python and Node: how many tokens does a stream have whose chunks carry a running total?
#
# Guess: as many as its last chunk says. vLLM and SGLang send the total so far on each chunk when asked for it
# (`continuous_usage_stats`), other servers repeat the final usage; the numbers never get smaller, and the last is the one of a
# call without a stream. The same stream through the OpenAI SDK's own helper is the yardstick.
#
# Found: LangChain adds chunks, and adds their usage too. Python's `usage_metadata` is the sum of all totals: an input of 10 tokens
# counts 50. Node says two things of one message: `usage_metadata` has the last total, `response_metadata.usage` the sum. The
# stream that has its usage on one chunk is right everywhere. Known upstream for Python: langchain-ai/langchain#30429.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"; [ -z "${server:-}" ] || kill "$server"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet langchain-openai==1.7.4 langchain-core==1.8.3 openai==3.57.0
npm install --silent --no-save --prefix "$work" @langchain/openai@1.5.8 @langchain/core@1.4.0

cat > "$work/provider.py" <<'PYTHON'
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ONCE = [None, None, None, None, (10, 5)]
RUNNING = [(10, 0), (10, 2), (10, 5), (10, 5), (10, 5)]
DELTAS = [{"role": "assistant", "content": ""}, {"content": "Hel"}, {"content": "lo"}, {}, None]


def chunk(delta, usage):
    finish = "stop" if delta == {} else None
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    said = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}
    if usage:
        said["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
    return json.dumps(said)


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        usages = RUNNING if request["model"] == "running" else ONCE
        events = [chunk(*pair) for pair in zip(DELTAS, usages)] + ["[DONE]"]
        body = "".join(f"data: {event}\n\n" for event in events).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
print(f"http://127.0.0.1:{server.server_port}/v1", flush=True)
server.serve_forever()
PYTHON

cat > "$work/finding.py" <<'PYTHON'
import sys

import openai
from langchain_openai import ChatOpenAI

url = sys.argv[1]
client = openai.OpenAI(api_key="key", base_url=url)
for model in ["once", "running"]:
    with client.chat.completions.stream(model=model, messages=[{"role": "user", "content": "Hi"}]) as stream:
        usage = stream.get_final_completion().usage
    print(f"OpenAI SDK for Python, {model}: {usage.prompt_tokens} in, {usage.completion_tokens} out")
    whole = None
    for chunk in ChatOpenAI(model=model, api_key="key", base_url=url, stream_usage=True).stream("Hi"):
        whole = chunk if whole is None else whole + chunk
    usage = whole.usage_metadata
    print(f"LangChain for Python, {model}: usage_metadata {usage['input_tokens']} in, {usage['output_tokens']} out")
PYTHON

cat > "$work/finding.mjs" <<'NODE'
import { ChatOpenAI } from '@langchain/openai';

for (const model of ['once', 'running']) {
  const chat = new ChatOpenAI({ model, apiKey: 'key', streamUsage: true, configuration: { baseURL: process.argv[2] } });
  let whole;
  for await (const chunk of await chat.stream('Hi')) {
    whole = whole ? whole.concat(chunk) : chunk;
  }
  const { usage_metadata: usage, response_metadata: { usage: raw } } = whole;
  console.log(`LangChain for Node, ${model}: usage_metadata ${usage.input_tokens} in, ${usage.output_tokens} out; ` +
    `response_metadata.usage ${raw.prompt_tokens} in, ${raw.completion_tokens} out`);
}
NODE

"$work/venv/bin/pip" list --format freeze | grep -E '^(langchain-openai|langchain-core|openai)='
npm ls --prefix "$work" --depth 0 | grep -o '@langchain/[a-z]*@[0-9.]*'
mkfifo "$work/said"
python3 "$work/provider.py" > "$work/said" &
server=$!
read -r url < "$work/said"
seen=$("$work/venv/bin/python" "$work/finding.py" "$url"; cd "$work"; node finding.mjs "$url")
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
OpenAI SDK for Python, once: 10 in, 5 out
LangChain for Python, once: usage_metadata 10 in, 5 out
OpenAI SDK for Python, running: 10 in, 5 out
LangChain for Python, running: usage_metadata 50 in, 17 out
LangChain for Node, once: usage_metadata 10 in, 5 out; response_metadata.usage 10 in, 5 out
LangChain for Node, running: usage_metadata 10 in, 5 out; response_metadata.usage 50 in, 17 out
SEEN
