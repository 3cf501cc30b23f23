"""Debian's tinyproxy between the proxy and its upstream: a tunnel with a password, and what a wrong one comes to."""

import pytest

from calls import chat
from processes import Process, Proxy, eventually, fetch, free_port

CONFIG = """
Port {port}
Listen 127.0.0.1
Timeout 60
LogLevel Info
MaxClients 20
Allow 127.0.0.1
BasicAuth me secret
"""


@pytest.fixture(scope="module")
def tinyproxy(tmp_path_factory):
    """A running tinyproxy and its port."""
    port = free_port()
    config = tmp_path_factory.mktemp("tinyproxy") / "tinyproxy.conf"
    config.write_text(CONFIG.format(port=port))
    with Process(["tinyproxy", "-d", "-c", config]) as process:
        process.first("that it listens", lambda line: "Starting main loop" in line)
        yield process, port


@pytest.fixture
def through(binary, simulator, tinyproxy, tmp_path):
    """Starts a proxy that reaches its upstream by tinyproxy as this user."""

    def start(user):
        config = tmp_path / "streamgauge.toml"
        by = f"http://{user}@127.0.0.1:{tinyproxy[1]}"
        config.write_text(f'[[upstream]]\nname = "main"\nurl = "{simulator}"\nproxy = "{by}"\n')
        return Proxy(binary, simulator, {"STREAMGAUGE_CONFIG": str(config)})

    return start


def test_calls_go_through_a_tunnel(through, tinyproxy, simulator):
    with through("me:secret") as proxy:
        assert chat(proxy.base_url)
    host = simulator.removeprefix("http://").removesuffix("/v1")
    tinyproxy[0].first("the tunnel", lambda line: f"CONNECT {host} HTTP/1.1" in line)


def test_a_wrong_password_is_an_error_that_names_the_proxy(through, tinyproxy):
    with through("me:wrong") as proxy:
        assert fetch(f"{proxy.base_url}/models") is None
        errors = 'error_type="connection_failed"'
        metrics = f"http://{proxy.admin}/metrics"
        eventually("the error to be counted", lambda: errors in (fetch(metrics) or ""))
