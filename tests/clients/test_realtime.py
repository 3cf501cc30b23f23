"""The OpenAI Python SDK's realtime client sees the same through streamgauge as direct, and each response is measured."""

import openai
import pytest

from processes import Proxy
from realtime_server import MODEL, RealtimeServer

TRACE = "00000000000000030000000000000001"


@pytest.fixture(scope="module")
def upstream():
    """Base URL of the stand-in."""
    with RealtimeServer() as server:
        yield server.base_url


def see(base_url, responses):
    """Every event that the SDK shows of a session with so many responses."""
    client = openai.OpenAI(base_url=base_url, api_key="sk-test", max_retries=0)
    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    events = []
    with client.realtime.connect(model="gpt-realtime", extra_headers=headers) as connection:

        def until(kind):
            while not events or events[-1]["type"] != kind:
                events.append(connection.recv().model_dump(exclude_unset=True))

        until("session.created")
        connection.session.update(session={"type": "realtime", "instructions": "Be brief."})
        until("session.updated")
        for _ in range(responses):
            item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "How deep?"}]}
            connection.conversation.item.create(item=item)
            connection.response.create()
            events.append({"type": "asked"})
            until("response.done")
    return events


def test_realtime_sdk(binary, upstream, collector):
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    with Proxy(binary, upstream, env) as proxy:
        assert see(proxy.base_url, 2) == see(upstream, 2)
        measured = collector.inferences(TRACE, 2)
    for number, span in enumerate(measured, start=1):
        assert span["gen_ai.response.id"] == f"resp_{number}"
        assert (span["gen_ai.request.model"], span["gen_ai.response.model"]) == ("gpt-realtime", MODEL)
        assert (span["gen_ai.usage.input_tokens"], span["gen_ai.usage.output_tokens"]) == (120, 30)
        assert (span["gen_ai.usage.audio.input_tokens"], span["gen_ai.usage.audio.output_tokens"]) == (100, 24)
        assert span["gen_ai.response.finish_reasons"] == ["stop"]
        assert span["streamgauge.tool_calls"] == 1
        assert span["streamgauge.chunks"] == 6
        assert 0 <= span["streamgauge.time_to_first_content"] <= span["streamgauge.time_to_first_audio"]
        assert span["streamgauge.end"] == "done"
        assert "streamgauge.partial" not in span
