#!/usr/bin/env bash
# The OpenAI SDKs for Python and Node: does a comment in a chat stream disturb them, as servers send it to keep a connection open?
#
# Guess: no. A line that begins with a colon is for nobody, and an empty line after it ends no event, since there is no data (the
# specification of server-sent events). Whether the events have ids cannot matter. The server is a real one: sse-starlette, which
# sends a comment whenever its application is silent, here for longer than the second that `ping` is set to.
#
# Found: comments alone and ids alone are read well everywhere. Both together fail in Python: its parser remembers the last id, and
# takes any further empty line for the end of an event because of it. The event has no data, which is no JSON: the answer breaks off
# with JSONDecodeError, which is not an `openai.OpenAIError`. Node's parser looks at data and names only. Seen with the reports of
# `id:` and `retry:` on their own (openai/openai-python#2722, openai/openai-python#3833); there the comments are not mentioned.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"; [ -z "${server:-}" ] || kill "$server"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet openai==3.57.0 sse-starlette==3.7.0 uvicorn==0.54.0 starlette==1.10.0
npm install --silent --no-save --prefix "$work" openai@7.59.0

cat > "$work/provider.py" <<'PYTHON'
import asyncio
import json
import socket

import uvicorn
from sse_starlette.sse import EventSourceResponse
from starlette.applications import Starlette
from starlette.routing import Route

SILENCE_S = 2.5


def chunk(delta, finish=None):
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return json.dumps({"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices})


async def chat(request):
    model = (await request.json())["model"]

    async def events():
        for number, data in enumerate([chunk({"content": "Hel"}), chunk({"content": "lo"}), chunk({}, "stop"), "[DONE]"]):
            if number == 1 and "comments" in model:
                await asyncio.sleep(SILENCE_S)
            yield {"data": data, "id": str(number)} if "ids" in model else {"data": data}

    return EventSourceResponse(events(), ping=1)


listener = socket.create_server(("127.0.0.1", 0))
print(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", flush=True)
app = Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])])
uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listener])
PYTHON

cat > "$work/finding.py" <<'PYTHON'
import asyncio
import sys

import openai

MODELS = ["neither", "ids", "comments", "ids and comments"]
OPTIONS = {"api_key": "key", "base_url": sys.argv[1], "max_retries": 0}


def request(model):
    return {"model": model, "messages": [{"role": "user", "content": "Hi"}], "stream": True}


def report(client, model, text, error):
    failed = f", then {type(error).__name__}, OpenAIError: {isinstance(error, openai.OpenAIError)}" if error else ""
    print(f"Python, {client}, {model}: {text}{failed}")


def stream(model):
    text = ""
    try:
        for chunk in openai.OpenAI(**OPTIONS).chat.completions.create(**request(model)):
            text += chunk.choices[0].delta.content or ""
        report("OpenAI", model, text, None)
    except Exception as error:
        report("OpenAI", model, text, error)


async def stream_async(model):
    text = ""
    async with openai.AsyncOpenAI(**OPTIONS) as client:
        try:
            async for chunk in await client.chat.completions.create(**request(model)):
                text += chunk.choices[0].delta.content or ""
            report("AsyncOpenAI", model, text, None)
        except Exception as error:
            report("AsyncOpenAI", model, text, error)


for model in MODELS:
    stream(model)
for model in MODELS:
    asyncio.run(stream_async(model))
PYTHON

cat > "$work/finding.mjs" <<'NODE'
import OpenAI from 'openai';

const client = new OpenAI({ apiKey: 'key', baseURL: process.argv[2], maxRetries: 0 });
for (const model of ['neither', 'ids', 'comments', 'ids and comments']) {
  let text = '';
  for await (const chunk of await client.chat.completions.create({
    model, messages: [{ role: 'user', content: 'Hi' }], stream: true,
  })) {
    text += chunk.choices[0].delta.content ?? '';
  }
  console.log(`Node, ${model}: ${text}`);
}
NODE

"$work/venv/bin/pip" list --format freeze | grep -E '^(openai|sse-starlette)='
npm ls --prefix "$work" openai | grep -o 'openai@.*'
mkfifo "$work/said"
"$work/venv/bin/python" "$work/provider.py" > "$work/said" &
server=$!
read -r url < "$work/said"
seen=$("$work/venv/bin/python" "$work/finding.py" "$url"; cd "$work"; node finding.mjs "$url")
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
Python, OpenAI, neither: Hello
Python, OpenAI, ids: Hello
Python, OpenAI, comments: Hello
Python, OpenAI, ids and comments: Hel, then JSONDecodeError, OpenAIError: False
Python, AsyncOpenAI, neither: Hello
Python, AsyncOpenAI, ids: Hello
Python, AsyncOpenAI, comments: Hello
Python, AsyncOpenAI, ids and comments: Hel, then JSONDecodeError, OpenAIError: False
Node, neither: Hello
Node, ids: Hello
Node, comments: Hello
Node, ids and comments: Hello
SEEN
