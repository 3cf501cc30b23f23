"""A proxy in front of the simulated upstream, with a receiver for what it measures."""

import pytest

pytest.register_assert_rewrite("checks")

from collector import Collector
from processes import Proxy


@pytest.fixture(scope="session")
def collector():
    """A receiver for the proxy's spans."""
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="session")
def proxied(binary, simulator, collector):
    """Base URL of the proxy in front of the simulated upstream."""
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    with Proxy(binary, simulator, env) as proxy:
        yield proxy.base_url
