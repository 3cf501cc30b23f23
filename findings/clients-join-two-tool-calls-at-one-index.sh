#!/usr/bin/env bash
# Four clients: two tool calls in one stream that have the same index and ids of their own. How many calls does the application
# get?
#
# Guess: two. Ollama and some parsers of vLLM number each call 0, and send it whole; a new id beside a new name can only be a
# new call.
#
# Found: two in LangChain, one in the other three. Those put the calls together as if they were pieces of one, by three recipes:
# the names joined (`searchpay`) or the second one, the ids joined or the second one, the arguments joined in all, which is no
# JSON. The first call does not run, the second one fails or runs on what its framework makes of broken arguments.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet openai==3.57.0 'pydantic-ai-slim[openai]==2.68.0' litellm==1.110.2 langchain-openai==1.7.4

cat > "$work/finding.py" <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import litellm
import openai
from langchain_openai import ChatOpenAI
from pydantic_ai.direct import model_request_stream_sync
from pydantic_ai.messages import ModelRequest
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

MESSAGES = [{"role": "user", "content": "Find it and pay"}]


def call(index, id, name, arguments):
    return {"tool_calls": [{"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}}]}


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        second = json.loads(self.rfile.read(int(self.headers["content-length"])))["model"] == "an-index-each"
        calls = [call(0, "a", "search", '{"item":7}'), call(int(second), "b", "pay", '{"sum":5}')]
        deltas = [{"role": "assistant", "content": None}, *calls, {}]
        chunks = [{"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [
            {"index": 0, "delta": delta, "finish_reason": None if delta else "tool_calls"}]} for delta in deltas]
        body = "".join(f"data: {event}\n\n" for event in [*map(json.dumps, chunks), "[DONE]"]).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def with_openai(model):
    with openai.OpenAI(api_key="key", base_url=url).chat.completions.stream(model=model, messages=MESSAGES) as stream:
        calls = stream.get_final_completion().choices[0].message.tool_calls
    return [(each.id, each.function.name, each.function.arguments) for each in calls]


def with_pydantic_ai(model):
    chat = OpenAIChatModel(model, provider=OpenAIProvider(api_key="key", base_url=url))
    with model_request_stream_sync(chat, [ModelRequest.user_text_prompt("Find it and pay")]) as stream:
        for _ in stream:
            pass
        return [(each.tool_call_id, each.tool_name, each.args) for each in stream.response.parts]


def with_litellm(model):
    stream = litellm.completion(model=f"openai/{model}", api_base=url, api_key="key", messages=MESSAGES, stream=True)
    calls = litellm.stream_chunk_builder(list(stream)).choices[0].message.tool_calls
    return [(each.id, each.function.name, each.function.arguments) for each in calls]


def with_langchain(model):
    whole = None
    for chunk in ChatOpenAI(model=model, api_key="key", base_url=url).stream("Find it and pay"):
        whole = chunk if whole is None else whole + chunk
    return [(each["id"], each["name"], json.dumps(each["args"], separators=(",", ":"))) for each in whole.tool_calls]


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/v1"
litellm.suppress_debug_info = True
for way in [with_openai, with_pydantic_ai, with_litellm, with_langchain]:
    for model in ["an-index-each", "one-index"]:
        calls = "; ".join(" ".join(each) for each in way(model))
        print(f"{way.__name__[5:]}, {model}: {calls}")
server.shutdown()
PYTHON

"$work/venv/bin/pip" list --format freeze | grep -E '^(openai|pydantic-ai-slim|litellm|langchain-openai)='
seen=$(LITELLM_LOCAL_MODEL_COST_MAP=True "$work/venv/bin/python" "$work/finding.py" 2> /dev/null)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
openai, an-index-each: a search {"item":7}; b pay {"sum":5}
openai, one-index: ab searchpay {"item":7}{"sum":5}
pydantic_ai, an-index-each: a search {"item":7}; b pay {"sum":5}
pydantic_ai, one-index: b searchpay {"item":7}{"sum":5}
litellm, an-index-each: a search {"item":7}; b pay {"sum":5}
litellm, one-index: b pay {"item":7}{"sum":5}
langchain, an-index-each: a search {"item":7}; b pay {"sum":5}
langchain, one-index: a search {"item":7}; b pay {"sum":5}
SEEN
