"""Agent and gateways of deploy/collector: calls through streamgauge, to a store of traces and to Prometheus.

One agent, two gateways by its load balancer, a store behind each gateway. Only addresses and times differ from the files.
"""

import collections
import concurrent.futures
import contextlib
import http.client
import json
import math
import os
import random
import re
import time
import types
import urllib.error
import urllib.request

import pytest

from calls import MODEL, export_span, post
from processes import DEADLINE, Proxy, eventually, fetch, free_port
from programs import AGENT, GATEWAY, Otelcol, Store, attributes, prometheus, validate
from prometheus_server import value

SERVER, CLIENT = 2, 3

PLAIN, FAILED, HEALTHY = 1000, 24, 20

SLOW_S = 6

SHARE = 0.05

FAILURES = ["sim-error-500", "sim-error-429", "sim-error-midstream", "sim-cut"]

QUICK = {"x-sim-chunks": "2", "x-sim-interval-ms": "0", "x-sim-think-ms": "0"}

SECRETS = {
    "email": "ann.lee@example.com",
    "ssn": "078-05-1120",
    "card": "4111 1111 1111 1111",
    "phone": "+1 415 555 0132",
    "key": "sk-proj-abcdefghijklmnopqrstuvwx",
}

GATEWAYS = {"DECISION_WAIT": "4s", "SLOW_MS": str(SLOW_S * 1000), "SLOW_FIRST_TOKEN_S": "5.0", "SPAN_METRICS_FLUSH": "1s"}


@pytest.mark.parametrize("config", [AGENT, GATEWAY], ids=lambda path: path.name)
def test_a_configuration_is_valid_as_it_is_shipped(config):
    status, said = validate(config)
    assert (status, said) == (0, "")


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    with Store(tmp_path_factory.mktemp("a")) as a, Store(tmp_path_factory.mktemp("b")) as b:
        yield [a, b]


@pytest.fixture(scope="module")
def gateways(stores):
    def gateway(store):
        return Otelcol(GATEWAY, env=GATEWAYS | {"TEMPO": store.grpc, "LOGS": f"{store.endpoint}/v1/logs"})

    with gateway(stores[0]) as a, gateway(stores[1]) as b:
        yield [a, b]


@pytest.fixture(scope="module")
def agent(gateways):
    """The agent; it finds the gateways of traces in a list, since no name has two addresses here, and that of all else by name."""
    host, port = gateways[0].grpc.split(":")
    hosts = json.dumps([gateway.grpc for gateway in gateways])
    two = "exporters::load_balancing/traces::resolver"
    override = f"yaml:{two}: {{dns: null, static: {{hostnames: {hosts}}}}}"
    with Otelcol(AGENT, override, env={"GATEWAY": host, "GATEWAY_PORT": port}) as agent:
        yield agent


@pytest.fixture(scope="module")
def ask(gateways, tmp_path_factory):
    """Asks Prometheus, which scrapes the gateways."""
    targets = {'"otel-gateway:8889"': json.dumps([gateway.metrics for gateway in gateways])[1:-1]}
    with prometheus(tmp_path_factory.mktemp("prometheus"), targets) as (ask, _):
        yield ask


@pytest.fixture(scope="module")
def sent(binary, simulator, agent):
    """What was sent through streamgauge, by the ids of its traces; and where streamgauge is scraped."""
    telemetry = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": agent.endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTEL_BLRP_SCHEDULE_DELAY": "200",
        "OTEL_METRIC_EXPORT_INTERVAL": "500",
        # What the Collector does is to be seen: streamgauge itself takes nothing out.
        "STREAMGAUGE_CONTENT": "attributes+events",
        "STREAMGAUGE_REDACT_DETECTORS": "iban",
        "STREAMGAUGE_TELEMETRY_PROMPT_VARIABLES": "true",
    }
    ids = random.Random(20261130)
    # Nothing listens there.
    nowhere = f"http://127.0.0.1:{free_port()}/v1"
    with Proxy(binary, simulator, telemetry) as proxy, Proxy(binary, nowhere, telemetry) as alone:
        with concurrent.futures.ThreadPoolExecutor(8) as threads:

            def each(count, call):
                return [threads.submit(call, proxy, agent, ids.randbytes(16)) for _ in range(count)]

            futures = {
                "plain": each(PLAIN, plain),
                "failed": [threads.submit(fail, proxy, agent, ids.randbytes(16), FAILURES[n % 4]) for n in range(FAILED)],
                "healthy": each(HEALTHY, health),
                "unhealthy": [threads.submit(health, alone, agent, ids.randbytes(16))],
                "slow": each(2, slow),
                "secret": each(1, secret),
            }
            traces = {kind: {future.result() for future in all} for kind, all in futures.items()}
        yield types.SimpleNamespace(**traces, admins=[proxy.admin, alone.admin])


def traced(proxy, agent, trace_id, path, body, headers=QUICK):
    """One call in the trace of an application, whose own span, the parent of all, is exported after it."""
    span_id, begun = trace_id[8:], time.time_ns()
    parent = {"traceparent": f"00-{trace_id.hex()}-{span_id.hex()}-01"}
    # A stream that broke off is one of the failures.
    with contextlib.suppress(http.client.IncompleteRead):
        post(f"http://{proxy.proxy}{path}", body, headers | parent)
    export_span(f"{agent.endpoint}/v1/traces", {}, trace_id, span_id, begun)
    return trace_id.hex()


def chat(model, text, **more):
    return {"model": model, "messages": [{"role": "user", "content": text}], "stream": True} | more


def plain(proxy, agent, trace_id):
    return traced(proxy, agent, trace_id, "/v1/chat/completions", chat(MODEL, "How deep is the river?"))


def fail(proxy, agent, trace_id, model):
    return traced(proxy, agent, trace_id, "/v1/chat/completions", chat(model, "How deep is the river?"))


def slow(proxy, agent, trace_id):
    thinks = QUICK | {"x-sim-think-ms": str(SLOW_S * 1000 + 100)}
    return traced(proxy, agent, trace_id, "/v1/chat/completions", chat(MODEL, "How deep?"), thinks)


def secret(proxy, agent, trace_id):
    """A call with personal data in its prompt, in a tool's arguments, and in a variable of its template; slow, so that it is kept."""
    text = "Write to:\n" + "\n".join(SECRETS.values())
    called = {"id": "call_1", "type": "function", "function": {"name": "mail", "arguments": json.dumps({"to": SECRETS["email"]})}}
    messages = [
        {"role": "user", "content": text},
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sent"},
    ]
    variable = {"llm.prompt.variables.user_email": "ann.lee at example.com"}
    thinks = QUICK | {"x-sim-think-ms": str(SLOW_S * 1000 + 100)}
    body = chat(MODEL, text, messages=messages, metadata=variable)
    return traced(proxy, agent, trace_id, "/v1/chat/completions", body, thinks)


def health(proxy, agent, trace_id):
    headers = {"traceparent": f"00-{trace_id.hex()}-{trace_id[8:].hex()}-01"}
    with contextlib.suppress(urllib.error.HTTPError):
        urllib.request.urlopen(urllib.request.Request(f"http://{proxy.proxy}/health", headers=headers), timeout=DEADLINE)
    return trace_id.hex()


def calls_by_kind(gateways):
    """How many spans of each kind the gateways have counted."""
    kinds = collections.Counter()
    for gateway in gateways:
        text = fetch(f"http://{gateway.metrics}/metrics") or ""
        for labels, count in re.findall(r"^traces_span_metrics_calls_total\{(.*)\} (\S+)", text, re.MULTILINE):
            kinds[re.search(r'span_kind="SPAN_KIND_(\w+)"', labels).group(1)] += float(count)
    return kinds


@pytest.fixture(scope="module")
def counted(sent, gateways):
    """How many spans of each kind the gateways counted, once they have counted those of all calls; and how many calls to models."""
    to_models = PLAIN + FAILED + len(sent.slow) + len(sent.secret)

    def all_are_there():
        kinds = calls_by_kind(gateways)
        return kinds if kinds["SERVER"] >= to_models + len(sent.unhealthy) and kinds["UNSPECIFIED"] >= to_models else None

    return eventually("all spans to be counted", all_are_there), to_models


@pytest.fixture(scope="module")
def kept(stores, gateways, counted):
    """The traces in each store, once all has been decided: a trace that fails, sent last, is decided last."""
    for gateway, store in zip(gateways, stores):
        last = os.urandom(16)
        export_span(f"{gateway.endpoint}/v1/traces", {}, last, os.urandom(8), time.time_ns(), failed=True)
        eventually("the last trace", lambda store=store, last=last: last.hex() in store.traces())
    return [store.traces() for store in stores]


@pytest.fixture(scope="module")
def traces(kept):
    """The traces of both stores."""
    return kept[0] | kept[1]


def test_the_spans_of_a_trace_come_to_one_gateway(kept):
    a, b = kept
    assert len(a) > 5 and len(b) > 5
    assert a.keys() & b.keys() == set()


def test_every_trace_arrives_whole(sent, traces):
    calls = sent.plain | sent.failed | sent.slow | sent.secret
    spans = {trace_id: sorted(span.get("kind", 0) for span in spans) for trace_id, spans in traces.items() if trace_id in calls}
    assert {tuple(kinds) for kinds in spans.values()} == {(0, SERVER, CLIENT)}


def test_every_trace_with_an_error_is_kept(sent, traces):
    assert sent.failed - traces.keys() == set()


def test_every_slow_trace_is_kept(sent, traces):
    assert (sent.slow | sent.secret) - traces.keys() == set()


def test_of_all_others_a_share_is_kept(sent, traces):
    def took(spans):
        return (max(int(span["endTimeUnixNano"]) for span in spans) - min(int(span["startTimeUnixNano"]) for span in spans)) / 1e9

    # A machine that is busy with other things makes calls slow.
    quick = [trace_id for trace_id in sent.plain & traces.keys() if took(traces[trace_id]) < SLOW_S - 1]
    deviation = math.sqrt(PLAIN * SHARE * (1 - SHARE))
    assert abs(len(quick) - PLAIN * SHARE) < 4 * deviation


def test_a_health_check_leaves_no_trace_unless_it_failed(sent, traces):
    assert sent.healthy & traces.keys() == set()
    assert sent.unhealthy - traces.keys() == set()


def test_span_metrics_count_every_call_before_the_sampling(sent, counted):
    spans, to_models = counted
    assert spans == {"UNSPECIFIED": to_models, "SERVER": to_models + len(sent.unhealthy), "CLIENT": to_models}


def test_span_metrics_know_the_model_and_the_error(ask, counted):
    query = 'sum(traces_span_metrics_calls_total{span_kind="SPAN_KIND_CLIENT",gen_ai_request_model="sim-error-500",error_type="server_error"})'
    eventually(query, lambda: value(ask, query) == FAILED / len(FAILURES))
    assert value(ask, "histogram_quantile(0.5, sum by (le) (traces_span_metrics_duration_seconds_bucket))") > 0


def test_metrics_that_were_pushed_have_the_names_of_a_scrape(sent, ask, counted):
    _, to_models = counted
    query = 'sum(streamgauge_exchanges_total{model!=""})'
    eventually(f"{query} == {to_models}", lambda: value(ask, query) == to_models)
    text = "".join(fetch(f"http://{admin}/metrics") for admin in sent.admins)
    scraped = set(re.findall(r"^(\w+)(?=[{ ])", text, re.MULTILINE)) - {"target_info"}
    data = ask("query", query='count by (__name__) ({environment="production",__name__!~"traces_span_metrics.*|target_info"})')
    pushed = {found["metric"]["__name__"] for found in data["result"]}
    assert pushed == scraped


def test_personal_data_is_taken_out_of_a_trace(sent, traces):
    (trace_id,) = sent.secret
    shown = json.dumps(traces[trace_id])
    assert [name for name, text in SECRETS.items() if text in shown] == []
    (span,) = [span for span in traces[trace_id] if span.get("kind") == CLIENT]
    shown = attributes(span)
    question, called, _ = json.loads(shown["gen_ai.input.messages"])
    (part,) = question["parts"]
    assert part["content"] == "Write to:\n[EMAIL]\n[SSN]\n[CARD]\n[PHONE]\n[KEY]"
    assert called["parts"][0]["arguments"] == {"to": "[EMAIL]"}


def test_the_gateway_masks_an_attribute_by_its_name(sent, traces):
    (trace_id,) = sent.secret
    (span,) = [span for span in traces[trace_id] if span.get("kind") == CLIENT]
    assert attributes(span)["llm.prompt.variables.user_email"] == "****"


def test_personal_data_is_taken_out_of_an_event_with_content(sent, stores, counted):
    (trace_id,) = sent.secret

    def found():
        return [record for store in stores for record in store.logs() if record["traceId"] == trace_id]

    (record,) = eventually("the event", found)
    shown = json.dumps(record)
    assert [name for name, text in SECRETS.items() if text in shown] == []
    messages = json.loads(attributes(record)["gen_ai.input.messages"])
    assert messages[0]["parts"][0]["content"] == "Write to:\n[EMAIL]\n[SSN]\n[CARD]\n[PHONE]\n[KEY]"


def test_the_second_line_holds_where_the_first_was_passed_by(stores, gateways):
    """What comes to a gateway by no agent."""
    trace_id = os.urandom(16)
    export_span(f"{gateways[0].endpoint}/v1/traces", {}, trace_id, os.urandom(8), time.time_ns(), True, f"to {SECRETS['email']}")
    (span,) = eventually("the trace", lambda: stores[0].traces().get(trace_id.hex()))
    assert attributes(span)["input.value"] == "to ****"
