"""Agent, one gateway and a store of traces, as they are shipped: a call can be looked up by the id of its trace.

Tempo's and Jaeger's tests need those programs; the file of a Collector stands for them where they are not.
"""

import contextlib
import json
import urllib.parse

import pytest

from calls import APPLICATION, MODEL, TOOL, converse, post
from processes import Process, Proxy, eventually, fetch, free_port
from programs import AGENT, DEPLOY, GATEWAY, Otelcol, Store, attributes, optional_program

SERVER, CLIENT = 2, 3

SPANS = 8
"""Of a conversation: the application's, two for each of three calls, and the wait for the tool."""

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
      endpoint: QUERY
    grpc:
      endpoint: 127.0.0.1:0
  jaeger_storage:
    backends:
      memory:
        memory:
          max_traces: 1000
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: GRPC
      http:
        endpoint: HTTP
exporters:
  jaeger_storage_exporter:
    trace_storage: memory
"""


def local():
    return f"127.0.0.1:{free_port()}"


def spans_of(resources):
    """The spans of OTLP's JSON."""
    return [span for resource in resources for scope in resource["scopeSpans"] for span in scope["spans"]]


@contextlib.contextmanager
def file(folder):
    """Where a store listens, and how the spans of a trace are found."""
    with Store(folder) as store:
        yield store.grpc, lambda trace_id: store.traces().get(trace_id, [])


@contextlib.contextmanager
def tempo(folder):
    binary = optional_program("tempo", "scripts/stack does not build it; deploy/README.md says why")
    http, otlp, grpc = local(), local(), local()
    text = (DEPLOY / "tempo" / "tempo.yaml").read_text().replace("0.0.0.0:4317", otlp).replace("/var/tempo", str(folder))
    text = text.replace("0.0.0.0", "127.0.0.1").replace("3200", http.split(":")[1]).replace("9095", grpc.split(":")[1])
    config = folder / "tempo.yaml"
    config.write_text(text)

    def spans(trace_id):
        found = json.loads(fetch(f"http://{http}/api/traces/{trace_id}", headers={"accept": "application/json"}) or "{}")
        return spans_of(found.get("batches", []))

    with Process([binary, f"-config.file={config}"]) as process:
        eventually("Tempo to be ready", lambda: fetch(f"http://{http}/ready") or process.still_runs())
        yield otlp, spans


class Jaeger(Process):
    """Jaeger 2, which keeps its traces in memory."""

    def __init__(self, folder):
        binary = optional_program("jaeger", "only scripts/test stack --all builds it")
        self._query, self.grpc, self.http = local(), local(), local()
        config = folder / "jaeger.yaml"
        config.write_text(JAEGER.replace("QUERY", self._query).replace("GRPC", self.grpc).replace("HTTP", self.http))
        super().__init__([binary, f"--config={config}"])

    def __enter__(self):
        try:
            eventually("Jaeger to be ready", lambda: fetch(f"http://{self._query}/api/v3/services") or self.still_runs())
        except BaseException:
            self.__exit__()
            raise
        return self

    def _ask(self, path, **parameters):
        answer = fetch(f"http://{self._query}/api/{path}?{urllib.parse.urlencode(parameters)}")
        return json.loads(answer) if answer else {}

    def spans(self, trace_id):
        """The spans of a trace."""
        return spans_of(self._ask(f"v3/traces/{trace_id}").get("result", {}).get("resourceSpans", []))

    def search(self, service, **wanted):
        """The ids of the traces with a span of a service that has these attributes, as its page asks for them.

        Its newer interface takes attributes, and finds traces without them too.
        """
        found = self._ask("traces", service=service, tags=json.dumps(wanted), limit=20)
        return {trace["traceID"] for trace in found.get("data") or []}


@contextlib.contextmanager
def jaeger(folder):
    with Jaeger(folder) as store:
        yield store.grpc, store.spans


@pytest.mark.parametrize("store", [file, tempo, jaeger], ids=lambda store: store.__name__)
def test_a_conversation_is_found_by_its_trace(store, binary, simulator, tmp_path):
    with store(tmp_path) as (address, spans):
        settings = {"DECISION_WAIT": "2s", "SHARE_PERCENT": "100", "TEMPO": address}
        with Otelcol(GATEWAY, env=settings) as gateway:
            host, port = gateway.grpc.split(":")
            with Otelcol(AGENT, env={"GATEWAY": host, "GATEWAY_PORT": port}) as agent:
                export = {"OTEL_EXPORTER_OTLP_ENDPOINT": agent.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "200"}
                with Proxy(binary, simulator, export) as proxy:
                    trace_id = converse(proxy.base_url, f"{agent.endpoint}/v1/traces")
                    eventually("the spans of three calls", lambda: len(spans(trace_id)) >= SPANS)
        found = spans(trace_id)
    assert len(found) == SPANS
    assert f"tool_wait {TOOL}" in [span["name"] for span in found]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with Jaeger(tmp_path_factory.mktemp("jaeger")) as jaeger:
        yield jaeger


@pytest.fixture(params=["grpc", "http/protobuf"])
def straight(request, running):
    """The settings for an export straight to Jaeger."""
    address = {"grpc": running.grpc, "http/protobuf": running.http}[request.param]
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{address}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": request.param,
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }


def test_jaeger_gives_a_conversation_back_with_its_links_and_its_wait_for_a_tool(straight, running, binary, simulator):
    with Proxy(binary, simulator, straight) as proxy:
        trace_id = converse(proxy.base_url, f"http://{running.http}/v1/traces")
        spans = eventually("the spans of three calls", lambda: len(found := running.spans(trace_id)) >= SPANS and found)
    assert len(spans) == SPANS
    (application,) = [span for span in spans if span["name"] == APPLICATION]
    (wait,) = [span for span in spans if span["name"] == f"tool_wait {TOOL}"]
    servers = [span for span in spans if span.get("kind") == SERVER]
    assert {span["parentSpanId"] for span in [wait, *servers]} == {application["spanId"]}
    calls = sorted((span for span in spans if span.get("kind") == CLIENT), key=lambda span: int(span["startTimeUnixNano"]))
    assert {call["parentSpanId"] for call in calls} == {server["spanId"] for server in servers}

    first, second, third = [call["spanId"] for call in calls]
    assert [linked(call) for call in calls] == [[], [first], [second]]
    assert linked(wait) == [first, second]
    assert attributes(wait)["gen_ai.tool.name"] == TOOL
    for call, reason in zip(calls, ["tool_calls", "stop", "stop"]):
        shown = attributes(call)
        assert (shown["gen_ai.operation.name"], shown["gen_ai.request.model"]) == ("chat", MODEL)
        assert int(shown["gen_ai.usage.output_tokens"]["intValue"]) > 0
        assert shown["gen_ai.response.finish_reasons"]["arrayValue"]["values"] == [{"stringValue": reason}]


def linked(span):
    """The spans that one is linked to, all of its own trace."""
    links = span.get("links", [])
    assert {link["traceId"] for link in links} <= {span["traceId"]}
    return [link["spanId"] for link in links]


def test_jaeger_finds_a_trace_by_an_attribute_and_shows_no_address(straight, running, binary, simulator):
    address, model = "ann.lee@example.com", f"river-{straight['OTEL_EXPORTER_OTLP_PROTOCOL']}"
    body = {"model": model, "messages": [{"role": "user", "content": f"Write to {address}."}]}
    with Proxy(binary, simulator, straight | {"STREAMGAUGE_CONTENT": "attributes"}) as proxy:
        trace_id, answer = post(f"{proxy.base_url}/chat/completions", body)
        assert "choices" in answer
        wanted = {"gen_ai.request.model": model}
        eventually("the trace to be found", lambda: running.search("streamgauge", **wanted) == {trace_id})
        assert running.search("streamgauge", **{"gen_ai.request.model": "another"}) == set()
    spans = eventually("both spans", lambda: len(found := running.spans(trace_id)) == 2 and found)
    assert address not in json.dumps(spans)
    (call,) = [span for span in spans if span.get("kind") == CLIENT]
    ((part,),) = [message["parts"] for message in json.loads(attributes(call)["gen_ai.input.messages"])]
    assert part["content"] == "Write to [EMAIL]."
