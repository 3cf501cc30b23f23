"""What both Python tiers stand on: the built binary and, for each test session, a simulated upstream."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from processes import Process

# The clients under test must not be led to a proxy of the machine's.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"


@pytest.fixture(scope="session")
def binary():
    """Path of the binary: STREAMGAUGE_BIN, or what cargo builds."""
    if given := os.environ.get("STREAMGAUGE_BIN"):
        return given
    build = ["cargo", "build", "--locked", "--quiet", "--bin", "streamgauge", "--message-format=json"]
    lines = subprocess.run(build, cwd=Path(__file__).parent, check=True, stdout=subprocess.PIPE, text=True).stdout
    artifacts = [json.loads(line) for line in lines.splitlines()]
    return next(artifact["executable"] for artifact in reversed(artifacts) if artifact.get("executable"))


@pytest.fixture(scope="session")
def simulator(binary):
    """Base URL of a simulated upstream."""
    with Process([binary, "simulate", "--listen", "127.0.0.1:0"]) as process:
        yield f"http://{process.address()}/v1"
