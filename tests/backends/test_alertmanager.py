"""A slow upstream makes Debian's Alertmanager tell a webhook, by the rules and the routes of deploy/prometheus.

Only times and addresses are others: nobody waits minutes for a test.
"""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from calls import MODEL, post
from json_server import JsonServer
from processes import Process, Proxy, eventually, fetch, free_port
from prometheus_server import DEPLOY, prometheus, value

ALERT = "StreamgaugeFirstTokenSlow"

SLOW = {"x-sim-think-ms": "5500", "x-sim-chunks": "2", "x-sim-interval-ms": "1"}
QUICK = SLOW | {"x-sim-think-ms": "1"}


@pytest.fixture
def told():
    """What Alertmanager tells: the path that it tells it to, and the alert."""
    return []


@pytest.fixture
def webhook(told):
    """The address of a webhook."""

    def take(path, message):
        told.extend((path, alert) for alert in message["alerts"])
        return 200, {}, {}

    with JsonServer(take) as server:
        yield server.address


@pytest.fixture
def alertmanager(webhook, tmp_path):
    """The address of an Alertmanager that tells the webhook at once."""
    config = (DEPLOY / "prometheus" / "alertmanager.yml").read_text()
    config, receivers = re.subn(r"127\.0\.0\.1:9095", webhook, config)
    assert receivers == 2
    (tmp_path / "alertmanager.yml").write_text(re.sub(r"group_(wait|interval): \w+", r"group_\1: 1s", config))
    address = f"127.0.0.1:{free_port()}"
    command = [
        "prometheus-alertmanager",
        f"--config.file={tmp_path / 'alertmanager.yml'}",
        f"--storage.path={tmp_path / 'alerts'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ]
    with Process(command):
        eventually("Alertmanager to be ready", lambda: fetch(f"http://{address}/-/ready") is not None)
        yield address


def stream(proxy, headers):
    post(f"{proxy.base_url}/chat/completions", {"model": MODEL, "stream": True, "messages": []}, headers)


def test_a_slow_upstream_is_told_to_those_who_take_tickets(binary, simulator, told, alertmanager, tmp_path):
    with Proxy(binary, simulator) as proxy, prometheus(
        [proxy.admin], tmp_path, "exemplar-storage", alertmanager, held_for="1s"
    ) as ask:
        stream(proxy, QUICK)
        # What is first seen of a model is where its increase begins.
        count = "sum(llm_stream_first_token_latency_seconds_count)"
        eventually("the first stream", lambda: value(ask, count) == 1)
        with ThreadPoolExecutor() as clients:
            list(clients.map(lambda _: stream(proxy, SLOW), range(4)))
        path, alert = eventually(ALERT, lambda: next((one for one in told if one[1]["labels"]["alertname"] == ALERT), None))
    assert path == "/tickets"
    assert alert["status"] == "firing"
    assert (alert["labels"]["model"], alert["labels"]["severity"]) == (MODEL, "ticket")
    assert re.fullmatch(rf"5 % of streams of {MODEL} wait [\d.]+s for a token .*", alert["annotations"]["summary"])
