"""What a Collector configuration as tutorials of 2024 had it does with streamgauge's telemetry today: why deploy/collector does some of it in another way."""

import contextlib
import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from calls import MODEL, post
from processes import DEADLINE, Proxy, eventually, fetch
from programs import Otelcol, Store, attributes

TUTORIAL = Path(__file__).parent / "tutorial_2024.yaml"

SAID = "Write to:\nann.lee@example.com"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with Store(tmp_path_factory.mktemp("tutorial")) as store:
        yield store


@pytest.fixture(scope="module")
def collector(binary, simulator, store):
    """The tutorials' Collector, after a call with an address in its prompt and a health check."""
    with Otelcol(TUTORIAL, env={"TEMPO": store.grpc}) as collector:
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "OTEL_METRIC_EXPORT_INTERVAL": "500",
            "STREAMGAUGE_CONTENT": "attributes",
            "STREAMGAUGE_REDACT_DETECTORS": "iban",
        }
        with Proxy(binary, simulator, env) as proxy:
            with contextlib.suppress(urllib.error.HTTPError):
                urllib.request.urlopen(f"http://{proxy.proxy}/health", timeout=DEADLINE)
            body = {"model": MODEL, "messages": [{"role": "user", "content": SAID}]}
            collector.call, _ = post(f"{proxy.base_url}/chat/completions", body)
            yield collector


def test_it_is_taken_with_names_that_are_deprecated(collector):
    collector.first("a warning", lambda line: "deprecated" in line and "otlp_grpc" in line)


def test_a_health_check_passes_since_its_path_has_another_name_now(store, collector):
    eventually("the health check", lambda: [span for span in store.spans() if attributes(span).get("url.path") == "/health"])


def test_an_address_after_a_line_feed_leaves_no_valid_json(store, collector):
    def messages():
        texts = [attributes(span).get("gen_ai.input.messages") for span in store.traces().get(collector.call, [])]
        return next((text for text in texts if text), None)

    text = eventually("the messages", messages)
    assert "[EMAIL]" in text
    with pytest.raises(ValueError):
        json.loads(text)


def test_the_namespace_goes_before_every_name(collector):
    eventually("metrics", lambda: "llm_streamgauge_exchanges_total" in (fetch(f"http://{collector.metrics}/metrics") or ""))
    text = fetch(f"http://{collector.metrics}/metrics")
    assert "\nstreamgauge_exchanges_total" not in text
