"""Arize Phoenix, a real OTLP trace store, takes a trace and gives it back by its API."""

import json
import sys
from pathlib import Path

import pytest

from calls import MODEL, chat
from processes import Process, Proxy, eventually, fetch, free_port


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
