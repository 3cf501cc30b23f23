"""MLflow's tracking server takes the traces of a conversation by OTLP and gives them back by its API."""

import json
import sys
from pathlib import Path

import pytest

from calls import APPLICATION, MODEL, TOOL, converse
from processes import Process, Proxy, eventually, fetch, free_port
from recipes import RECIPES

EXPERIMENT = {"x-mlflow-experiment-id": "0"}
"""Where the traces go: OTLP says nothing of experiments, and MLflow refuses traces without one."""


class MLflow(Process):
    """A tracking server of its own: empty store, a free port, nothing asked of the network."""

    def __init__(self, folder, command=Path(sys.executable).with_name("mlflow")):
        port = free_port()
        store = f"sqlite:///{folder / 'mlflow.db'}"
        command = [command, "server", "--host", "127.0.0.1", "--port", str(port)]
        env = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
        super().__init__([*command, "--workers", "1", "--backend-store-uri", store], env, cwd=folder)
        self.url = f"http://127.0.0.1:{port}"

    def __exit__(self, *exception):
        # Asked to stop, it stops the workers that it started.
        self.terminate()
        super().__exit__(*exception)

    def trace(self, trace_id):
        """What it knows of a trace, and its spans by their ids; None while it has not heard of it."""
        answer = fetch(f"{self.url}/api/3.0/mlflow/traces/get?trace_id=tr-{trace_id}")
        if not answer:
            return None
        trace = json.loads(answer)["trace"]
        return trace["trace_info"], {span["span_id"]: span for span in trace["spans"]}


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory):
    with MLflow(tmp_path_factory.mktemp("mlflow")) as mlflow:
        eventually("MLflow to be healthy", lambda: fetch(f"{mlflow.url}/health") is not None)
        yield mlflow


def _env(mlflow):
    recipe, _ = RECIPES["MLflow"].serve()
    assert recipe["OTEL_EXPORTER_OTLP_HEADERS"] == "x-mlflow-experiment-id=0"
    return recipe | {
        "OTEL_EXPORTER_OTLP_ENDPOINT": mlflow.url,
        # The first export waits until MLflow has set up its store.
        "OTEL_EXPORTER_OTLP_TIMEOUT": "30000",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }


def test_a_conversation_with_a_tool_is_shown_call_by_call(binary, simulator, mlflow):
    env = _env(mlflow) | {"STREAMGAUGE_TELEMETRY_SPANS": "server+client"}
    with Proxy(binary, simulator, env) as proxy:
        trace_id = converse(proxy.base_url, f"{mlflow.url}/v1/traces", EXPERIMENT)

        def whole():
            trace = mlflow.trace(trace_id)
            return trace and len(trace[1]) == 8

        eventually(f"all spans of trace {trace_id}", whole)
    # Asked anew: MLflow reads what it knows of the whole trace before its spans, some of which may come between the two.
    info, spans = mlflow.trace(trace_id)
    assert info["state"] == "OK"
    (root,) = [span for span in spans.values() if not span.get("parent_span_id")]
    assert root["name"] == APPLICATION
    calls = [span for span in spans.values() if span["name"] == f"chat {MODEL}"]
    servers = [spans[call["parent_span_id"]] for call in calls]
    assert len({server["span_id"] for server in servers}) == 3
    assert {server["parent_span_id"] for server in servers} == {root["span_id"]}
    (wait,) = [span for span in spans.values() if span["name"] == f"tool_wait {TOOL}"]
    assert wait["parent_span_id"] in spans
    tokens = [_check_call(call) for call in calls]
    # What MLflow shows of the whole trace is the sum of its calls: no span repeats another's tokens.
    usage = json.loads(info["trace_metadata"]["mlflow.trace.tokenUsage"])
    assert usage["input_tokens"] == sum(given["input_tokens"] for given in tokens)
    assert usage["output_tokens"] == sum(given["output_tokens"] for given in tokens)


def test_calls_without_a_server_span_stand_directly_below_the_application(binary, simulator, mlflow):
    with Proxy(binary, simulator, _env(mlflow)) as proxy:
        trace_id = converse(proxy.base_url, f"{mlflow.url}/v1/traces", EXPERIMENT)

        def whole():
            trace = mlflow.trace(trace_id)
            return trace and len(trace[1]) == 5

        eventually(f"all spans of trace {trace_id}", whole)
    _, spans = mlflow.trace(trace_id)
    (root,) = [span for span in spans.values() if not span.get("parent_span_id")]
    calls = [span for span in spans.values() if span["name"] == f"chat {MODEL}"]
    assert [call["parent_span_id"] for call in calls] == [root["span_id"]] * 3
    for call in calls:
        _check_call(call)


def _check_call(call):
    """Checks what MLflow makes of a call to the model, and returns the tokens that it read."""
    attributes = {each["key"]: next(iter(each["value"].values())) for each in call["attributes"]}
    assert attributes["mlflow.spanType"] == "CHAT_MODEL"
    assert attributes["mlflow.llm.model"].startswith(MODEL)
    assert attributes["mlflow.llm.provider"] == "openai"
    assert call["end_time_unix_nano"] - call["start_time_unix_nano"] >= 20_000_000
    # Absent where it is unset, as that of a call which went well is.
    assert call["status"].get("code") in (None, "STATUS_CODE_UNSET", "STATUS_CODE_OK")
    tokens = attributes["mlflow.chat.tokenUsage"]
    values = {each["key"]: int(each["value"]["int_value"]) for each in tokens["values"]}
    assert values["input_tokens"] > 0 and values["output_tokens"] > 0
    return values
