"""The OpenAI npm SDK sees the same through streamgauge as direct, and is measured truly."""

import json
import subprocess
from pathlib import Path

import pytest

from cases import CASES, trace_context
from checks import check_equal, check_measured
from processes import DEADLINE

def see_all(base_url):
    """What the SDK shows of every case, and the times it measured."""
    calls = {name: _in_trace(name, case) for name, case in CASES.items()}
    order = json.dumps({"base_url": base_url, "calls": calls})
    node = ["node", Path(__file__).with_name("client.mjs")]
    run = subprocess.run(node, input=order, check=True, stdout=subprocess.PIPE, text=True, timeout=2 * DEADLINE)
    return json.loads(run.stdout)


def _in_trace(name, case):
    _, context = trace_context(2, name)
    return case | {"headers": case["headers"] | {"traceparent": context}}


@pytest.fixture(scope="session")
def direct(simulator):
    return see_all(simulator)


@pytest.fixture(scope="session")
def through(proxied):
    return see_all(proxied)


@pytest.mark.parametrize("name", CASES)
def test_npm_sdk(name, direct, through, collector):
    check_equal(direct[name]["seen"], through[name]["seen"])
    trace_id, _ = trace_context(2, name)
    check_measured(name, through[name]["seen"], through[name]["first_ms"], collector.inference(trace_id))
