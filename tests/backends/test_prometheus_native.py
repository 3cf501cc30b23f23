"""Native histograms: Prometheus asks for its protobuf format, stores one series for each histogram, and its quantiles are right."""

import json

import pytest

from calls import MODEL, post
from processes import Proxy, eventually
from prometheus_server import prometheus, value, values

CHUNKS = [3, 10, 30, 100, 300]

OUTPUT = 'gen_ai_client_token_usage{gen_ai_token_type="output"}'


@pytest.fixture(scope="module")
def proxy(binary, simulator):
    with Proxy(binary, simulator, {"STREAMGAUGE_TELEMETRY_HISTOGRAMS": "exponential"}) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def ask(proxy, tmp_path_factory):
    with prometheus([proxy.admin], tmp_path_factory.mktemp("prometheus"), "native-histograms,exemplar-storage") as ask:
        yield ask


@pytest.fixture(scope="module")
def tokens(proxy):
    """The output tokens of each call, in order."""

    def generated(chunks):
        body = {"model": MODEL, "messages": [{"role": "user", "content": "How deep is the river?"}]}
        _, answer = post(f"{proxy.base_url}/chat/completions", body, {"x-sim-chunks": str(chunks), "x-sim-think-ms": "1"})
        return json.loads(answer)["usage"]["completion_tokens"]

    tokens = sorted(generated(chunks) for chunks in CHUNKS)
    assert len(set(tokens)) == len(CHUNKS)
    return tokens


def test_a_histogram_is_one_series_with_all_samples(ask, tokens):
    count = f"histogram_count({OUTPUT})"
    eventually(count, lambda: value(ask, count) == len(tokens))
    eventually("their sum", lambda: value(ask, f"histogram_sum({OUTPUT})") == sum(tokens))
    assert values(ask, "gen_ai_client_token_usage_bucket") == []


@pytest.mark.parametrize("place", range(len(CHUNKS)))
def test_a_quantile_is_that_of_the_samples(place, ask, tokens):
    rank = (place + 0.5) / len(tokens)
    query = f"histogram_quantile({rank}, {OUTPUT})"
    eventually(query, lambda: value(ask, f"histogram_count({OUTPUT})") == len(tokens))
    # A scrape that is late leaves a gap, in which there is nothing.
    assert eventually(query, lambda: value(ask, query)) == pytest.approx(tokens[place], rel=0.05)


def test_a_rate_of_quantiles_needs_no_bounds(ask, tokens):
    query = "histogram_quantile(0.95, sum by (model) (llm_request_duration_seconds))"
    # It is no number before the first sample.
    eventually(query, lambda: (value(ask, query) or 0) > 0)


def test_counters_and_gauges_are_there_as_in_text(ask, tokens):
    eventually("requests", lambda: value(ask, "sum(llm_requests_total)") == len(tokens))
    assert eventually("the build", lambda: value(ask, "streamgauge_build_info")) == 1
    assert eventually("the integrity", lambda: values(ask, 'streamgauge_integrity_total{result="different"}')) == [0.0]
