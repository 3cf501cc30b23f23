#!/usr/bin/env bash
# Anthropic's SDKs under an OpenTelemetry SDK: how many spans has one call, and how many tokens have all spans together?
#
# Guess: with no instrumentation none, as for OpenAI's SDK; with one, one span with the tokens of the call. A client library sends
# no telemetry until it is asked to.
#
# Found: both of Anthropic's SDKs depend on the OpenTelemetry API and make a span of their own of each call as soon as the process
# has a tracer provider: `anthropic.messages.create`, with `gen_ai.usage.*`. An instrumentation of the SDK adds its own span around
# it, so each call has two, and a sum of tokens or of costs over all spans is twice what was used. ANTHROPIC_OPEN_TELEMETRY=false
# in the environment ends it.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"; [ -z "${server:-}" ] || kill "$server"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet anthropic==2.14.0 openai==3.57.0 opentelemetry-sdk==1.45.2 \
  opentelemetry-instrumentation-anthropic==0.62.4 opentelemetry-instrumentation-genai-anthropic==1.3b0
npm install --silent --no-save --prefix "$work" @anthropic-ai/sdk@1.14.0 openai@7.59.0 \
  @opentelemetry/api@1.9.1 @opentelemetry/sdk-trace-node@2.12.1

cat > "$work/provider.py" <<'PYTHON'
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": 5},
}
COMPLETION = {
    "id": "1", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
}


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps(MESSAGE if self.path.endswith("/messages") else COMPLETION).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
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
import importlib
import sys

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

root, sdk, instrumentation, said = sys.argv[1:]
spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
if instrumentation != "none":
    importlib.import_module(f"opentelemetry.instrumentation.{instrumentation}").AnthropicInstrumentor().instrument()
messages = [{"role": "user", "content": "Hi"}]
if sdk == "anthropic":
    import anthropic

    anthropic.Anthropic(api_key="key", base_url=root).messages.create(model="m", messages=messages, max_tokens=9)
else:
    import openai

    openai.OpenAI(api_key="key", base_url=f"{root}/v1").chat.completions.create(model="m", messages=messages)
ended = spans.get_finished_spans()
tokens = sum(span.attributes.get("gen_ai.usage.input_tokens", 0) for span in ended)
names = sorted(span.name for span in ended)
print(f"{sdk}, Python, instrumentation {instrumentation}{said}: {names}, input tokens of all {tokens}")
PYTHON

cat > "$work/finding.mjs" <<'NODE'
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';

const [root, said] = process.argv.slice(2);
const spans = new InMemorySpanExporter();
new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] }).register();
const messages = [{ role: 'user', content: 'Hi' }];
const calls = {
  openai: () => new OpenAI({ apiKey: 'key', baseURL: `${root}/v1` }).chat.completions.create({ model: 'm', messages }),
  anthropic: () => new Anthropic({ apiKey: 'key', baseURL: root }).messages.create({ model: 'm', messages, max_tokens: 9 }),
};
for (const [sdk, call] of Object.entries(calls)) {
  spans.reset();
  await call();
  const ended = spans.getFinishedSpans();
  const tokens = ended.reduce((sum, span) => sum + (span.attributes['gen_ai.usage.input_tokens'] ?? 0), 0);
  console.log(`${sdk}, Node, instrumentation none${said}: [${ended.map((span) => span.name)}], input tokens of all ${tokens}`);
}
NODE

"$work/venv/bin/pip" list --format freeze | grep -E '^(anthropic|openai|opentelemetry-(sdk|instrumentation-(genai-)?anthropic))='
npm ls --prefix "$work" --depth 0 | grep -oE '(@anthropic-ai/sdk|\bopenai|@opentelemetry/sdk-trace-node)@[0-9.]+'
mkfifo "$work/said"
python3 "$work/provider.py" > "$work/said" &
server=$!
read -r root < "$work/said"
seen=$(
  cd "$work"
  for run in "openai none" "anthropic none" "anthropic anthropic" "anthropic genai.anthropic"; do
    # shellcheck disable=SC2086 # two words
    venv/bin/python finding.py "$root" $run ""
  done
  node finding.mjs "$root" ""
  export ANTHROPIC_OPEN_TELEMETRY=false
  venv/bin/python finding.py "$root" anthropic genai.anthropic ", switched off"
  node finding.mjs "$root" ", switched off"
)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
openai, Python, instrumentation none: [], input tokens of all 0
anthropic, Python, instrumentation none: ['anthropic.messages.create'], input tokens of all 10
anthropic, Python, instrumentation anthropic: ['anthropic.chat', 'anthropic.messages.create'], input tokens of all 20
anthropic, Python, instrumentation genai.anthropic: ['anthropic.messages.create', 'chat m'], input tokens of all 20
openai, Node, instrumentation none: [], input tokens of all 0
anthropic, Node, instrumentation none: [anthropic.messages.create], input tokens of all 10
anthropic, Python, instrumentation genai.anthropic, switched off: ['chat m'], input tokens of all 10
openai, Node, instrumentation none, switched off: [], input tokens of all 0
anthropic, Node, instrumentation none, switched off: [], input tokens of all 0
SEEN
