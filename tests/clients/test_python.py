"""The OpenAI Python SDK sees the same through streamgauge as direct, and is measured truly."""

import pytest

from cases import CASES, trace_context
from checks import check_equal, check_measured
from client_python import see


@pytest.mark.parametrize("name", CASES)
def test_python_sdk(name, simulator, proxied, collector):
    trace_id, context = trace_context(1, name)
    direct, _ = see(simulator, CASES[name], context)
    through, first_ms = see(proxied, CASES[name], context)
    check_equal(direct, through)
    check_measured(name, through, first_ms, collector.inference(trace_id))
