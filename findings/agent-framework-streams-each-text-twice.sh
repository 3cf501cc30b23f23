#!/usr/bin/env bash
# Microsoft's Agent Framework over the Responses API: what is the text of a streamed run, when its updates are put together?
#
# Guess: the text of the answer. An event `response.output_text.done` ends each part, and has its text once more; clients leave it out, as
# the deltas said it all.
#
# Found: the text twice. The event is an update like the others, with the whole text in it, marked as one that replaces what was before
# (`merge_mode`); a loop that prints or sends on `update.text` does not see the mark. The final response has the text once. Over
# chat completions, with the same loop, it is there once.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"; [ -z "${server:-}" ] || kill "$server"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip install --quiet agent-framework-core==1.23.0 agent-framework-openai==1.17.0 openai==3.57.0

cat > provider.py <<'PYTHON'
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PLACE = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
TEXT = {"type": "output_text", "text": "Hello there.", "annotations": []}
MESSAGE = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [TEXT]}
USAGE = {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 2,
         "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 12}
BASE = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "output": [], "error": None, "incomplete_details": None,
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "instructions": None, "metadata": {}, "temperature": 1,
        "top_p": 1, "usage": None}
RESPONSES = [
    {"type": "response.created", "response": {**BASE, "status": "in_progress"}},
    {"type": "response.output_item.added", "output_index": 0, "item": {**MESSAGE, "status": "in_progress", "content": []}},
    {"type": "response.content_part.added", **PLACE, "part": {**TEXT, "text": ""}},
    {"type": "response.output_text.delta", **PLACE, "delta": "Hello", "logprobs": []},
    {"type": "response.output_text.delta", **PLACE, "delta": " there.", "logprobs": []},
    {"type": "response.output_text.done", **PLACE, "text": "Hello there.", "logprobs": []},
    {"type": "response.content_part.done", **PLACE, "part": TEXT},
    {"type": "response.output_item.done", "output_index": 0, "item": MESSAGE},
    {"type": "response.completed", "response": {**BASE, "status": "completed", "output": [MESSAGE], "usage": USAGE}},
]
DELTAS = [({"role": "assistant", "content": "Hello"}, None), ({"content": " there."}, None), ({}, "stop")]


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        if self.path.endswith("/responses"):
            numbered = [{**event, "sequence_number": number} for number, event in enumerate(RESPONSES)]
            body = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in numbered)
        else:
            choices = [{"index": 0, "delta": delta, "finish_reason": finish} for delta, finish in DELTAS]
            chunks = [{"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [each]} for each in choices]
            body = "".join(f"data: {event}\n\n" for event in [*map(json.dumps, chunks), "[DONE]"])
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
print(f"http://127.0.0.1:{server.server_port}/v1", flush=True)
server.serve_forever()
PYTHON

cat > finding.py <<'PYTHON'
import asyncio
import sys

from agent_framework import Agent
from agent_framework.openai import OpenAIChatClient, OpenAIChatCompletionClient


async def main():
    for client in [OpenAIChatClient, OpenAIChatCompletionClient]:
        answer = Agent(client(model="m", api_key="key", base_url=sys.argv[1])).run("Hi", stream=True)
        updates = [update.text async for update in answer if update.text]
        print(f"{client.__name__}: updates {updates}, final {(await answer.get_final_response()).text!r}")


asyncio.run(main())
PYTHON

venv/bin/pip list --format freeze | grep '^agent-framework-'
mkfifo said
python3 provider.py > said &
server=$!
read -r url < said
seen=$(venv/bin/python finding.py "$url" 2> log) || { cat log; exit 1; }
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
OpenAIChatClient: updates ['Hello', ' there.', 'Hello there.'], final 'Hello there.'
OpenAIChatCompletionClient: updates ['Hello', ' there.'], final 'Hello there.'
SEEN
