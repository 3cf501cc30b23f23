#!/usr/bin/env bash
# Pydantic AI and Strands Agents: a chat stream ends in good order in the middle of the answer, with neither finish reason nor
# `[DONE]`, as after a hop that turns a broken body into a clean end. What does the application get?
#
# Guess: half an answer without an error, as OpenAI's SDK for Python gives it, but with a finish reason that is absent: an
# application that looks at it knows. A stream that was cut off by the limit on tokens (`length`) is the yardstick.
#
# Found: both say that the model was done. Pydantic AI puts in the finish reason `stop`, for the application and, as
# `gen_ai.response.finish_reasons`, on its span, and the state of the response is `complete`. Strands has the stop reason
# `end_turn` of a whole answer, and an answer without text: what had been streamed until then is not in the message, nor in the
# history that goes to the model next. Pydantic AI's setting `openai_chat_streaming_requires_finish_reason` makes an error of it.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/pydantic"
"$work/pydantic/bin/pip" install --quiet 'pydantic-ai-slim[openai]==2.68.0' openai==3.57.0 opentelemetry-sdk==1.45.2
python3 -m venv "$work/strands"
"$work/strands/bin/pip" install --quiet 'strands-agents[openai]==1.62.0' openai==2.54.0

cat > "$work/provider.py" <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STREAMS = {"whole": "stop", "at its limit": "length", "cut": None}


def chunk(delta, finish=None):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        finish = STREAMS[json.loads(self.rfile.read(int(self.headers["content-length"])))["model"]]
        events = [json.dumps(chunk({"role": "assistant", "content": "Take two"}))]
        if finish:
            events += [json.dumps(chunk({}, finish)), "[DONE]"]
        body = "".join(f"data: {event}\n\n" for event in events).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def start():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/v1"
PYTHON

cat > "$work/with_pydantic_ai.py" <<'PYTHON'
import asyncio

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from provider import STREAMS, start
from pydantic_ai import Agent, InstrumentationSettings
from pydantic_ai.exceptions import ModelAPIError
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.openai import OpenAIProvider

spans = InMemorySpanExporter()
tracing = TracerProvider()
tracing.add_span_processor(SimpleSpanProcessor(spans))
Agent.instrument_all(InstrumentationSettings(tracer_provider=tracing))
provider = OpenAIProvider(api_key="key", base_url=start())


async def run(name, model, profile=None):
    spans.clear()
    try:
        async with Agent(OpenAIChatModel(model, provider=provider, profile=profile)).run_stream("How many?") as result:
            text = await result.get_output()
    except ModelAPIError as error:
        return print(f"Pydantic AI, {name}: {error.message}")
    answer = result.response
    (span,) = [span for span in spans.get_finished_spans() if span.name.startswith("chat")]
    reasons = list(span.attributes["gen_ai.response.finish_reasons"])
    print(f"Pydantic AI, {name}: {text!r}, {answer.finish_reason}, {answer.state}, on the span {reasons}")


async def main():
    for model in STREAMS:
        await run(model, model)
    await run("cut, with the setting", "cut", OpenAIModelProfile(openai_chat_streaming_requires_finish_reason=True))


asyncio.run(main())
PYTHON

cat > "$work/with_strands.py" <<'PYTHON'
from provider import STREAMS, start
from strands import Agent
from strands.models.openai import OpenAIModel
from strands.types.exceptions import MaxTokensReachedException

url = start()
for name in STREAMS:
    streamed = []
    model = OpenAIModel(client_args={"api_key": "key", "base_url": url, "max_retries": 0}, model_id=name)
    agent = Agent(model=model, callback_handler=lambda **event: streamed.append(event.get("data", "")))
    try:
        result = agent("How many?")
        end = f"{str(result).strip()!r}, {result.stop_reason}"
    except MaxTokensReachedException as error:
        end = type(error).__name__
    print(f"Strands, {name}: streamed {''.join(streamed)!r}, then {end}, in the history {agent.messages[-1]['content']}")
PYTHON

"$work/pydantic/bin/pip" list --format freeze | grep -E '^(openai|pydantic-ai-slim)='
"$work/strands/bin/pip" list --format freeze | grep -E '^(openai|strands-agents)='
seen=$(cd "$work"; pydantic/bin/python with_pydantic_ai.py && strands/bin/python with_strands.py)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
Pydantic AI, whole: 'Take two', stop, complete, on the span ['stop']
Pydantic AI, at its limit: 'Take two', length, complete, on the span ['length']
Pydantic AI, cut: 'Take two', stop, complete, on the span ['stop']
Pydantic AI, cut, with the setting: Streamed response ended without a `finish_reason`
Strands, whole: streamed 'Take two', then 'Take two', end_turn, in the history [{'text': 'Take two'}]
Strands, at its limit: streamed 'Take two', then MaxTokensReachedException, in the history [{'text': 'Take two'}]
Strands, cut: streamed 'Take two', then '', end_turn, in the history []
SEEN
