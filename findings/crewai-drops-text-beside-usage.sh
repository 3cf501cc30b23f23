#!/usr/bin/env bash
# CrewAI and Agno: is the text of a stream read where a chunk has usage beside it?
#
# Guess: yes. Usage beside choices is how OpenRouter, DeepSeek and Mistral end a stream, and how vLLM and SGLang send every chunk
# if asked for a running total (`continuous_usage_stats`). It says what was used, and nothing of the choice beside it.
#
# Found: CrewAI takes the usage and leaves out the rest of the chunk. Where the usage comes beside the last piece of text, that piece
# is missing from the answer; with a running total all of it is, and the answer is empty. No error says so, the tokens are right, and
# its whole tool calls go too: the tool does not run. The asynchronous call is the same. Agno reads the text, and adds the totals up:
# 300 tokens of input and 50 of output where 100 and 20 were used.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for package in crewai==1.15.30 'agno==3.1.10 openai==3.57.0'; do
  python3 -m venv "$work/${package%%=*}"
  # shellcheck disable=SC2086 # two packages are two words
  "$work/${package%%=*}/bin/pip" install --quiet $package
done

cat > "$work/provider.py" <<'PYTHON'
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "search", "arguments": '{"query": "streams"}'}}
TEXT = [({"role": "assistant", "content": "Hello "}, None), ({"content": "world"}, "stop")]
DELTAS = {"tool": [({"role": "assistant", "tool_calls": [CALL]}, None), ({}, "tool_calls")]}
# Output tokens on each chunk, and on one without choices, if it is sent.
USAGE = {"alone": ([None, None], 20), "beside": ([None, 20], None), "running": ([10, 20], 20), "tool": ([10, 20], 20)}


def chunk(model, choices, output):
    usage = {"prompt_tokens": 100, "completion_tokens": output, "total_tokens": 100 + output} if output else None
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": choices, "usage": usage}


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        model = json.loads(self.rfile.read(int(self.headers["content-length"])))["model"]
        beside, alone = USAGE[model]
        chunks = [chunk(model, [{"index": 0, "delta": delta, "finish_reason": finish}], output)
                  for (delta, finish), output in zip(DELTAS.get(model, TEXT), beside)]
        chunks += [chunk(model, [], alone)] if alone else []
        body = "".join(f"data: {event}\n\n" for event in [*map(json.dumps, chunks), "[DONE]"]).encode()
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

cat > "$work/with_crewai.py" <<'PYTHON'
import asyncio
import sys

from crewai import LLM

RUNS = []
TOOL = {"type": "function", "function": {"name": "search", "description": "Searches.", "parameters": {
    "type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}}}


def search(query):
    RUNS.append(query)
    return "found"


def show(name, llm, answer):
    used = llm.get_token_usage_summary()
    print(f"CrewAI, {name}: {answer!r}, {used.prompt_tokens} in, {used.completion_tokens} out", file=sys.stderr)


for model in ["alone", "beside", "running"]:
    llm = LLM(model=f"openai/{model}", base_url=sys.argv[1], api_key="key", stream=True)
    show(model, llm, llm.call("Hi"))
llm = LLM(model="openai/running", base_url=sys.argv[1], api_key="key", stream=True)
show("running, asynchronous", llm, asyncio.run(llm.acall("Hi")))
llm = LLM(model="openai/tool", base_url=sys.argv[1], api_key="key", stream=True)
show("tool", llm, llm.call("Hi", tools=[TOOL], available_functions={"search": search}))
print(f"CrewAI, tool: ran {len(RUNS)} times", file=sys.stderr)
PYTHON

cat > "$work/with_agno.py" <<'PYTHON'
import sys

from agno.agent import Agent
from agno.models.openai.like import OpenAILike

for model in ["alone", "beside", "running"]:
    agent = Agent(model=OpenAILike(id=model, api_key="key", base_url=sys.argv[1]), telemetry=False)
    *events, run = agent.run("Hi", stream=True, yield_run_output=True)
    print(f"Agno, {model}: {run.content!r}, {run.metrics.input_tokens} in, {run.metrics.output_tokens} out", file=sys.stderr)
PYTHON

for venv in crewai agno; do "$work/$venv/bin/pip" list --format freeze | grep -E '^(crewai|agno)='; done
mkfifo "$work/said"
python3 "$work/provider.py" > "$work/said" &
server=$!
trap 'kill "$server"; rm -rf "$work"' EXIT
read -r url < "$work/said"
export HOME=$work CREWAI_DISABLE_TELEMETRY=true OTEL_SDK_DISABLED=true
# CrewAI writes frames of its own to the standard output.
for venv in crewai agno; do "$work/$venv/bin/python" "$work/with_$venv.py" "$url" 2>&1 > /dev/null; done > "$work/seen"
seen=$(grep -E '^(CrewAI|Agno), ' "$work/seen" || cat "$work/seen")
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
CrewAI, alone: 'Hello world', 100 in, 20 out
CrewAI, beside: 'Hello ', 100 in, 20 out
CrewAI, running: '', 100 in, 20 out
CrewAI, running, asynchronous: '', 100 in, 20 out
CrewAI, tool: '', 100 in, 20 out
CrewAI, tool: ran 0 times
Agno, alone: 'Hello world', 100 in, 20 out
Agno, beside: 'Hello world', 100 in, 20 out
Agno, running: 'Hello world', 300 in, 50 out
SEEN
