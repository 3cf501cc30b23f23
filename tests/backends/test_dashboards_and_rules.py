"""The dashboards of deploy/grafana and the rules of deploy/prometheus, on real series.

One Prometheus stores fixed buckets, the other native histograms. They scrape a demo, and a proxy with other metrics before an
upstream that tells more. Each query finds data; what has none needs what its panel says. The alerts that this traffic deserves
fire, and those on streamgauge itself do not. The dashboards are made from their source, in Grafana's own types.
"""

import json
import math
import re
import sys
import threading

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from processes import Process, Proxy, eventually
from prometheus_server import DEPLOY, RULES, documented_series, prometheus, series_of
from telling_upstream import converse, telling

GRAFANA = DEPLOY / "grafana"
sys.path.append(str(GRAFANA))

import dashboards
from panels import HTTP2, REDIS, Classic, Native, rows

FORMS = {"classic": Classic, "native": Native}

FEATURES = {"classic": "exemplar-storage", "native": "exemplar-storage,native-histograms"}

PANELS = [(form, panel) for form in FORMS for _, panels in rows(FORMS[form]) for panel in panels]

ELSEWHERE = [HTTP2, REDIS]
"""What is needed for panels that have no data here."""

DESERVED = {"StreamgaugeErrorRate", "StreamgaugeUnavailable", "StreamgaugeUnpricedModel", "StreamgaugeAgentInCircles"}
"""Models that fail, one without a price, and an agent that goes round in a loop."""

OF_ITSELF = {
    "StreamgaugeDown",
    "StreamgaugeAbsent",
    "StreamgaugeChangedBytes",
    "StreamgaugeLosesTelemetry",
    "StreamgaugeLimitReached",
    "StreamgaugeFewDescriptors",
}
"""Of which there is nothing to tell."""

VARIABLES = {"$upstream": ".*", "$model": ".*", "$instance": ".*", "$__rate_interval": "1m"}


def names(value):
    return f"{value[0]}: {value[1].title}"


class Demo(Process):
    """`streamgauge demo`, which says where it listens."""

    def __init__(self, binary):
        listen = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
        super().__init__([binary, "demo", *listen], {"STREAMGAUGE_TELEMETRY_HISTOGRAMS": "exponential"})
        self.admin = self.first("its page", lambda line: re.search(r"live page +http://([\d.:]+)/", line)).group(1)


@pytest.fixture(scope="module")
def targets(binary, tmp_path_factory):
    """The admin ports of a demo and of a proxy, both under traffic."""
    settings = {
        "STREAMGAUGE_CONTENT": "store",
        "STREAMGAUGE_STORE_URL": str(tmp_path_factory.mktemp("store")),
        "STREAMGAUGE_TELEMETRY_METRICS": "llm,gen_ai_2025,gen_ai",
        "STREAMGAUGE_TELEMETRY_HISTOGRAMS": "exponential",
    }
    over = threading.Event()

    def talk(proxy):
        number = 0
        while not over.wait(0.2):
            number += 1
            converse(proxy, f"talk {number}")

    with Demo(binary) as demo, telling() as upstream, Proxy(
        binary, f"http://{upstream.address}/v1", settings
    ) as proxy:
        talking = threading.Thread(target=talk, args=[proxy])
        talking.start()
        yield [demo.admin, proxy.admin]
        over.set()
        talking.join()


@pytest.fixture(scope="module")
def servers(targets, tmp_path_factory):
    """Asks one of two Prometheus, by the form of its histograms."""
    folder = tmp_path_factory.mktemp
    with prometheus(targets, folder("classic"), FEATURES["classic"], held_for="0s") as classic:
        with prometheus(targets, folder("native"), FEATURES["native"]) as native:
            yield {"classic": classic, "native": native}


def filled(query):
    """A query as Grafana asks it with every variable at its default."""
    for name, chosen in VARIABLES.items():
        query = query.replace(name, chosen)
    return query


def has_data(ask, query):
    data = ask("query", query=query)
    found = data["result"] if data else []
    return any("histogram" in series or not math.isnan(float(series["value"][1])) for series in found)


@pytest.mark.parametrize("panel", [given for given in PANELS if given[1].needs not in ELSEWHERE], ids=names)
def test_every_query_of_a_panel_finds_data(panel, servers):
    form, panel = panel
    for query in map(filled, (query.expr for query in panel.queries)):
        eventually(query, lambda query=query: has_data(servers[form], query))


@pytest.mark.parametrize("panel", [given for given in PANELS if given[1].needs in ELSEWHERE], ids=names)
def test_a_query_of_a_panel_that_needs_another_setting_is_valid(panel, servers):
    form, panel = panel
    for query in panel.queries:
        assert servers[form]("query", query=filled(query.expr)) == {"resultType": "vector", "result": []}


@pytest.mark.parametrize("rule", [rule for rule in RULES if "record" in rule], ids=lambda rule: rule["record"])
def test_every_recorded_series_is_there_with_either_histograms(rule, servers):
    for ask in servers.values():
        eventually(rule["record"], lambda ask=ask: has_data(ask, rule["record"]))


def selectors(expr):
    """What an expression selects: a series' name and its labels."""
    known = series_of(expr)
    return {match.group() for match in re.finditer(r"([a-z_][\w:]*)(\{[^}]*\})?", expr) if match.group(1) in known}


@pytest.mark.parametrize("rule", [rule for rule in RULES if "alert" in rule], ids=lambda rule: rule["alert"])
def test_the_series_that_an_alert_looks_at_are_there(rule, servers):
    for selector in selectors(rule["expr"]) - {"streamgauge_state_available"}:
        eventually(selector, lambda selector=selector: has_data(servers["classic"], selector))


def test_the_alerts_that_the_traffic_deserves_fire_and_those_on_streamgauge_itself_do_not(servers):
    def firing():
        data = servers["classic"]("alerts")
        return {alert["labels"]["alertname"] for alert in data["alerts"] if alert["state"] == "firing"} if data else set()

    eventually(DESERVED, lambda: firing() >= DESERVED)
    assert firing() & OF_ITSELF == set()


@pytest.mark.parametrize("form", FORMS)
def test_the_dashboard_is_made_from_its_source(form):
    assert (GRAFANA / FORMS[form].file).read_text() == dashboards.text(FORMS[form]), "run deploy/grafana/dashboards.py"


@pytest.mark.parametrize("form", FORMS)
def test_every_series_of_a_dashboard_is_documented(form):
    asked = set().union(*(series_of(filled(query.expr)) for _, panels in rows(FORMS[form]) for p in panels for query in p.queries))
    assert asked - documented_series() == set()


@pytest.mark.parametrize("form", FORMS)
def test_grafanas_own_types_know_every_member_of_the_dashboard(form):
    register_default_plugins()
    ours = json.loads((GRAFANA / FORMS[form].file).read_text())
    theirs = json.loads(JSONEncoder().encode(Dashboard.from_json(ours)))
    assert lost(ours, theirs) == []


def lost(ours, theirs, at="dashboard"):
    """Where what Grafana's types keep is not what was given."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return [place for key in ours for place in lost(ours[key], theirs.get(key), f"{at}.{key}")]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return [place for index, pair in enumerate(zip(ours, theirs)) for place in lost(*pair, f"{at}[{index}]")]
    return [] if ours == theirs else [f"{at}: {ours!r} became {theirs!r}"]
