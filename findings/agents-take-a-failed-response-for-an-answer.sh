#!/usr/bin/env bash
# Five clients of the Responses API: what does the application get when the model fails, in an answer of status 200?
#
# Guess: an error from each. A response of `"status": "failed"` has an `error` and no output, and its stream ends with `response.failed`;
# the API's reference has both, and OpenAI's SDK hands them on as they are, so a framework must look.
#
# Found: LangChain and Pydantic AI raise it. Agent Framework has an answer without text or, streamed, with half of it, and no error.
# Haystack has an answer without text and the finish reason `stop`; streamed, half an answer without a finish reason. LlamaIndex
# fails with an `AttributeError` of its own, since there is no usage, and streamed it ends without an error. It also has no text in the last
# response of a stream that reached its token limit (`response.incomplete`), though the deltas had it.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"; [ -z "${server:-}" ] || kill "$server"' EXIT
cd "$work"

# Two environments, since the frameworks need different majors of OpenAI's SDK.
python3 -m venv three
three/bin/pip install --quiet langchain-openai==1.7.4 'pydantic-ai-slim[openai]==2.68.0' agent-framework-core==1.23.0 \
  agent-framework-openai==1.17.0 haystack-ai==3.4.1 openai==3.57.0
python3 -m venv two
two/bin/pip install --quiet llama-index-llms-openai==0.8.3 llama-index-core==0.14.25 openai==2.54.0

cat > provider.py <<'PYTHON'
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TEXT = {"type": "output_text", "text": "Half of", "annotations": []}
WHOLE = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [TEXT]}
USAGE = {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 2,
         "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 12}
BASE = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "output": [], "error": None, "incomplete_details": None,
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "instructions": None, "metadata": {}, "temperature": 1,
        "top_p": 1, "usage": None}
ENDS = {
    "completed": {"output": [WHOLE], "usage": USAGE},
    "failed": {"error": {"code": "server_error", "message": "The model failed."}},
    "incomplete": {"output": [{**WHOLE, "status": "incomplete"}], "usage": USAGE, "incomplete_details": {"reason": "max_output_tokens"}},
}


def events(status):
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    empty = {**TEXT, "text": ""}
    yield "response.created", {"response": {**BASE, "status": "in_progress"}}
    yield "response.output_item.added", {"output_index": 0, "item": {**WHOLE, "status": "in_progress", "content": []}}
    yield "response.content_part.added", {**place, "part": empty}
    yield "response.output_text.delta", {**place, "delta": "Half of", "logprobs": []}
    if status != "failed":
        yield "response.output_text.done", {**place, "text": "Half of", "logprobs": []}
        yield "response.content_part.done", {**place, "part": TEXT}
        yield "response.output_item.done", {"output_index": 0, "item": {**WHOLE, "status": status}}
    yield f"response.{status}", {"response": {**BASE, "status": status, **ENDS[status]}}


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        status = self.path.split("/")[1]
        body, kind = json.dumps({**BASE, "status": status, **ENDS[status]}), "application/json"
        if request.get("stream"):
            numbered = enumerate(events(status))
            body = "".join(f"event: {name}\ndata: {json.dumps({'type': name, 'sequence_number': number, **said})}\n\n"
                           for number, (name, said) in numbered)
            kind = "text/event-stream"
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
PYTHON

cat > finding.py <<'PYTHON'
import asyncio
import logging
import sys

logging.disable()


def langchain(url, stream):
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="m", api_key="key", base_url=url, use_responses_api=True, max_retries=0)
    if not stream:
        return model.invoke("Hi").text
    return "".join(chunk.text for chunk in model.stream("Hi"))


def pydantic_ai(url, stream):
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    agent = Agent(OpenAIResponsesModel("m", provider=OpenAIProvider(api_key="key", base_url=url)))

    async def streamed():
        async with agent.run_stream("Hi") as run:
            return await run.get_output()

    return asyncio.run(streamed()) if stream else agent.run_sync("Hi").output


def agent_framework(url, stream):
    from agent_framework import Agent
    from agent_framework.openai import OpenAIChatClient

    async def run():
        agent = Agent(OpenAIChatClient(model="m", api_key="key", base_url=url))
        if not stream:
            return await agent.run("Hi")
        answer = agent.run("Hi", stream=True)
        async for _ in answer:
            pass
        return await answer.get_final_response()

    answer = asyncio.run(run())
    return answer.text, answer.finish_reason


def haystack(url, stream):
    from haystack.components.generators.chat import OpenAIResponsesChatGenerator
    from haystack.dataclasses import ChatMessage
    from haystack.utils import Secret

    heard = (lambda _: None) if stream else None
    settings = {"api_key": Secret.from_token("key"), "model": "m", "api_base_url": url, "max_retries": 0}
    model = OpenAIResponsesChatGenerator(**settings, streaming_callback=heard)
    [answer] = model.run([ChatMessage.from_user("Hi")])["replies"]
    return answer.text, answer.meta.get("finish_reason")


def llama_index(url, stream):
    from llama_index.core.llms import ChatMessage
    from llama_index.llms.openai import OpenAIResponses

    # A name that it knows the context of.
    model = OpenAIResponses(model="gpt-4.1", api_key="key", api_base=url, max_retries=0)
    question = [ChatMessage(role="user", content="Hi")]
    if not stream:
        return model.chat(question).message.content
    answers = list(model.stream_chat(question))
    return "".join(answer.delta or "" for answer in answers), answers[-1].message.content


url, *clients = sys.argv[1:]
for client in clients:
    for status in ["completed", "failed", "incomplete"]:
        got = []
        for stream in [False, True]:
            try:
                got.append(repr(globals()[client](f"{url}/{status}/v1", stream)))
            except Exception as error:
                got.append(type(error).__name__)
        print(f"{client}, {status}: {got[0]}, streamed {got[1]}", flush=True)
PYTHON

three/bin/pip list --format freeze | grep -E '^(langchain-openai|pydantic-ai-slim|agent-framework-.*|haystack-ai)='
two/bin/pip list --format freeze | grep -E '^llama-index-(core|llms-openai)='
mkfifo said
python3 provider.py > said &
server=$!
read -r url < said
seen=$(
  set -e
  three/bin/python finding.py "$url" langchain pydantic_ai agent_framework haystack 2> log
  two/bin/python finding.py "$url" llama_index 2>> log
)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
langchain, completed: 'Half of', streamed 'Half of'
langchain, failed: ValueError, streamed ValueError
langchain, incomplete: 'Half of', streamed 'Half of'
pydantic_ai, completed: 'Half of', streamed 'Half of'
pydantic_ai, failed: ModelServerError, streamed ModelServerError
pydantic_ai, incomplete: 'Half of', streamed 'Half of'
agent_framework, completed: ('Half of', 'stop'), streamed ('Half of', 'stop')
agent_framework, failed: ('', None), streamed ('Half of', None)
agent_framework, incomplete: ('Half of', 'length'), streamed ('Half of', 'length')
haystack, completed: ('Half of', 'stop'), streamed ('Half of', 'stop')
haystack, failed: (None, 'stop'), streamed ('Half of', None)
haystack, incomplete: ('Half of', 'length'), streamed ('Half of', 'length')
llama_index, completed: 'Half of', streamed ('Half of', 'Half of')
llama_index, failed: AttributeError, streamed ('Half of', None)
llama_index, incomplete: 'Half of', streamed ('Half of', None)
SEEN
