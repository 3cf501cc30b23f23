"""The real programs that scripts/stack builds, run from the files of deploy/ with only addresses and times replaced."""

import contextlib
import json
import os
import shutil
import subprocess
import urllib.parse
from pathlib import Path

import pytest

from processes import Process, eventually, fetch, free_port

ROOT = Path(__file__).parents[2]

DEPLOY = ROOT / "deploy"

AGENT = DEPLOY / "collector" / "agent.yaml"

GATEWAY = DEPLOY / "collector" / "gateway.yaml"

PROMETHEUS = DEPLOY / "prometheus" / "prometheus.yml"

STORE = """
extensions:
  health_check:
    endpoint: ${env:HEALTH}
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: ${env:OTLP_GRPC}
      http:
        endpoint: ${env:OTLP_HTTP}
exporters:
  file:
    path: ${env:STORE}
    flush_interval: 100ms
service:
  extensions: [health_check]
  telemetry:
    metrics:
      level: none
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [file]
    logs:
      receivers: [otlp]
      exporters: [file]
"""
"""A store of traces and logs: a Collector that writes what it is sent to a file."""


def program(name):
    """Path of a program that scripts/stack builds."""
    path = ROOT / ".stack" / "bin" / name
    if not path.exists():
        raise AssertionError(f"there is no {path}: run scripts/stack")
    return str(path)


def optional_program(name, why):
    """Path of a program that is not always built; skips the test where it is not there, and says why."""
    path = ROOT / ".stack" / "bin" / name
    if found := str(path) if path.exists() else shutil.which(name):
        return found
    pytest.skip(f"{name} is not here: {why}")


def validate(*configs, env=None):
    """What `otelcol validate` says of a configuration; its exit status, and its words."""
    command = [program("otelcol"), "validate", *(f"--config={config}" for config in configs)]
    done = subprocess.run(command, env=os.environ | (env or {}), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


class Otelcol(Process):
    """A running Collector: on free ports, each of which is an attribute by the name of its variable."""

    def __init__(self, *configs, env=None):
        names = ["HEALTH", "OTLP_GRPC", "OTLP_HTTP", "METRICS"]
        self.ports = {name: f"127.0.0.1:{free_port()}" for name in names}
        self.grpc, self.metrics = self.ports["OTLP_GRPC"], self.ports["METRICS"]
        self.endpoint = f"http://{self.ports['OTLP_HTTP']}"
        command = [program("otelcol"), *(f"--config={config}" for config in configs)]
        super().__init__(command, self.ports | {"SELF_METRICS": "none"} | (env or {}))

    def __enter__(self):
        try:
            health = f"http://{self.ports['HEALTH']}"
            eventually(f"{self.name} to be ready", lambda: fetch(health) or self.still_runs())
        except BaseException:
            self.__exit__()
            raise
        return self


class Store(Otelcol):
    """A store of traces and logs that can be looked into."""

    def __init__(self, folder):
        self._file = folder / "store.json"
        super().__init__(f"yaml:{STORE}", env={"STORE": str(self._file)})

    def _all(self, kind, scopes, records):
        lines = self._file.read_text().splitlines(keepends=True) if self._file.exists() else []
        batches = [json.loads(line) for line in lines if line.endswith("\n")]
        resources = [resource for batch in batches for resource in batch.get(kind, [])]
        return [record for resource in resources for scope in resource[scopes] for record in scope[records]]

    def spans(self):
        """Every span that has come."""
        return self._all("resourceSpans", "scopeSpans", "spans")

    def traces(self):
        """The spans of each trace, by its id."""
        traces = {}
        for span in self.spans():
            traces.setdefault(span["traceId"], []).append(span)
        return traces

    def logs(self):
        """Every log record that has come."""
        return self._all("resourceLogs", "scopeLogs", "logRecords")


def attributes(record):
    """The attributes of a span or a log record: texts as they are, everything else as OTLP's JSON has it."""
    return {item["key"]: item["value"].get("stringValue", item["value"]) for item in record.get("attributes", [])}


@contextlib.contextmanager
def prometheus(folder, replaced, *flags):
    """Prometheus 3 with deploy/prometheus: how it is asked, and where it listens.

    `replaced` has the addresses to put in the place of those in the file.
    """
    text = PROMETHEUS.read_text()
    for ours, theirs in replaced.items():
        assert ours in text, f"{ours} is not in {PROMETHEUS}"
        text = text.replace(ours, theirs)
    text = text.replace("_interval: 15s", "_interval: 1s")
    config = folder / "prometheus.yml"
    config.write_text(text)
    for rules in ("recording.yml", "alerts.yml"):
        shutil.copy(DEPLOY / "prometheus" / rules, folder)
    address = f"127.0.0.1:{free_port()}"
    command = [
        program("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        *flags,
    ]

    def ask(path, **parameters):
        answer = fetch(f"http://{address}/api/v1/{path}?{urllib.parse.urlencode(parameters, doseq=True)}")
        return answer and json.loads(answer)["data"]

    with Process(command) as process:
        eventually("Prometheus to be ready", lambda: fetch(f"http://{address}/-/ready") or process.still_runs())
        yield ask, address
