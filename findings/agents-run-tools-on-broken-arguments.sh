#!/usr/bin/env bash
# Six agent frameworks for Python: the model calls a tool, and the arguments are no JSON. Does the tool run?
#
# Guess: no. The framework tells the model what is wrong with its arguments, and the model calls again; now and then every model
# writes what is no JSON (`{"query": blue}`). Both parameters of the tool have a default here, as many parameters do: a missing
# value that is required would stop the call, whatever the framework makes of the text.
#
# Found: it runs in four of six. Strands Agents, LlamaIndex and Microsoft's Agent Framework take what they cannot parse for no
# arguments at all, so a search for one thing becomes a search for everything (`*`); Strands also puts `{}` into the history in
# place of what the model wrote. smolagents gives the tool the broken text as its first argument. Of half a JSON text LlamaIndex
# makes a whole one, with null for the value that was cut. Pydantic AI and the Agents SDK do not run it and report the error to
# the model. Known for Strands: strands-agents/harness-sdk#2051.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Two environments, since the frameworks need different majors of OpenAI's SDK.
python3 -m venv "$work/two"
"$work/two/bin/pip" install --quiet openai==2.54.0 'strands-agents[openai]==1.62.0' llama-index-core==0.14.25 \
  llama-index-llms-openai-like==0.8.1 'smolagents[openai]==1.26.0'
python3 -m venv "$work/three"
"$work/three/bin/pip" install --quiet agent-framework-core==1.23.0 agent-framework-openai==1.17.0 \
  'pydantic-ai-slim[openai]==2.68.0' openai-agents==0.24.0 openai==3.57.0

cat > "$work/provider.py" <<'PYTHON'
import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# The last is what a limit on tokens, or a cut, leaves of `{"query": "blue"}`.
ARGUMENTS = {"whole": '{"query": "blue"}', "no JSON": '{"query": blue}', "half of it": '{"query": "bl'}
asked, ran = [], []
logging.disable(logging.CRITICAL)


def search(query: str = "*", limit: int = 10) -> str:
    """Search the shelves.

    Args:
        query: what to look for
        limit: how many to list
    """
    ran.append(f"search({query!r}, {limit!r})")
    return "3 found"


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        message, finish = {"role": "assistant", "content": "Done"}, "stop"
        if not asked:
            function = {"name": "search", "arguments": ARGUMENTS[request["model"]]}
            calls = [{"id": "call_1", "type": "function", "function": function}]
            message, finish = {"role": "assistant", "content": None, "tool_calls": calls}, "tool_calls"
        asked.append(request)
        body = json.dumps({
            "id": "1", "object": "chat.completion", "created": 1, "model": request["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        }).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def run_each(name, run):
    """`run(model, url)` runs an agent of a model that calls the tool once, with the arguments of that name."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for model in ARGUMENTS:
        asked.clear()
        ran.clear()
        run(model, f"http://127.0.0.1:{server.server_port}/v1")
        print(f"{name}, {model}: {', '.join(ran) or 'did not run'}, in the history {last_call(asked[-1]) or 'as text'}", flush=True)
    server.shutdown()


def last_call(request):
    """The arguments, as they are in the history that the model is sent with the result."""
    calls = [call for message in request["messages"] for call in message.get("tool_calls") or []]
    return calls and calls[-1]["function"]["arguments"]
PYTHON

cat > "$work/with_two.py" <<'PYTHON'
import asyncio

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.llms.openai_like import OpenAILike
from provider import run_each, search
from smolagents import OpenAIServerModel, ToolCallingAgent
from smolagents import tool as smol_tool
from strands import Agent
from strands import tool as strands_tool
from strands.models.openai import OpenAIModel


def strands(model, url):
    model = OpenAIModel(client_args={"api_key": "key", "base_url": url}, model_id=model, stream=False)
    Agent(model=model, tools=[strands_tool(search)], callback_handler=None)("Find it")


async def llama_index(model, url):
    llm = OpenAILike(model=model, api_base=url, api_key="key", is_chat_model=True, is_function_calling_model=True)
    await FunctionAgent(tools=[search], llm=llm, streaming=False).run("Find it")


def smolagents(model, url):
    model = OpenAIServerModel(model_id=model, api_base=url, api_key="key")
    ToolCallingAgent(tools=[smol_tool(search)], model=model, max_steps=1, verbosity_level=-1).run("Find it")


run_each("Strands", strands)
run_each("LlamaIndex", lambda model, url: asyncio.run(llama_index(model, url)))
run_each("smolagents", smolagents)
PYTHON

cat > "$work/with_three.py" <<'PYTHON'
import asyncio

import agent_framework
import agents
import openai
import pydantic_ai
from agent_framework.openai import OpenAIChatCompletionClient
from provider import run_each, search
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


async def by_agent_framework(model, url):
    client = OpenAIChatCompletionClient(model=model, api_key="key", base_url=url)
    await agent_framework.Agent(client, tools=[search]).run("Find it")


async def by_pydantic_ai(model, url):
    model = OpenAIChatModel(model, provider=OpenAIProvider(api_key="key", base_url=url))
    await pydantic_ai.Agent(model, tools=[search]).run("Find it")


async def by_agents_sdk(model, url):
    client = openai.AsyncOpenAI(api_key="key", base_url=url)
    model = agents.OpenAIChatCompletionsModel(model=model, openai_client=client)
    await agents.Runner.run(agents.Agent(name="a", tools=[agents.function_tool(search)], model=model), "Find it")


agents.set_tracing_disabled(True)
for name, run in [
    ("Agent Framework", by_agent_framework), ("Pydantic AI", by_pydantic_ai), ("Agents SDK", by_agents_sdk),
]:
    run_each(name, lambda model, url: asyncio.run(run(model, url)))
PYTHON

for venv in two three; do
  "$work/$venv/bin/pip" list --format freeze |
    grep -E '^(openai(-agents)?|strands-agents|llama-index-(core|llms-openai-like)|smolagents|agent-framework-.*|pydantic-ai-slim)='
done
seen=$(cd "$work"; two/bin/python with_two.py 2> two.log && three/bin/python with_three.py 2> three.log) || cat "$work"/*.log
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
Strands, whole: search('blue', 10), in the history {"query": "blue"}
Strands, no JSON: search('*', 10), in the history {}
Strands, half of it: search('*', 10), in the history {}
LlamaIndex, whole: search('blue', 10), in the history {"query": "blue"}
LlamaIndex, no JSON: search('*', 10), in the history {"query": blue}
LlamaIndex, half of it: search(None, 10), in the history {"query": "bl
smolagents, whole: search('blue', 10), in the history as text
smolagents, no JSON: search('{"query": blue}', 10), in the history as text
smolagents, half of it: search('{"query": "bl', 10), in the history as text
Agent Framework, whole: search('blue', 10), in the history {"query": "blue"}
Agent Framework, no JSON: search('*', 10), in the history {"query": blue}
Agent Framework, half of it: search('*', 10), in the history {"query": "bl
Pydantic AI, whole: search('blue', 10), in the history {"query":"blue"}
Pydantic AI, no JSON: did not run, in the history {"INVALID_JSON":"{\"query\": blue}"}
Pydantic AI, half of it: did not run, in the history {"INVALID_JSON":"{\"query\": \"bl"}
Agents SDK, whole: search('blue', 10), in the history {"query": "blue"}
Agents SDK, no JSON: did not run, in the history {"query": blue}
Agents SDK, half of it: did not run, in the history {"query": "bl
SEEN
