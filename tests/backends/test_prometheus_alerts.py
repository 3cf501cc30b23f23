"""From a fresh start, the documented queries and the alerts on single events see the first, in a real Prometheus.

A series that appears with its first count is no increase: only one that was scraped at zero before is. What cannot be provoked
from outside (`different`) is there at zero.
"""

import pytest

from calls import MODEL, post
from json_server import JsonServer
from processes import Proxy, eventually, free_port
from prometheus_server import ALERTS, QUERIES, prometheus, values

FIRST = {rule["alert"]: rule["expr"] for rule in ALERTS if rule["expr"].endswith("> 0")}

NOT_AT_ZERO = {"StreamgaugeUnpricedModel"}
"""A model is known only with its first call."""

UNPROVOKED = {"StreamgaugeChangedBytes", "StreamgaugeLimitReached"}

FIRSTS = {query.splitlines()[0].lstrip("# "): query for query in QUERIES}

COUNTED = {
    "Share of calls to models that fail": "{query}",
    "Failures of the last hour, by upstream and kind": '{query} > 0',
    "Departures from the API reference in the last hour, by upstream and quirk": '{query} > 0',
}


def model(_, request):
    """A model's server: it fails where it is asked to, and departs from the reference where it is not."""
    if request["user"] == "failing":
        return 500, {"error": {"message": "no"}}, {}
    message = {"role": "assistant", "content": "3 m", "reasoning_content": "hm"}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return 200, {"object": "chat.completion", "choices": choices}, {}


def ask_model(proxy, user):
    post(f"{proxy.base_url}/chat/completions", {"model": MODEL, "user": user, "messages": []})


@pytest.fixture(scope="module")
def ask(binary, tmp_path_factory):
    """Asks a Prometheus that has seen the first quirk, failures and losses of a proxy."""
    upstream = JsonServer(model)
    # Nobody takes the spans.
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1000",
    }
    with Proxy(binary, f"http://{upstream.address}/v1", env) as proxy:
        with prometheus([proxy.admin], tmp_path_factory.mktemp("prometheus"), "exemplar-storage") as ask:
            for expression in (FIRST[alert] for alert in FIRST.keys() - NOT_AT_ZERO):
                at_zero = expression.removesuffix("> 0")
                eventually(f"{at_zero} at 0", lambda at_zero=at_zero: set(values(ask, at_zero)) == {0.0})
            ask_model(proxy, "quirky")
            eventually("the model", lambda: values(ask, 'streamgauge_exchanges_total{streamgauge_end="http_error"} == 0'))
            ask_model(proxy, "failing")
            upstream.stop()
            ask_model(proxy, "quirky")
            yield ask


@pytest.mark.parametrize("alert", FIRST.keys() - UNPROVOKED - NOT_AT_ZERO)
def test_an_alert_sees_the_first_event(alert, ask):
    eventually(FIRST[alert], lambda: values(ask, FIRST[alert]))


@pytest.mark.parametrize("alert", UNPROVOKED)
def test_an_alert_on_what_cannot_be_provoked_has_a_series_at_zero(alert, ask):
    at_zero = FIRST[alert].removesuffix("> 0")
    assert set(eventually(f"{at_zero} to be there", lambda: values(ask, at_zero))) == {0.0}
    assert values(ask, FIRST[alert]) == []


@pytest.mark.parametrize("title", COUNTED)
def test_a_query_sees_the_first_event(title, ask):
    query = COUNTED[title].format(query=FIRSTS[title])
    eventually(query, lambda: any(value > 0 for value in values(ask, query)))


@pytest.mark.parametrize(
    "series",
    [
        'streamgauge_upstream_failures_total{kind="5xx"}',
        'streamgauge_upstream_failures_total{kind="connection_refused"}',
        'streamgauge_quirks_total{quirk="D-01"}',
        'streamgauge_exchanges_total{streamgauge_end="http_error"}',
        'streamgauge_exchanges_total{streamgauge_end="refused"}',
    ],
)
def test_the_first_count_of_a_series_is_an_increase(series, ask):
    query = f"increase({series}[5m]) > 0"
    eventually(query, lambda: values(ask, query))
