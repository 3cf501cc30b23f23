#!/usr/bin/env bash
# PostHog's, Datadog's and Langfuse's tracing of OpenAI's SDK: is a traced stream the stream that the application asked for?
#
# Guess: yes. Tracing looks at the request and the chunks, and changes neither. An application that does not ask for the usage of a
# stream gets chunks with a choice each, and reads `chunk.choices[0]`.
#
# Found: PostHog's client asks for the usage in each streamed chat call, even where the application says `include_usage: False`, and
# hands the chunk with the usage on: it has no choices, and `choices[0]` is an `IndexError` once the whole answer has been read.
# Datadog asks too, unless the application says no, takes that chunk out of the stream, and leaves it in the raw lines. A server that knows no
# `stream_options` refuses the calls of both, though not those of the application alone. Langfuse changes nothing.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"; [ -z "${server:-}" ] || kill "$server"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip install --quiet openai==3.57.0 posthog==7.91.1 ddtrace==4.16.0 langfuse==5.0.4

cat > provider.py <<'PYTHON'
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

USAGE = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
REFUSAL = {"error": {"message": "Unrecognized request argument supplied: stream_options", "type": "invalid_request_error"}}


def chunk(*choices, **members):
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, **members}


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        options = asked.get("stream_options")
        if options is not None and self.path.startswith("/strict"):
            return self.answer(400, "application/json", json.dumps(REFUSAL))
        # What the server was asked for goes back as the text of the answer.
        first = chunk({"index": 0, "delta": {"role": "assistant", "content": json.dumps(options)}, "finish_reason": None})
        chunks = [first, chunk({"index": 0, "delta": {}, "finish_reason": "stop"})]
        if options and options["include_usage"]:
            chunks.append(chunk(usage=USAGE))
        return self.answer(200, "text/event-stream", "".join(f"data: {each}\n\n" for each in [*map(json.dumps, chunks), "[DONE]"]))

    def answer(self, status, kind, body):
        self.send_response(status)
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
import logging
import os
import sys

import openai

url, tracing = sys.argv[1:]
# Nothing listens there: what is recorded does not matter here.
NOWHERE = "http://127.0.0.1:9"
logging.disable()


def client(path):
    settings = {"api_key": "key", "base_url": f"{url}{path}", "max_retries": 0}
    if tracing == "PostHog":
        from posthog import Posthog
        from posthog.ai.openai import OpenAI

        return OpenAI(posthog_client=Posthog("key", host=NOWHERE), **settings)
    if tracing == "Langfuse":
        os.environ |= {"LANGFUSE_PUBLIC_KEY": "pk", "LANGFUSE_SECRET_KEY": "sk", "LANGFUSE_BASE_URL": NOWHERE}
        from langfuse.openai import OpenAI

        return OpenAI(**settings)
    if tracing == "Datadog":
        os.environ |= {"DD_TRACE_AGENT_URL": NOWHERE, "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false"}
        from ddtrace.llmobs import LLMObs

        LLMObs.enable(ml_app="finding", integrations_enabled=True, agentless_enabled=False)
    return openai.OpenAI(**settings)


def read(completions, **options):
    text = ""
    try:
        for chunk in completions.create(model="m", messages=[{"role": "user", "content": "Hi"}], stream=True, **options):
            text += chunk.choices[0].delta.content or ""
    except (IndexError, openai.APIStatusError) as error:
        return f"{text} {type(error).__name__}".strip()
    return text


def raw(completions):
    question = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    with completions.with_streaming_response.create(**question) as response:
        return "with usage" if any("total_tokens" in line for line in response.iter_lines()) else "without usage"


completions = client("/v1").chat.completions
print(f"{tracing}: asks {read(completions)}; told not to, {read(completions, stream_options={'include_usage': False})};",
      f"raw lines {raw(completions)}; a server that refuses: {read(client('/strict/v1').chat.completions)}", flush=True)
# Without waiting for exporters.
os._exit(0)
PYTHON

venv/bin/pip list --format freeze | grep -E '^(openai|posthog|ddtrace|langfuse)='
mkfifo said
python3 provider.py > said &
server=$!
read -r url < said
seen=$(for tracing in None Langfuse PostHog Datadog; do venv/bin/python finding.py "$url" "$tracing" 2> "$tracing.log"; done)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
None: asks null; told not to, {"include_usage": false}; raw lines without usage; a server that refuses: null
Langfuse: asks null; told not to, {"include_usage": false}; raw lines without usage; a server that refuses: null
PostHog: asks {"include_usage": true} IndexError; told not to, {"include_usage": true} IndexError; raw lines without usage; a server that refuses: BadRequestError
Datadog: asks {"include_usage": true}; told not to, {"include_usage": false}; raw lines with usage; a server that refuses: BadRequestError
SEEN
