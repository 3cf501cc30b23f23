"""Debian's Prometheus scrapes `/metrics`: series, histograms and exemplars can be queried, and its linter is content."""

import json
import subprocess
import time
import urllib.parse

import pytest

from calls import MODEL, chat
from processes import Process, Proxy, eventually, fetch, free_port

CONFIG = """
global:
  scrape_interval: 1s
  scrape_timeout: 1s
scrape_configs:
  - job_name: streamgauge
    static_configs:
      - targets: ["{admin}"]
"""

CALLS = 3


@pytest.fixture(scope="module")
def proxy(binary, simulator):
    # Exemplars name traces only where traces are exported; that nobody takes these is no matter to the metrics.
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}", "OTEL_METRICS_EXPORTER": "none"}
    with Proxy(binary, simulator, env) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def traces(proxy):
    """The traces of the calls that were made."""
    return {chat(proxy.base_url) for _ in range(CALLS)}


@pytest.fixture(scope="module")
def ask(proxy, tmp_path_factory):
    """Asks Prometheus's API: `ask("query", query="up")`; None while it cannot answer."""
    folder = tmp_path_factory.mktemp("prometheus")
    config = folder / "prometheus.yml"
    config.write_text(CONFIG.format(admin=proxy.admin))
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        "--enable-feature=exemplar-storage",
    ]

    def ask(path, **parameters):
        answer = fetch(f"{url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        return answer and json.loads(answer)["data"]

    with Process(command):
        eventually("Prometheus to scrape streamgauge", lambda: value(ask, 'up{job="streamgauge"} == 1'))
        yield ask


def value(ask, query):
    """The value of the only series that a query gives; None where it gives none."""
    data = ask("query", query=query)
    if not data or not data["result"]:
        return None
    (series,) = data["result"]
    return float(series["value"][1])


@pytest.mark.parametrize(
    "query",
    [
        f'sum(llm_requests_total{{model="{MODEL}"}})',
        f'sum(llm_request_duration_seconds_count{{model="{MODEL}"}})',
        f'sum(llm_stream_first_token_latency_seconds_count{{model="{MODEL}"}})',
        f'sum(gen_ai_client_inference_duration_seconds_count{{gen_ai_request_model="{MODEL}"}})',
        f'sum(gen_ai_client_operation_duration_seconds_count{{gen_ai_request_model="{MODEL}"}})',
        'sum(streamgauge_integrity_total{result!="different"})',
    ],
)
def test_every_call_is_counted_once(query, ask, traces):
    eventually(f"{query} == {CALLS}", lambda: value(ask, query) == CALLS)


def test_tokens_add_up(ask, traces):
    by_type = "sum(llm_tokens_prompt_total) + sum(llm_tokens_completion_total)"
    total = eventually("tokens", lambda: value(ask, "sum(llm_tokens_total)"))
    assert total > 0
    eventually(f"{by_type} == {total}", lambda: value(ask, by_type) == total)


def test_a_quantile_of_the_first_token_latency_can_be_asked_for(ask, traces):
    query = "histogram_quantile(0.5, sum by (le) (llm_stream_first_token_latency_seconds_bucket))"
    assert eventually(query, lambda: value(ask, query)) > 0


def test_an_exemplar_leads_to_the_trace_of_a_call(ask, traces):
    def found():
        now = time.time()
        data = ask("query_exemplars", query="llm_request_duration_seconds_bucket", start=now - 600, end=now + 60)
        return {exemplar["labels"]["trace_id"] for series in data or [] for exemplar in series["exemplars"]}

    exemplars = eventually("an exemplar", found)
    assert exemplars <= traces


def test_promtool_finds_nothing_to_complain_of(proxy, traces):
    metrics = fetch(f"http://{proxy.admin}/metrics", headers={"accept": "text/plain;version=0.0.4"})
    assert "llm_requests_total" in metrics
    lint = subprocess.run(
        ["promtool", "check", "metrics"], input=metrics, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert (lint.returncode, lint.stdout) == (0, "")
