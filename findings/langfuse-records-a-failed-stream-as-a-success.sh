#!/usr/bin/env bash
# Langfuse's wrapper of the OpenAI SDK: what does it record of a stream that fails in the middle, or has two choices?
#
# Guess: what the application sees. A stream with an error in it raises `APIError`, one that breaks off another error; a call that is
# refused at once has the level `ERROR` and its message on the observation, so these have too. Two choices are two outputs, as they
# are where the same call is not streamed.
#
# Found: a stream that fails has the level of a success, no message, and half an answer as its output: nothing tells it from a short
# answer. Two streamed choices are one text, a piece of the one and a piece of the other (known: langfuse/langfuse#16998).
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet langfuse==5.0.4 openai==3.57.0 opentelemetry-sdk==1.45.2

cat > "$work/finding.py" <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from langfuse import Langfuse
from langfuse.openai import OpenAI
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

ERROR = {"error": {"message": "overloaded", "type": "server_error", "code": None, "param": None}}
PIECES = {"two choices": [(0, "Hel"), (1, "Bon"), (0, "lo"), (1, "jour")]}


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        model, stream = request["model"], request.get("stream")
        pieces = PIECES.get(model, [(0, "Hel"), (0, "lo")])
        indexes = sorted({index for index, _ in pieces})
        if stream:
            choices = [{"index": index, "delta": {"role": "assistant", "content": text}, "finish_reason": None} for index, text in pieces]
            failed = model in ("error", "broken off")
            choices += [] if failed else [{"index": index, "delta": {}, "finish_reason": "stop"} for index in indexes]
            answers = [self.answer("chat.completion.chunk", model, [choice]) for choice in choices]
            events = [*answers, *([ERROR] if model == "error" else [])]
            body = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + ("" if failed else "data: [DONE]\n\n")
        else:
            texts = {index: "".join(text for other, text in pieces if other == index) for index in indexes}
            choices = [{"index": index, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
                       for index, text in texts.items()]
            body = json.dumps(ERROR if model == "refused" else self.answer("chat.completion", model, choices))
        self.send_response(400 if model == "refused" else 200)
        self.send_header("content-type", "text/event-stream" if stream else "application/json")
        self.send_header("content-length", str(len(body) + 100 * (model == "broken off")))
        self.end_headers()
        self.wfile.write(body.encode())
        self.close_connection = True

    def answer(self, kind, model, choices):
        return {"id": "1", "object": kind, "created": 1, "model": model, "choices": choices}

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"

spans = InMemorySpanExporter()
langfuse = Langfuse(public_key="pk-lf-1", secret_key="sk-lf-1", base_url=url, span_exporter=spans)
client = OpenAI(api_key="key", base_url=f"{url}/v1", max_retries=0)
for model, stream in [("whole", True), ("refused", False), ("error", True), ("broken off", True),
                      ("two choices", False), ("two choices", True)]:
    raised, number = "nothing", 2 if model in PIECES else 1
    try:
        answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hi"}], n=number, stream=stream)
        if stream:
            for _ in answer:
                pass
    except Exception as error:
        raised = type(error).__name__
    langfuse.flush()
    [span] = spans.get_finished_spans()
    spans.clear()
    level, message, output = (span.attributes.get(f"langfuse.observation.{name}") for name in ("level", "status_message", "output"))
    print(f"{model}, {'' if stream else 'not '}streamed: raises {raised}; level {level}, status {span.status.status_code.name}, output {output}")
PYTHON

"$work/venv/bin/pip" list --format freeze | grep -E '^(langfuse|openai)='
seen=$("$work/venv/bin/python" "$work/finding.py" 2> /dev/null)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
whole, streamed: raises nothing; level None, status UNSET, output Hello
refused, not streamed: raises BadRequestError; level ERROR, status ERROR, output None
error, streamed: raises APIError; level None, status UNSET, output Hello
broken off, streamed: raises APIConnectionError; level None, status UNSET, output Hello
two choices, not streamed: raises nothing; level None, status UNSET, output [{"role": "assistant", "content": "Hello"}, {"role": "assistant", "content": "Bonjour"}]
two choices, streamed: raises nothing; level None, status UNSET, output HelBonlojour
SEEN
