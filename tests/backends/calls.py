"""Plain calls through the proxy, each in a trace that the test knows."""

import json
import os
import urllib.request

from processes import DEADLINE

MODEL = "sim-chat"


def chat(base_url, stream=True):
    """Makes one chat call, reads all of its answer, and returns the id of its trace."""
    trace_id = os.urandom(16).hex()
    body = {"model": MODEL, "stream": stream, "messages": [{"role": "user", "content": "How deep is the river?"}]}
    headers = {
        "content-type": "application/json",
        "authorization": "Bearer sk-test",
        "traceparent": f"00-{trace_id}-00f067aa0ba902b7-01",
        "x-sim-chunks": "8",
        "x-sim-interval-ms": "2",
        "x-sim-think-ms": "20",
    }
    request = urllib.request.Request(f"{base_url}/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=DEADLINE) as response:
        assert response.read()
    return trace_id
