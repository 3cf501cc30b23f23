"""A scripted model, the real binary before it, and a receiver for its spans; each framework runs once for all tests."""

import pytest

from runs import run_all
from collector import Collector
from model import Model
from processes import Proxy


@pytest.fixture(scope="session")
def collector():
    """A receiver for the proxy's spans."""
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="session")
def model():
    """The scripted model."""
    with Model() as model:
        yield model


@pytest.fixture(scope="session")
def proxy(binary, model, collector):
    """The proxy before the model."""
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    with Proxy(binary, f"{model.origin}/v1", env) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def outcomes(model, proxy):
    """What a framework said and did, by way and mode; it runs when it is first asked for."""
    ran = {}

    def outcome(framework):
        if framework.name not in ran:
            ran[framework.name] = run_all(framework, {"direct": model.origin, "proxied": f"http://{proxy.proxy}"})
        return ran[framework.name]

    return outcome
