"""Debian's Prometheus scrapes `/metrics`: series, histograms and exemplars can be queried, and its linter is content.

It is configured as docs/recipes.md says, with the queries from there and the rules of deploy/prometheus.
"""

import re
import subprocess
import time

import pytest

from calls import AGENTS_CALLS, MODEL, chat, run_agent
from processes import Proxy, eventually, fetch, free_port
from prometheus_server import QUERIES, RULES, prometheus, value

CALLS = 3


@pytest.fixture(scope="module")
def proxy(binary, simulator):
    # Exemplars name traces only where traces are exported; that nobody takes these is no matter to the metrics.
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}", "OTEL_METRICS_EXPORTER": "none"}
    # No alert tells of them before they are tried.
    env |= {"OTEL_BSP_SCHEDULE_DELAY": "3600000"}
    with Proxy(binary, simulator, env) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def traces(proxy):
    """The traces of the calls that were made: some by themselves, and those of an agent."""
    return {chat(proxy.base_url) for _ in range(CALLS)} | run_agent(proxy.base_url)


@pytest.fixture(scope="module")
def ask(proxy, tmp_path_factory):
    """Asks Prometheus's API: `ask("query", query="up")`; None while it cannot answer."""
    with prometheus([proxy.admin], tmp_path_factory.mktemp("prometheus"), "exemplar-storage") as ask:
        yield ask


@pytest.mark.parametrize(
    "query",
    [
        f'sum(llm_requests_total{{model="{MODEL}"}})',
        f'sum(llm_request_duration_seconds_count{{model="{MODEL}"}})',
        f'sum(llm_stream_first_token_latency_seconds_count{{model="{MODEL}"}})',
        f'sum(gen_ai_client_token_usage_count{{gen_ai_request_model="{MODEL}",gen_ai_token_type="input"}})',
        f'sum(gen_ai_client_operation_duration_seconds_count{{gen_ai_request_model="{MODEL}"}})',
    ],
)
def test_every_call_is_counted_once(query, ask, traces):
    eventually(f"{query} == {CALLS}", lambda: value(ask, query) == CALLS)


def test_no_call_was_changed(ask, traces):
    query = 'sum(streamgauge_integrity_total{result!="different"})'
    eventually(query, lambda: value(ask, query) == CALLS + AGENTS_CALLS)


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.splitlines()[0])
def test_a_query_of_the_recipes_has_an_answer_with_its_labels(query, ask, traces):
    data = eventually(query, lambda: (data := ask("query", query=query)) and data["result"] and data)
    by = re.search(r"by \(([^)]*)\)", query)
    expected = set(by.group(1).split(", ")) - {"le"} if by else set()
    assert {frozenset(series["metric"]) for series in data["result"]} == {frozenset(expected)}


def test_the_rules_are_evaluated_and_silent_but_for_a_model_without_a_price(ask, traces):
    def evaluated():
        data = ask("rules")
        rules = [rule for group in data["groups"] for rule in group["rules"]] if data else []
        return rules if rules and all(rule["health"] != "unknown" for rule in rules) else None

    def silent():
        # Before the first scrape there is something to tell: that nothing is there.
        rules = evaluated() or []
        loud = {rule["name"] for rule in rules if rule.get("state", "inactive") != "inactive"}
        return rules if loud <= {"StreamgaugeUnpricedModel"} else None

    rules = eventually("the rules to be silent", silent)
    assert len(rules) == len(RULES)
    assert {rule["health"] for rule in rules} == {"ok"}


def test_tokens_add_up(ask, traces):
    # In one query, so that both are of one scrape.
    query = "(sum(llm_tokens_prompt_total) + sum(llm_tokens_completion_total) == sum(llm_tokens_total)) > 0"
    assert eventually(query, lambda: value(ask, query))


def test_a_quantile_of_the_first_token_latency_can_be_asked_for(ask, traces):
    query = "histogram_quantile(0.5, sum by (le) (llm_stream_first_token_latency_seconds_bucket))"
    # It is no number before the first sample.
    eventually(query, lambda: (value(ask, query) or 0) > 0)


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
