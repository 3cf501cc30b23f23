#!/usr/bin/env bash
# OpenAI's Agents SDK and LangChain for Python, with a base URL that is not OpenAI's: how many tokens has a streamed chat call?
#
# Guess: as many as with OpenAI's own URL. A gateway or a proxy on the way, or the address of a server of one's own, changes where
# the request goes and not what it says. The same server answers in every case; it sends usage when asked for it
# (`stream_options.include_usage`).
#
# Found: both ask for usage only if the base URL is OpenAI's. Behind any other, set in code or by OPENAI_BASE_URL, the Agents SDK
# counts 0 tokens, which is also what a free call would have, and LangChain has no usage. So an application loses its counts
# on the day it is put behind a proxy, without an error. Asked for in so many words (`include_usage`, `stream_usage`) they are back.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet openai==3.57.0 httpx2==2.16.2 openai-agents==0.24.0 langchain-openai==1.7.4

cat > "$work/finding.py" <<'PYTHON'
import asyncio
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import openai
from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, Runner, set_tracing_disabled
from langchain_openai import ChatOpenAI

DELTAS = [{"role": "assistant", "content": ""}, {"content": "Hello"}, {}]


def chunk(choices, **more):
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, **more}


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        chunks = [
            chunk([{"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}]) for delta in DELTAS
        ]
        if (request.get("stream_options") or {}).get("include_usage"):
            chunks.append(chunk([], usage={"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}))
        body = "".join(f"data: {event}\n\n" for event in [*map(json.dumps, chunks), "[DONE]"]).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/v1"


def here(request):
    request.url = request.url.copy_with(scheme="http", host="127.0.0.1", port=server.server_port)
    return request


class AsyncHere(httpx2.AsyncHTTPTransport):
    """What goes to OpenAI's URL goes to this machine."""

    async def handle_async_request(self, request):
        return await super().handle_async_request(here(request))


class Here(httpx2.HTTPTransport):
    """The same for a synchronous client."""

    def handle_request(self, request):
        return super().handle_request(here(request))


def agents(settings=None, **client):
    model = OpenAIChatCompletionsModel(model="m", openai_client=openai.AsyncOpenAI(api_key="key", **client))
    agent = Agent(name="a", model=model, model_settings=settings or ModelSettings())

    async def run():
        result = Runner.run_streamed(agent, "Hi")
        async for _ in result.stream_events():
            pass
        return result.context_wrapper.usage

    usage = asyncio.run(run())
    return f"{usage.input_tokens} in, {usage.output_tokens} out"


def langchain(**chat):
    whole = None
    for part in ChatOpenAI(model="m", api_key="key", **chat).stream("Hi"):
        whole = part if whole is None else whole + part
    usage = whole.usage_metadata
    return usage and f"{usage['input_tokens']} in, {usage['output_tokens']} out"


def langchain_at_openai():
    """LangChain takes a client of one's own for another server too, so the SDK's client is given the transport."""
    begin = openai.OpenAI.__init__

    def begin_here(self, *args, **kwargs):
        begin(self, *args, **{**kwargs, "http_client": httpx2.Client(transport=Here())})

    openai.OpenAI.__init__ = begin_here
    try:
        return langchain()
    finally:
        openai.OpenAI.__init__ = begin


set_tracing_disabled(True)
print("Agents SDK, OpenAI's URL:", agents(http_client=httpx2.AsyncClient(transport=AsyncHere())))
print("LangChain, OpenAI's URL:", langchain_at_openai())
print("Agents SDK, another URL:", agents(base_url=url))
print("LangChain, another URL:", langchain(base_url=url))
print("Agents SDK, another URL, asked:", agents(ModelSettings(include_usage=True), base_url=url))
print("LangChain, another URL, asked:", langchain(base_url=url, stream_usage=True))
os.environ["OPENAI_BASE_URL"] = url
print("Agents SDK, OPENAI_BASE_URL:", agents())
print("LangChain, OPENAI_BASE_URL:", langchain())
PYTHON

"$work/venv/bin/pip" list --format freeze | grep -E '^(openai|openai-agents|langchain-openai)='
seen=$("$work/venv/bin/python" "$work/finding.py")
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
Agents SDK, OpenAI's URL: 10 in, 5 out
LangChain, OpenAI's URL: 10 in, 5 out
Agents SDK, another URL: 0 in, 0 out
LangChain, another URL: None
Agents SDK, another URL, asked: 10 in, 5 out
LangChain, another URL, asked: 10 in, 5 out
Agents SDK, OPENAI_BASE_URL: 0 in, 0 out
LangChain, OPENAI_BASE_URL: None
SEEN
