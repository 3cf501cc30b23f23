"""The OpenAI Python SDK's clients of sessions see the same through streamgauge as direct, and each response is measured."""

import openai
import pytest

from processes import Proxy
from realtime_server import MODEL, RealtimeServer

REALTIME, RESPONSES = (f"0000000000000003{number:016x}" for number in (1, 2))
"""The trace of each session."""


@pytest.fixture(scope="module")
def upstream():
    """Base URL of the stand-in."""
    with RealtimeServer() as server:
        yield server.base_url


@pytest.fixture(scope="module")
def through(binary, upstream, collector):
    """Base URL of the proxy in front of the stand-in."""
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    with Proxy(binary, upstream, env) as proxy:
        yield proxy.base_url


def connect(base_url, api, trace_id, **options):
    """A session in a trace."""
    client = openai.OpenAI(base_url=base_url, api_key="sk-test", max_retries=0)
    headers = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
    return getattr(client, api).connect(extra_headers=headers, **options)


def see(base_url, responses):
    """Every event that the SDK shows of a realtime session with so many responses."""
    events = []
    with connect(base_url, "realtime", REALTIME, model="gpt-realtime") as connection:

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


def see_responses(base_url, count):
    """The same of a session of the Responses API."""
    events = []
    with connect(base_url, "responses", RESPONSES) as connection:
        for _ in range(count):
            connection.response.create(model="gpt-5.2", input="How deep?")
            events.append({"type": "asked"})
            while events[-1]["type"] != "response.completed":
                events.append(connection.recv().model_dump(exclude_unset=True))
    return events


def test_realtime(upstream, through, collector):
    assert see(through, 2) == see(upstream, 2)
    measured = collector.inferences(REALTIME, 2)
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


def test_responses(upstream, through, collector):
    assert see_responses(through, 2) == see_responses(upstream, 2)
    for number, span in enumerate(collector.inferences(RESPONSES, 2), start=1):
        assert span["gen_ai.response.id"] == f"resp_{number}"
        assert span["gen_ai.request.model"] == "gpt-5.2"
        assert (span["gen_ai.usage.input_tokens"], span["gen_ai.usage.output_tokens"]) == (12, 4)
        assert span["streamgauge.chunks"] == 2
        assert span["streamgauge.end"] == "done"
