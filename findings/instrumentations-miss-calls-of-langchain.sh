#!/usr/bin/env bash
# LangChain under instrumentations of the SDKs that it calls: is each of its calls a span with the tokens used?
#
# Guess: yes. LangChain calls the public methods of the SDKs of OpenAI and Anthropic, which are what is instrumented, so its calls
# are recorded as those of an application that calls the SDK itself.
#
# Found: LangChain asks for the raw response (`with_raw_response`), as an application seldom does. Of its streamed calls to
# Anthropic, OpenInference then records no tokens, and Traceloop 0 of them, with status OK, as if the call had been free. A call to
# OpenAI's Responses API that is not streamed is no span of Traceloop's. Calls of the SDK itself are right but for one: Traceloop
# adds the output of Anthropic's first event to that of the last, which has it already. OpenTelemetry's own instrumentations have
# all of it. New Relic's agent had the same fault (newrelic/newrelic-python-agent#1855).
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet anthropic==2.14.0 openai==3.57.0 langchain-anthropic==1.7.10 langchain-openai==1.7.4 \
  opentelemetry-sdk==1.45.2 \
  opentelemetry-instrumentation-anthropic==0.62.4 opentelemetry-instrumentation-openai==0.62.4 \
  openinference-instrumentation-anthropic==3.1.0 openinference-instrumentation-openai==0.1.66 \
  opentelemetry-instrumentation-genai-anthropic==1.3b0 opentelemetry-instrumentation-genai-openai==1.3b0

cat > "$work/finding.py" <<'PYTHON'
import importlib
import json
import sys
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

warnings.filterwarnings("ignore")
USAGE = {"input_tokens": 10, "output_tokens": 5}
MESSAGES = [{"role": "user", "content": "Hi"}]
MODULES = {
    "Traceloop": "opentelemetry.instrumentation",
    "OpenInference": "openinference.instrumentation",
    "OpenTelemetry": "opentelemetry.instrumentation.genai",
}


def message_events():
    begun = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": 1},
    }
    return [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": USAGE},
        {"type": "message_stop"},
    ]


def response():
    text = {"type": "output_text", "text": "Hello", "annotations": []}
    output = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [text]}
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    return {
        "id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "completed", "output": [output],
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": {**USAGE, "total_tokens": 15, **details},
    }


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        streamed = self.path.endswith("/messages")
        if streamed != bool(request.get("stream")):
            raise ValueError(f"{self.path} with stream {request.get('stream')}")
        events = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in message_events()]
        sent = "".join(events) if streamed else json.dumps(response())
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if streamed else "application/json")
        self.send_header("content-length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent.encode())

    def log_message(self, *_):
        pass


spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
root = f"http://127.0.0.1:{server.server_port}"
whose = sys.argv[1]
importlib.import_module(f"{MODULES[whose]}.openai").OpenAIInstrumentor().instrument()
importlib.import_module(f"{MODULES[whose]}.anthropic").AnthropicInstrumentor().instrument()

import anthropic  # noqa: E402
import openai  # noqa: E402
from langchain_anthropic import ChatAnthropic  # noqa: E402
from langchain_openai import ChatOpenAI  # noqa: E402


def sdk_stream():
    client = anthropic.Anthropic(api_key="key", base_url=root)
    list(client.messages.create(model="m", messages=MESSAGES, max_tokens=9, stream=True))


def langchain_stream():
    list(ChatAnthropic(model="m", api_key="key", base_url=root, max_tokens=9).stream("Hi"))


def sdk_response():
    openai.OpenAI(api_key="key", base_url=f"{root}/v1").responses.create(model="m", input="Hi")


def langchain_response():
    ChatOpenAI(model="m", api_key="key", base_url=f"{root}/v1", use_responses_api=True).invoke("Hi")


def seen(span):
    said = span.attributes
    inputs = said.get("gen_ai.usage.input_tokens", said.get("llm.token_count.prompt"))
    outputs = said.get("gen_ai.usage.output_tokens", said.get("llm.token_count.completion"))
    return f"{inputs} in, {outputs} out, {span.status.status_code.name}"


calls = {
    "Anthropic SDK, stream": sdk_stream,
    "LangChain for Anthropic, stream": langchain_stream,
    "OpenAI SDK, Responses": sdk_response,
    "LangChain for OpenAI, Responses": langchain_response,
}
for name, call in calls.items():
    spans.clear()
    call()
    print(f"{whose}, {name}: {'; '.join(map(seen, spans.get_finished_spans())) or 'no span'}")
PYTHON

"$work/venv/bin/pip" list --format freeze |
  grep -E '^(anthropic|openai|langchain-(anthropic|openai)|open[a-z]*-instrumentation-.*)='
# Without the span that Anthropic's SDK makes by itself.
seen=$(for whose in Traceloop OpenInference OpenTelemetry; do
  ANTHROPIC_OPEN_TELEMETRY=false "$work/venv/bin/python" "$work/finding.py" "$whose" 2> "$work/log" || cat "$work/log"
done)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
Traceloop, Anthropic SDK, stream: 10 in, 6 out, OK
Traceloop, LangChain for Anthropic, stream: 0 in, 0 out, OK
Traceloop, OpenAI SDK, Responses: 10 in, 5 out, UNSET
Traceloop, LangChain for OpenAI, Responses: no span
OpenInference, Anthropic SDK, stream: 10 in, 5 out, OK
OpenInference, LangChain for Anthropic, stream: None in, None out, UNSET
OpenInference, OpenAI SDK, Responses: 10 in, 5 out, OK
OpenInference, LangChain for OpenAI, Responses: 10 in, 5 out, OK
OpenTelemetry, Anthropic SDK, stream: 10 in, 5 out, UNSET
OpenTelemetry, LangChain for Anthropic, stream: 10 in, 5 out, UNSET
OpenTelemetry, OpenAI SDK, Responses: 10 in, 5 out, UNSET
OpenTelemetry, LangChain for OpenAI, Responses: 10 in, 5 out, UNSET
SEEN
