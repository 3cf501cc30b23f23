"""What the Python tiers stand on: the built binary and, for each test session, a simulated upstream."""

import os

import pytest

from processes import Process, built

# The clients under test must not be led to a proxy of the machine's.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"


@pytest.fixture(scope="session")
def binary():
    """Path of the binary: STREAMGAUGE_BIN, or what cargo builds."""
    return built()


@pytest.fixture(scope="session")
def simulator(binary):
    """Base URL of a simulated upstream."""
    with Process([binary, "simulate", "--listen", "127.0.0.1:0"]) as process:
        yield f"http://{process.address()}/v1"
