"""Agent, one gateway and a store of traces, as they are shipped: a call can be looked up by the id of its trace.

Tempo's and Jaeger's tests need those programs; the file of a Collector stands for them where they are not.
"""

import contextlib
import json

import pytest

from calls import TOOL, converse
from processes import Process, Proxy, eventually, fetch, free_port
from programs import AGENT, DEPLOY, GATEWAY, Otelcol, Store, optional_program

JAEGER = """
service:
  extensions: [jaeger_storage, jaeger_query]
  telemetry:
    metrics:
      level: none
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [jaeger_storage_exporter]
extensions:
  jaeger_query:
    storage:
      traces: memory
    http:
      endpoint: HTTP
    grpc:
      endpoint: GRPC
  jaeger_storage:
    backends:
      memory:
        memory:
          max_traces: 1000
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: OTLP
exporters:
  jaeger_storage_exporter:
    trace_storage: memory
"""


def local():
    return f"127.0.0.1:{free_port()}"


@contextlib.contextmanager
def file(folder):
    """Where a store listens, and how the names of a trace's spans are found."""
    with Store(folder) as store:
        yield store.grpc, lambda trace_id: [span["name"] for span in store.traces().get(trace_id, [])]


@contextlib.contextmanager
def tempo(folder):
    binary = optional_program("tempo", "no Go module proxy offers a version of github.com/grafana/tempo that runs today")
    http, otlp, grpc = local(), local(), local()
    text = (DEPLOY / "tempo" / "tempo.yaml").read_text().replace("0.0.0.0:4317", otlp).replace("/var/tempo", str(folder))
    text = text.replace("0.0.0.0", "127.0.0.1").replace("3200", http.split(":")[1]).replace("9095", grpc.split(":")[1])
    config = folder / "tempo.yaml"
    config.write_text(text)

    def names(trace_id):
        found = json.loads(fetch(f"http://{http}/api/traces/{trace_id}", headers={"accept": "application/json"}) or "{}")
        scopes = [scope for batch in found.get("batches", []) for scope in batch["scopeSpans"]]
        return [span["name"] for scope in scopes for span in scope["spans"]]

    with Process([binary, f"-config.file={config}"]) as process:
        eventually("Tempo to be ready", lambda: fetch(f"http://{http}/ready") or process.still_runs())
        yield otlp, names


@contextlib.contextmanager
def jaeger(folder):
    binary = optional_program("jaeger", "only scripts/test stack --all builds it")
    http, otlp, grpc = local(), local(), local()
    config = folder / "jaeger.yaml"
    config.write_text(JAEGER.replace("HTTP", http).replace("OTLP", otlp).replace("GRPC", grpc))

    def names(trace_id):
        found = json.loads(fetch(f"http://{http}/api/traces/{trace_id}") or "{}")
        return [span["operationName"] for trace in found.get("data") or [] for span in trace["spans"]]

    with Process([binary, f"--config={config}"]) as process:
        eventually("Jaeger to be ready", lambda: fetch(f"http://{http}/") or process.still_runs())
        yield otlp, names


@pytest.mark.parametrize("store", [file, tempo, jaeger], ids=lambda store: store.__name__)
def test_a_conversation_is_found_by_its_trace(store, binary, simulator, tmp_path):
    with store(tmp_path) as (address, names):
        settings = {"DECISION_WAIT": "2s", "SHARE_PERCENT": "100", "TEMPO": address}
        with Otelcol(GATEWAY, env=settings) as gateway:
            host, port = gateway.grpc.split(":")
            with Otelcol(AGENT, env={"GATEWAY": host, "GATEWAY_PORT": port}) as agent:
                export = {"OTEL_EXPORTER_OTLP_ENDPOINT": agent.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "200"}
                with Proxy(binary, simulator, export) as proxy:
                    trace_id = converse(proxy.base_url, f"{agent.endpoint}/v1/traces")
                    eventually("the spans of three calls", lambda: len(names(trace_id)) >= 8)
        # The application's span, two for each call, and the wait for the tool.
        assert len(names(trace_id)) == 8
        assert f"tool_wait {TOOL}" in names(trace_id)
