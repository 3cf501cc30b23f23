"""Plain calls through the proxy, in traces that the test knows."""

import json
import os
import time
import urllib.error
import urllib.request

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from processes import DEADLINE

MODEL = "sim-chat"
TOOL = "read_gauge"
APPLICATION = "conversation"
PARENT = "00f067aa0ba902b7"
KNOBS = {"x-sim-chunks": "8", "x-sim-interval-ms": "2", "x-sim-think-ms": "20"}


def request_of(url, body, headers=None):
    """A call that has not been made yet: the id of its trace, and the request."""
    trace_id = os.urandom(16).hex()
    headers = {
        "content-type": "application/json",
        "authorization": "Bearer sk-test",
        "traceparent": f"00-{trace_id}-{PARENT}-01",
    } | (headers or {})
    return trace_id, urllib.request.Request(url, json.dumps(body).encode(), headers)


def post(url, body, headers=None):
    """Makes one call and reads all of its answer, an error's too; the id of its trace, and the answer as text."""
    trace_id, request = request_of(url, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE) as response:
            return trace_id, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return trace_id, error.read().decode()


def chat(base_url, stream=True):
    """Makes one chat call to the simulated upstream, and returns the id of its trace."""
    body = {"model": MODEL, "stream": stream, "messages": [{"role": "user", "content": "How deep is the river?"}]}
    trace_id, answer = post(f"{base_url}/chat/completions", body, KNOBS)
    assert "choices" in answer
    return trace_id


AGENT = "an-agent's"
"""The model of an agent; the simulator knows none of this name, so it chats."""

AGENTS_CALLS = 9


def run_agent(base_url):
    """Has an agent go round in circles: it calls a tool three times, changes its system prompt, and tries again what fails.

    Returns the ids of its traces.
    """
    function = {"name": TOOL, "parameters": {"type": "object", "properties": {"river": {"type": "string"}}}}
    messages, traces = [{"role": "system", "content": "Be brief."}], set()

    def ask(model=AGENT):
        body = {"model": model, "messages": messages, "tools": [{"type": "function", "function": function}]}
        trace_id, answer = post(f"{base_url}/chat/completions", body, KNOBS)
        traces.add(trace_id)
        return json.loads(answer)

    for question in ("How deep is the river?", "And now?", "And tomorrow?"):
        messages.append({"role": "user", "content": question})
        message = ask()["choices"][0]["message"]
        (call,) = message["tool_calls"]
        messages += [message, {"role": "tool", "tool_call_id": call["id"], "content": "3.2 m"}]
        messages.append(ask()["choices"][0]["message"])
    messages[0]["content"] = "Be thorough."
    messages.append({"role": "user", "content": "Why?"})
    ask()
    for _ in range(2):
        assert "error" in ask("sim-error-429")
    assert len(traces) == AGENTS_CALLS
    return traces


def converse(base_url, traces_url, headers=None):
    """Holds a conversation as an application that traces, and returns its trace's id.

    The application exports its own span, the parent of all, to `traces_url`.
    """
    trace_id, span_id, begun = os.urandom(16), os.urandom(8), time.time_ns()
    talk(base_url, f"00-{trace_id.hex()}-{span_id.hex()}-01")
    export_span(traces_url, headers or {}, trace_id, span_id, begun)
    return trace_id.hex()


def talk(base_url, traceparent=""):
    """Holds a conversation of three calls, a tool's among them, by default without a trace of the client's.

    The model calls the tool, is told its result, and answers; then it is asked again, without tools, and streams.
    """
    function = {"name": TOOL, "parameters": {"type": "object", "properties": {"river": {"type": "string"}}}}
    tools = [{"type": "function", "function": function}]
    messages = [{"role": "user", "content": "How deep is the river?"}]

    def ask(**more):
        body = {"model": MODEL, "temperature": 0.5, "messages": messages} | more
        _, answer = post(f"{base_url}/chat/completions", body, KNOBS | {"traceparent": traceparent})
        return answer

    def turn():
        answer = json.loads(ask(tools=tools))["choices"][0]
        messages.append(answer["message"])
        return answer

    (call,) = turn()["message"]["tool_calls"]
    assert call["function"]["name"] == TOOL
    messages.append({"role": "tool", "tool_call_id": call["id"], "content": "3.2 m"})
    assert turn()["finish_reason"] == "stop"
    messages.append({"role": "user", "content": "And tomorrow?"})
    ask(stream=True)


def export_span(traces_url, headers, trace_id, span_id, begun, failed=False, said=""):
    """Exports the span of an application, which ends now; it may have failed, and tell what was `said`."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    service = resource.resource.attributes.add()
    service.key, service.value.string_value = "service.name", APPLICATION
    span = resource.scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.name = trace_id, span_id, APPLICATION
    span.start_time_unix_nano, span.end_time_unix_nano = begun, time.time_ns()
    span.status.code = Status.STATUS_CODE_ERROR if failed else Status.STATUS_CODE_UNSET
    kind = span.attributes.add()
    kind.key, kind.value.string_value = "openinference.span.kind", "CHAIN"
    if said:
        said_as = span.attributes.add()
        said_as.key, said_as.value.string_value = "input.value", said
    headers = headers | {"content-type": "application/x-protobuf"}
    urllib.request.urlopen(urllib.request.Request(traces_url, request.SerializeToString(), headers), timeout=DEADLINE)
