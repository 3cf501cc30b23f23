#!/usr/bin/env bash
# LangChain's agent: what becomes of a tool call whose arguments were cut off, since the model had used up its tokens?
#
# Guess: the tool does not run. Half of a JSON object is no JSON, the finish reason is `length`, and the message has a place for such
# calls (`invalid_tool_calls`). And whether the answer is streamed cannot matter: the arguments are the same.
#
# Found: it runs if the answer is streamed, as it is behind most chat windows (`stream_mode="messages"`, or a model with
# `streaming=True`). The end that the JSON lacks is added, and a number counts as complete: the model was about to write 30 days,
# the tool gets 3, and its result goes back to the model as that of the whole call. It is the same where the stream just ends,
# without a finish reason. Not streamed, the call is invalid and the tool does not run. Known upstream:
# langchain-ai/langchain#39275 (closed), and for Node langchain-ai/langchainjs#11469.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet langchain==1.5.2 langchain-core==1.8.3 langchain-openai==1.7.4 openai==3.57.0

cat > "$work/finding.py" <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

HALF = '{"path": "/backup", "older_than_days": 3'  # of {"path": "/backup", "older_than_days": 30}
CALL = {"id": "call_1", "type": "function", "function": {"name": "remove_files", "arguments": HALF}}


def answer(kind, name, said, finish):
    choice = {"index": 0, name: said, "finish_reason": finish}
    return json.dumps({"id": "1", "object": kind, "created": 1, "model": "m", "choices": [choice]})


def whole(said, finish):
    return answer("chat.completion", "message", {"role": "assistant", "content": None, **said}, finish)


def stream(said, finish):
    if "tool_calls" in said:
        said = {"tool_calls": [{"index": 0, **call} for call in said["tool_calls"]]}
    chunks = [("delta", {"role": "assistant", **said}, None), ("delta", {}, finish)]
    events = [answer("chat.completion.chunk", *chunk) for chunk in chunks[: 2 if finish else 1]]
    return "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"])


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        finish = None if request["model"] == "no finish reason" else "length"
        asked = request["messages"][-1]["role"] == "user"
        said = ({"tool_calls": [CALL]}, finish) if asked else ({"content": "Done"}, "stop")
        make, kind = (stream, "text/event-stream") if request.get("stream") else (whole, "application/json")
        body = make(*said).encode()
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/v1"
ran = []


@tool
def remove_files(path: str, older_than_days: int) -> str:
    """Remove old files."""
    ran.append(f"remove_files({path!r}, {older_than_days})")
    return "removed"


def agent(model, **options):
    return create_agent(ChatOpenAI(model=model, api_key="key", base_url=url, max_retries=0, **options), [remove_files])


ASKED = {"messages": [("user", "Tidy up")]}
RUNS = {
    "invoke, length": lambda: agent("length").invoke(ASKED),
    "invoke of a streaming model, length": lambda: agent("length", streaming=True).invoke(ASKED),
    "stream of messages, length": lambda: list(agent("length").stream(ASKED, stream_mode="messages")),
    "stream of messages, no finish reason": lambda: list(agent("no finish reason").stream(ASKED, stream_mode="messages")),
}
for name, run in RUNS.items():
    ran.clear()
    run()
    print(f"{name}: {', '.join(ran) or 'no tool ran'}")
server.shutdown()
PYTHON

"$work/venv/bin/pip" list --format freeze | grep -E '^(langchain|langchain-core|langchain-openai)='
seen=$("$work/venv/bin/python" "$work/finding.py")
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
invoke, length: no tool ran
invoke of a streaming model, length: remove_files('/backup', 3)
stream of messages, length: remove_files('/backup', 3)
stream of messages, no finish reason: remove_files('/backup', 3)
SEEN
