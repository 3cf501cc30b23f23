"""docker/compose.yaml as processes: the same programs, commands, variables and files; addresses, folders and times are others.

A Collector that writes to a file stands for Tempo. Grafana is not here; what it would ask is asked.
"""

import contextlib
import json
import re
import shutil
import urllib.parse

import pytest

from composition import FOLDER, environment, mounts, services
from processes import Process, eventually, fetch, free_port
from programs import Store, program

OTHERS = ["otel-gateway", "otel-agent", "alertmanager", "prometheus", "streamgauge"]
"""The services that run here, each after those that it needs."""

LISTENING = {
    "streamgauge": {"STREAMGAUGE_LISTEN": 8080, "STREAMGAUGE_ADMIN": 9464},
    "otel-agent": {"OTLP_GRPC": 4317, "OTLP_HTTP": 4318, "HEALTH": 13133},
    "otel-gateway": {"OTLP_GRPC": 4317, "OTLP_HTTP": 4318, "HEALTH": 13133, "METRICS": 8889},
}
"""The variables by which a program is told where it listens."""

FLAGS = {
    "prometheus": lambda at: [f"--web.listen-address={at(9090)}"],
    "alertmanager": lambda at: [f"--web.listen-address={at(9093)}", "--cluster.listen-address="],
}

READY = {
    "streamgauge": (9464, "/readyz"),
    "otel-agent": (13133, "/"),
    "otel-gateway": (13133, "/"),
    "prometheus": (9090, "/-/ready"),
    "alertmanager": (9093, "/-/ready"),
}


class Composition:
    """The services of the file, as processes."""

    def __init__(self, folder, binary):
        self.services = services(FOLDER / "compose.yaml")
        self._folder, self._addresses = folder, {}
        self._programs = {
            "streamgauge": binary,
            "otel-agent": program("otelcol"),
            "otel-gateway": program("otelcol"),
            "prometheus": program("prometheus"),
            "alertmanager": shutil.which("prometheus-alertmanager") or pytest.skip("there is no Alertmanager here"),
        }

    def address(self, name, port):
        """Where something listens that a service has at a port."""
        return self._addresses.setdefault((name, port), f"127.0.0.1:{free_port()}")

    def put(self, name, port, address):
        self._addresses[name, port] = address

    def _here(self, text):
        """A text with our addresses in the place of services."""
        known = "|".join(map(re.escape, self.services))
        return re.sub(rf"(?<![\w.-])({known}):(\d+)\b", lambda match: self.address(match[1], int(match[2])), text)

    def _files(self, name):
        """Copies what a service has mounted, and gives the folder that stands for its root."""
        root = self._folder / name
        for target, source in mounts(self.services[name]).items():
            copy = root / target.lstrip("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(re.sub(r"_interval: 15s", "_interval: 1s", self._here(source.read_text())))
        return root

    def start(self, name):
        """A process of a service, once it is ready."""
        service, root = self.services[name], self._files(name)
        words = [self._here(re.sub(r"^([^=/]*=)?/", rf"\g<1>{root}/", word)) for word in service["command"]]
        variables = {key: self._here(value) for key, value in environment(service).items()}
        # A name of several gateways, without a port.
        if gateway := variables.pop("GATEWAY", None):
            host, port = self.address(gateway, 4317).split(":")
            variables |= {"GATEWAY": host, "GATEWAY_PORT": port}
        at = {key: self.address(name, port) for key, port in LISTENING.get(name, {}).items()}
        flags = FLAGS.get(name, lambda at: [])(lambda port: self.address(name, port))
        if "otel" in name:
            at["SELF_METRICS"] = "none"
        return Process([self._programs[name], *words, *flags], variables | at)

    def wait_for(self, name, process):
        port, path = READY[name]
        url = f"http://{self.address(name, port)}{path}"
        eventually(f"{name} to be ready", lambda: fetch(url) is not None or process.still_runs())

    def ask(self, path, **parameters):
        """What Prometheus answers."""
        query = urllib.parse.urlencode(parameters)
        answer = fetch(f"http://{self.address('prometheus', 9090)}/api/v1/{path}?{query}")
        return json.loads(answer)["data"] if answer else None


@pytest.fixture(scope="module")
def running(binary, tmp_path_factory):
    """All of them, and the store that stands for Tempo."""
    folder = tmp_path_factory.mktemp("composition")
    composition = Composition(folder, binary)
    assert composition.services.keys() == {*OTHERS, "tempo", "grafana"}
    with contextlib.ExitStack() as stack:
        composition.store = stack.enter_context(Store(folder))
        composition.put("tempo", 4317, composition.store.grpc)
        for name in OTHERS:
            process = stack.enter_context(composition.start(name))
            composition.wait_for(name, process)
        yield composition


def test_prometheus_scrapes_streamgauge_and_the_gateway(running):
    def up():
        data = running.ask("query", query="up == 1")
        return data and {series["metric"]["job"] for series in data["result"]} == {"streamgauge", "collector"}

    eventually("both to be scraped", up)
    eventually("calls", lambda: (running.ask("query", query="llm_requests_total > 0") or {}).get("result"))


def test_the_rules_can_be_read_and_alertmanager_is_known(running):
    def rules():
        return [rule for group in running.ask("rules")["groups"] for rule in group["rules"]]

    assert {rule["type"] for rule in rules()} == {"alerting", "recording"}
    eventually("the rules to be well", lambda: all(rule["health"] == "ok" for rule in rules()))
    url = f"http://{running.address('alertmanager', 9093)}/api/v2/alerts"
    eventually("Alertmanager", lambda: [one["url"] for one in running.ask("alertmanagers")["activeAlertmanagers"]] == [url])


def test_a_point_of_a_graph_leads_to_a_trace_that_the_store_has(running):
    def found():
        query = "llm_stream_first_token_latency_seconds_bucket"
        series = running.ask("query_exemplars", query=query, start=0, end=4102444800) or []
        named = {exemplar["labels"]["trace_id"] for one in series for exemplar in one["exemplars"]}
        return named & running.store.traces().keys()

    eventually("a trace of an exemplar", found)


def test_the_gateway_tells_of_spans_too(running):
    query = "traces_span_metrics_calls_total"
    eventually("span metrics", lambda: (running.ask("query", query=query) or {}).get("result"))
