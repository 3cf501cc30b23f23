"""Prometheus 3 with deploy/prometheus: its promtool on the rules, and the same series by a scrape and by a push of OTLP."""

import json
import re
import subprocess
import time

import pytest
import yaml

from calls import AGENTS_CALLS, chat, run_agent
from processes import Proxy, eventually, free_port
from programs import DEPLOY, prometheus, program
from prometheus_server import RULES as ALL_RULES
from prometheus_server import value

CALLS = AGENTS_CALLS + 2

RULES = DEPLOY / "prometheus"

FLAGS = ["--web.enable-otlp-receiver", "--enable-feature=exemplar-storage"]

OF_A_SCRAPE = re.compile(r"up$|scrape_")
"""What Prometheus adds to a scrape."""


def promtool(folder, *arguments):
    done = subprocess.run([program("promtool"), *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def test_the_configuration_and_the_rules_are_valid():
    status, said = promtool(RULES, "check", "config", "--lint=all", "--lint-fatal", "prometheus.yml")
    assert status == 0, said


@pytest.mark.parametrize("tests", ["tests.yml", "tests-days.yml"])
def test_every_alert_fires_where_it_should(tests, tmp_path):
    """Without the figures in the summaries: those are of Prometheus 2, whose windows have a sample more."""
    for name in ("recording.yml", "alerts.yml", tests):
        content = yaml.safe_load((RULES / name).read_text())
        (tmp_path / name).write_text(yaml.safe_dump(without_summaries(content)))
    status, said = promtool(tmp_path, "test", "rules", tests)
    assert status == 0, said


def without_summaries(content):
    if isinstance(content, dict):
        return {key: without_summaries(value) for key, value in content.items() if key not in ("annotations", "exp_annotations")}
    return [without_summaries(value) for value in content] if isinstance(content, list) else content


class Both:
    """A streamgauge that is scraped by a Prometheus, and pushes to it."""

    def __init__(self, ask, proxy):
        self._ask, self._proxy = ask, proxy

    def selector(self, way):
        """The label by which a scrape, or a push, is known: its instance."""
        return f'job="streamgauge",instance{"=" if way == "scrape" else "!="}"{self._proxy.admin}"'

    def value(self, way, query):
        """The value of a query in which `%` stands for the labels of the way."""
        return value(self._ask, query.replace("%", self.selector(way)))

    def series(self, way):
        """Each series that came that way: its labels, less those of the reporter.

        The bound of a bucket is `1.0` of a scrape and `1` of a push. What rules recorded came by neither way, and target_info has
        the resource's attributes in a scrape, but of a push those that make up `job` and `instance` are left out.
        """
        now = time.time()
        data = self._ask("series", **{"match[]": f"{{{self.selector(way)}}}", "start": now - 600, "end": now})
        ours = [labels for labels in data or [] if ":" not in labels["__name__"] and labels["__name__"] != "target_info"]
        return {plain(labels) for labels in ours}


def plain(labels):
    """The labels of a series, less those of the reporter, with the bound of a bucket as a number."""
    bound = {"le": float(labels["le"])} if "le" in labels else {}
    return frozenset((name, value) for name, value in (labels | bound).items() if name not in ("job", "instance"))


@pytest.fixture(scope="module", params=["explicit", "exponential"])
def both(request, binary, simulator, tmp_path_factory):
    admin = f"127.0.0.1:{free_port()}"
    replaced = {"streamgauge:9464": admin}
    with prometheus(tmp_path_factory.mktemp("prometheus"), replaced, *FLAGS) as (ask, address):
        env = {
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"http://{address}/api/v1/otlp/v1/metrics",
            # Nobody takes the spans; that they are exported makes exemplars.
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"http://127.0.0.1:{free_port()}",
            "OTEL_METRIC_EXPORT_INTERVAL": "500",
            "STREAMGAUGE_TELEMETRY_HISTOGRAMS": request.param,
        }
        with Proxy(binary, simulator, env, admin=admin) as proxy:
            traces = {chat(proxy.base_url) for _ in range(CALLS - AGENTS_CALLS)} | run_agent(proxy.base_url)
            both = Both(ask, proxy)
            both.histograms, both.traces, both.ask = request.param, traces, ask
            for way in ("scrape", "push"):
                counted = "sum(streamgauge_exchanges_total{%})"
                eventually(f"a {way}", lambda way=way: both.value(way, counted) == CALLS)
            yield both


def test_a_push_gives_the_series_of_a_scrape(both):
    def differences():
        scraped = {series for series in both.series("scrape") if not OF_A_SCRAPE.match(dict(series)["__name__"])}
        return scraped ^ both.series("push")

    eventually("the same series", lambda: both.series("push") and not differences())


def test_the_bound_of_a_bucket_is_written_in_another_way(both):
    """Why a rule asks for `le=~"5(\\.0)?"`, and why one fleet should come by one way."""
    if both.histograms == "explicit":
        buckets = 'count(llm_request_duration_seconds_bucket{%,le="BOUND"})'
        assert both.value("scrape", buckets.replace("BOUND", "1.0")) > 0
        assert both.value("scrape", buckets.replace("BOUND", "1")) is None
        assert both.value("push", buckets.replace("BOUND", "1")) > 0
        assert both.value("push", buckets.replace("BOUND", "1.0")) is None


@pytest.mark.parametrize("way", ["scrape", "push"])
def test_a_quantile_can_be_asked_for(way, both):
    series = "llm_stream_first_token_latency_seconds"
    parts = {"explicit": f"sum by (le) ({series}_bucket{{%}})", "exponential": f"sum({series}{{%}})"}
    query = f"histogram_quantile(0.5, {parts[both.histograms]})"
    assert eventually(query, lambda: both.value(way, query)) > 0


@pytest.mark.parametrize("way", ["scrape", "push"])
def test_an_exemplar_leads_to_a_trace(way, both):
    def found():
        now = time.time()
        query = f"{{__name__=~\"llm_request_duration_seconds(_bucket)?\",{both.selector(way)}}}"
        data = both.ask("query_exemplars", query=query, start=now - 600, end=now + 60)
        return {exemplar["labels"]["trace_id"] for series in data or [] for exemplar in series["exemplars"]}

    assert eventually("an exemplar", found) <= both.traces


def test_the_rules_are_evaluated_without_an_error(both):
    def evaluated():
        data = both.ask("rules")
        rules = [rule for group in data["groups"] for rule in group["rules"]] if data else []
        return rules if rules and all(rule["health"] != "unknown" for rule in rules) else None

    rules = eventually("the rules", evaluated)
    assert len(rules) == len(ALL_RULES)
    assert {rule["health"] for rule in rules} == {"ok"}, json.dumps([rule for rule in rules if rule["health"] != "ok"])
