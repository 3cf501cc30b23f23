"""Plain calls through the proxy, each in a trace that the test knows."""

import json
import os
import urllib.error
import urllib.request

from processes import DEADLINE

MODEL = "sim-chat"


def post(url, body, headers=None):
    """Makes one call and reads all of its answer, an error's too; the id of its trace, and the answer as text."""
    trace_id = os.urandom(16).hex()
    headers = {
        "content-type": "application/json",
        "authorization": "Bearer sk-test",
        "traceparent": f"00-{trace_id}-00f067aa0ba902b7-01",
    } | (headers or {})
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE) as response:
            return trace_id, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return trace_id, error.read().decode()


def chat(base_url, stream=True):
    """Makes one chat call to the simulated upstream, and returns the id of its trace."""
    body = {"model": MODEL, "stream": stream, "messages": [{"role": "user", "content": "How deep is the river?"}]}
    knobs = {"x-sim-chunks": "8", "x-sim-interval-ms": "2", "x-sim-think-ms": "20"}
    trace_id, answer = post(f"{base_url}/chat/completions", body, knobs)
    assert "choices" in answer
    return trace_id
