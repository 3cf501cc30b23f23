"""Arize Phoenix, a real OTLP trace store, takes a trace and gives it back by its API."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from calls import APPLICATION, MODEL, PARENT, TOOL, chat, converse, talk
from processes import Process, Proxy, eventually, fetch, free_port
from recipes import RECIPES

SHOWN = """
    spanId parentId name spanKind statusCode latencyMs tokenCountPrompt tokenCountCompletion tokenCountTotal
    attributes trace { traceId }
"""


class Phoenix(Process):
    """A Phoenix of its own: empty store, free ports, nothing asked of the network."""

    def __init__(self, folder):
        port, grpc_port = free_port(), free_port()
        env = {
            "PHOENIX_WORKING_DIR": str(folder),
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": str(port),
            "PHOENIX_GRPC_PORT": str(grpc_port),
            "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
            "PHOENIX_DISABLE_AGENT_ASSISTANT": "true",
            "PHOENIX_TELEMETRY_ENABLED": "false",
        }
        super().__init__([Path(sys.executable).with_name("phoenix"), "serve"], env)
        self.url = f"http://127.0.0.1:{port}"
        self.endpoints = {"http/protobuf": self.url, "grpc": f"http://127.0.0.1:{grpc_port}"}

    def trace(self, trace_id):
        """The spans of a trace by name, as its API shows them."""
        answer = fetch(f"{self.url}/v1/projects/default/spans?limit=100")
        spans = json.loads(answer)["data"] if answer else []
        return {span["name"]: span for span in spans if span["context"]["trace_id"] == trace_id}


    def shown(self, trace_id):
        """The spans of a trace by their ids, with what Phoenix's pages show of each."""
        return {span["spanId"]: span for span in self.spans() if span["trace"]["traceId"] == trace_id}

    def spans(self):
        """All spans, as Phoenix's pages show them."""
        query = "{ projects { edges { node { spans(first: 100) { edges { node { %s } } } } } } }" % SHOWN
        headers = {"content-type": "application/json"}
        answer = fetch(f"{self.url}/graphql", json.dumps({"query": query}).encode(), headers)
        projects = json.loads(answer)["data"]["projects"]["edges"] if answer else []
        return [edge["node"] for project in projects for edge in project["node"]["spans"]["edges"]]


@pytest.fixture(scope="module")
def phoenix(tmp_path_factory):
    with Phoenix(tmp_path_factory.mktemp("phoenix")) as phoenix:
        eventually("Phoenix to be healthy", lambda: fetch(f"{phoenix.url}/healthz") is not None)
        yield phoenix


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_call_is_a_trace_in_phoenix(protocol, binary, simulator, phoenix):
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": phoenix.endpoints[protocol],
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    with Proxy(binary, simulator, env) as proxy:
        trace_id = chat(proxy.base_url)
        name = f"chat {MODEL}"
        spans = eventually(f"both spans of trace {trace_id}", lambda: _both(phoenix.trace(trace_id)))
    inference = spans.pop(name)
    (server,) = spans.values()
    assert inference["parent_id"] == server["context"]["span_id"]
    assert inference["attributes"]["gen_ai.request.model"] == MODEL
    assert inference["attributes"]["gen_ai.usage.output_tokens"] > 0
    # Phoenix shows calls to models as such, and takes the model from the standard attribute.
    assert inference["span_kind"] == "LLM"
    assert inference["attributes"]["llm.model_name"]


def _both(spans):
    return len(spans) == 2 and spans


def test_a_call_without_a_server_span_is_one_span_with_the_facts_of_its_request(binary, simulator, phoenix):
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": phoenix.url,
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "STREAMGAUGE_TELEMETRY_SPANS": "client",
    }
    with Proxy(binary, simulator, env) as proxy:
        trace_id = chat(proxy.base_url)
        spans = eventually(f"the span of trace {trace_id}", lambda: phoenix.trace(trace_id))
    (name, span), = spans.items()
    assert (name, span["span_kind"]) == (f"chat {MODEL}", "LLM")
    assert span["parent_id"] == PARENT
    assert span["attributes"]["http.response.status_code"] == 200


def test_check_says_that_phoenix_takes_traces_and_no_metrics(binary, simulator, phoenix):
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": phoenix.url, "STREAMGAUGE_UPSTREAM": simulator}
    check = subprocess.run([binary, "check", "--probe"], env=env, capture_output=True, text=True)
    assert check.returncode == 1
    assert f"traces: {phoenix.url}/v1/traces took an empty export" in check.stderr
    assert "it takes no metrics there: if it stores traces only, set OTEL_METRICS_EXPORTER=none" in check.stderr


def test_a_conversation_with_a_tool_is_shown_call_by_call(binary, simulator, phoenix):
    recipe, _ = RECIPES["Arize Phoenix"].serve()
    address = {"OTEL_EXPORTER_OTLP_ENDPOINT": phoenix.url}
    assert recipe.keys() >= address.keys()
    both = {"STREAMGAUGE_TELEMETRY_SPANS": "server+client"}
    with Proxy(binary, simulator, recipe | address | both | {"OTEL_BSP_SCHEDULE_DELAY": "100"}) as proxy:
        trace_id = converse(proxy.base_url, f"{phoenix.url}/v1/traces")

        def whole():
            spans = phoenix.shown(trace_id)
            return len(spans) == 8 and spans

        spans = eventually(f"all spans of trace {trace_id}", whole)
    (root,) = [span for span in spans.values() if span["parentId"] is None]
    assert root["name"] == APPLICATION
    calls = [span for span in spans.values() if span["spanKind"] == "llm"]
    servers = [spans[call["parentId"]] for call in calls]
    assert len({server["spanId"] for server in servers}) == 3
    assert {(server["parentId"], server["spanKind"]) for server in servers} == {(root["spanId"], "chain")}
    reasons = [_check_call(call) for call in calls]
    assert sorted(reasons) == ["stop", "stop", "tool_calls"]


def test_a_joined_conversation_is_one_trace_with_its_first_call_on_top(binary, simulator, phoenix):
    recipe, _ = RECIPES["Arize Phoenix"].serve()
    joined = {"STREAMGAUGE_CONVERSATIONS_TRACES": "joined", "OTEL_BSP_SCHEDULE_DELAY": "100"}
    before = {span["spanId"] for span in phoenix.spans()}
    with Proxy(binary, simulator, recipe | {"OTEL_EXPORTER_OTLP_ENDPOINT": phoenix.url} | joined) as proxy:
        talk(proxy.base_url)

        def whole():
            spans = [span for span in phoenix.spans() if span["spanId"] not in before]
            return len(spans) == 4 and spans

        spans = eventually("three calls and a wait for a tool", whole)
    assert len({span["trace"]["traceId"] for span in spans}) == 1
    (root,) = [span for span in spans if span["parentId"] is None]
    assert _check_call(root) == "tool_calls"
    below = [span for span in spans if span["parentId"] == root["spanId"]]
    assert sorted(span["name"] for span in below) == [f"chat {MODEL}"] * 2 + [f"tool_wait {TOOL}"]


def _check_call(call):
    """Checks what is shown of a call to the model, and returns why it ended."""
    llm = json.loads(call["attributes"])["llm"]
    assert call["name"] == f"chat {MODEL}"
    assert call["statusCode"] in ("UNSET", "OK")
    assert call["latencyMs"] >= 20
    assert call["tokenCountPrompt"] > 0 and call["tokenCountCompletion"] > 0
    assert call["tokenCountTotal"] == call["tokenCountPrompt"] + call["tokenCountCompletion"]
    assert llm["model_name"].startswith(MODEL) and llm["request"]["model_name"] == MODEL
    assert (llm["provider"], llm["system"]) == ("openai", "openai")
    assert json.loads(llm["invocation_parameters"])["model"] == MODEL
    return llm["finish_reason"]
