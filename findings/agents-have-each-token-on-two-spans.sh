#!/usr/bin/env bash
# Four agent frameworks with tracing of their own: how many tokens have all spans of one run together?
#
# Guess: as many as the run took. A run of an agent calls the model twice here, each time with 10 tokens of input, and the sum of
# `gen_ai.usage.input_tokens` over the spans of the trace is 20, whichever framework made them.
#
# Found: 40 from Strands Agents, Microsoft's Agent Framework and Vercel's AI SDK. Beside the spans of the calls (`chat`) there is the
# span around them (`invoke_agent`), with the sum of its calls under the same names, so every token is there twice. Pydantic AI
# has names of its own for the sum (`gen_ai.aggregated_usage.*`), and its trace has 20.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"; [ -z "${server:-}" ] || kill "$server"' EXIT

# Two environments, since the frameworks need different majors of OpenAI's SDK.
python3 -m venv "$work/two"
"$work/two/bin/pip" install --quiet 'strands-agents[openai]==1.62.0' openai==2.54.0
python3 -m venv "$work/three"
"$work/three/bin/pip" install --quiet agent-framework-core==1.23.0 agent-framework-openai==1.17.0 \
  'pydantic-ai-slim[openai]==2.68.0' openai==3.57.0 opentelemetry-sdk==1.45.2
npm install --silent --no-save --prefix "$work" ai@7.0.173 @ai-sdk/otel@1.0.173 @ai-sdk/openai-compatible@3.0.92 zod@4.6.7 \
  @opentelemetry/api@1.9.1 @opentelemetry/sdk-trace-node@2.12.0

cat > "$work/provider.py" <<'PYTHON'
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CALL = {"id": "call_1", "type": "function", "function": {"name": "search", "arguments": '{"query": "blue"}'}}
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def events(message, finish):
    """A stream with the whole message in one chunk and the usage in the last."""
    calls = [{"index": index, **call} for index, call in enumerate(message.get("tool_calls", []))]
    delta = {**message, "tool_calls": calls} if calls else message
    choices = [[{"index": 0, "delta": delta, "finish_reason": None}], [{"index": 0, "delta": {}, "finish_reason": finish}], []]
    chunks = [{"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": each} for each in choices]
    chunks[-1]["usage"] = USAGE
    return "".join(f"data: {event}\n\n" for event in [*map(json.dumps, chunks), "[DONE]"])


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        answer = {"role": "assistant", "content": None, "tool_calls": [CALL]}, "tool_calls"
        if request["messages"][-1]["role"] == "tool":
            answer = {"role": "assistant", "content": "3 found"}, "stop"
        body, kind = events(*answer), "text/event-stream"
        if not request.get("stream"):
            choice = {"index": 0, "message": answer[0], "finish_reason": answer[1]}
            whole = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": USAGE}
            body, kind = json.dumps(whole), "application/json"
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
print(f"http://127.0.0.1:{server.server_port}/v1", flush=True)
server.serve_forever()
PYTHON

cat > "$work/finding.py" <<'PYTHON'
import asyncio
import sys

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

url, framework = sys.argv[1:]
TOKENS = "gen_ai.usage.input_tokens"
exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)


def search(query: str) -> str:
    """Search the shelves.

    Args:
        query: what to look for
    """
    return "3 found"


def strands():
    from strands import Agent, tool
    from strands.models.openai import OpenAIModel

    model = OpenAIModel(client_args={"api_key": "key", "base_url": url}, model_id="m")
    Agent(model=model, tools=[tool(search)], callback_handler=None)("Find it")


def agent_framework():
    from agent_framework import Agent
    from agent_framework.observability import enable_instrumentation
    from agent_framework.openai import OpenAIChatCompletionClient

    enable_instrumentation()
    client = OpenAIChatCompletionClient(model="m", api_key="key", base_url=url)
    asyncio.run(Agent(client, tools=[search]).run("Find it"))


def pydantic_ai():
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    Agent.instrument_all()
    model = OpenAIChatModel("m", provider=OpenAIProvider(api_key="key", base_url=url))
    Agent(model, tools=[search]).run_sync("Find it")


{"Strands": strands, "Agent Framework": agent_framework, "Pydantic AI": pydantic_ai}[framework]()
spans = exporter.get_finished_spans()
counted = [(span.attributes["gen_ai.operation.name"], span.attributes[TOKENS]) for span in spans if TOKENS in span.attributes]
total = sum(tokens for _, tokens in counted)
print(f"{framework}: {', '.join(f'{name} {tokens}' for name, tokens in counted)}, all {total}")
PYTHON

cat > "$work/finding.mjs" <<'NODE'
import { OpenTelemetry } from '@ai-sdk/otel';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';
import { generateText, isStepCount, registerTelemetry, tool } from 'ai';
import { z } from 'zod';

const exporter = new InMemorySpanExporter();
new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register();
registerTelemetry(new OpenTelemetry());
const provider = createOpenAICompatible({ name: 'other', baseURL: process.argv[2], apiKey: 'key' });
const search = tool({ description: 'Search', inputSchema: z.object({ query: z.string() }), execute: async () => '3 found' });
await generateText({ model: provider('m'), prompt: 'Find it', tools: { search }, stopWhen: isStepCount(3) });
const counted = exporter.getFinishedSpans().map((span) => span.attributes)
  .filter((attributes) => 'gen_ai.usage.input_tokens' in attributes)
  .map((attributes) => [attributes['gen_ai.operation.name'], attributes['gen_ai.usage.input_tokens']]);
const total = counted.reduce((sum, [, tokens]) => sum + tokens, 0);
console.log(`AI SDK: ${counted.map((each) => each.join(' ')).join(', ')}, all ${total}`);
NODE

"$work/two/bin/pip" list --format freeze | grep -E '^strands-agents='
"$work/three/bin/pip" list --format freeze | grep -E '^(agent-framework-.*|pydantic-ai-slim)='
npm ls --prefix "$work" --depth 0 | grep -oE '(@ai-sdk/otel|\bai)@[0-9.]+'
mkfifo "$work/said"
python3 "$work/provider.py" > "$work/said" &
server=$!
read -r url < "$work/said"
seen=$(
  set -e
  cd "$work"
  two/bin/python finding.py "$url" Strands
  three/bin/python finding.py "$url" 'Agent Framework'
  three/bin/python finding.py "$url" 'Pydantic AI'
  node finding.mjs "$url"
)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
Strands: chat 10, chat 10, invoke_agent 20, all 40
Agent Framework: chat 10, chat 10, invoke_agent 20, all 40
Pydantic AI: chat 10, chat 10, all 20
AI SDK: chat 10, chat 10, invoke_agent 20, all 40
SEEN
