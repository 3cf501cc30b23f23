"""llama.cpp's own server as the upstream, with a tiny model: what its answers say is what is exported."""

import json
import sys
from pathlib import Path

import pytest

from calls import post
from collector import Collector
from llama_server import ALIAS
from processes import Process, Proxy

MESSAGES = [{"role": "user", "content": "How deep is the river?"}]
TEXT = {"model": ALIAS, "max_tokens": 8, "temperature": 0}
CHAT = TEXT | {"messages": MESSAGES}
WITH_USAGE = {"stream": True, "stream_options": {"include_usage": True}}


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    """Origin of the server."""
    script = Path(__file__).with_name("llama_server.py")
    with Process([sys.executable, script, tmp_path_factory.mktemp("llama")]) as server:
        yield f"http://{server.address()}"


@pytest.fixture(scope="module")
def call(binary, llama):
    """Makes a call through the proxy: `call("/v1/embeddings", body)` gives the answer and the attributes exported of it."""
    with Collector() as collector:
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        with Proxy(binary, f"{llama}/v1", env) as proxy:
            origin = proxy.base_url.removesuffix("/v1")

            def call(path, body):
                trace_id, answer = post(origin + path, body)
                return answer, collector.inference(trace_id)

            yield call


def events(stream):
    """The chunks of a stream, which must have closed with the sentinel."""
    data = [line.removeprefix("data: ") for line in stream.splitlines() if line]
    assert data.pop() == "[DONE]"
    return [json.loads(chunk) for chunk in data]


def text(chunk):
    """The text in a chunk or an answer."""
    (choice,) = chunk["choices"]
    message = choice.get("delta") or choice.get("message") or choice
    return message.get("content") or message.get("text") or ""


def check(exported, operation, answer, usage, content):
    """Compares what every call that generates text must export with what its answer says."""
    expected = {
        "gen_ai.operation.name": operation,
        "gen_ai.request.model": ALIAS,
        "gen_ai.response.model": answer["model"],
        "gen_ai.response.id": answer["id"],
        "gen_ai.response.finish_reasons": ["length"],
        "openai.response.system_fingerprint": answer["system_fingerprint"],
        "gen_ai.usage.input_tokens": usage["prompt_tokens"],
        "gen_ai.usage.output_tokens": usage["completion_tokens"],
        "gen_ai.usage.cache_read.input_tokens": usage["prompt_tokens_details"]["cached_tokens"],
        "llm.response.usage.total_tokens": usage["total_tokens"],
        "llm.response.full_length": len(content),
        "streamgauge.usage.source": "reported",
        "streamgauge.end": "done",
    }
    assert {key: exported.get(key) for key in expected} == expected
    assert not [key for key in exported if key.startswith("streamgauge.problems.")]
    assert usage["completion_tokens"] == TEXT["max_tokens"]


def check_timings(exported, timings):
    """Compares the server's own times, in milliseconds, with the exported ones."""
    for attribute, member in [("prefill", "prompt_ms"), ("decode", "predicted_ms")]:
        seconds = exported[f"streamgauge.upstream.{attribute}_time"]
        assert seconds == pytest.approx(timings[member] / 1000)


@pytest.mark.parametrize(
    ("path", "operation", "body"),
    [
        ("/v1/chat/completions", "chat", CHAT),
        ("/v1/completions", "text_completion", TEXT | {"prompt": "How deep"}),
    ],
)
class TestText:
    def test_a_whole_answer(self, path, operation, body, call):
        answer, exported = call(path, body)
        answer = json.loads(answer)
        check(exported, operation, answer, answer["usage"], text(answer))
        check_timings(exported, answer["timings"])
        assert "llm.response.chunk_count" not in exported

    def test_a_stream_with_usage(self, path, operation, body, call):
        stream, exported = call(path, body | WITH_USAGE)
        chunks = events(stream)
        # Chat reports on a chunk of its own, text on the chunk that finishes.
        last = chunks[-1]
        texts = [text(chunk) for chunk in chunks if chunk["choices"]]
        check(exported, operation, last, last["usage"], "".join(texts))
        check_timings(exported, last["timings"])
        assert exported["llm.response.chunk_count"] == sum(map(bool, texts))
        assert exported["streamgauge.events"] == len(chunks) + len(["[DONE]"])
        assert "streamgauge.usage.injected" not in exported

    def test_a_stream_that_did_not_ask_for_usage(self, path, operation, body, call, llama):
        stream, exported = call(path, body | {"stream": True})
        _, asked = post(llama + path, body | WITH_USAGE)
        _, plain = post(llama + path, body | {"stream": True})
        seen, usage = events(stream), events(asked)[-1]["usage"]
        content = "".join(map(text, seen))
        # How much was cached depends on the calls before.
        usage["prompt_tokens_details"]["cached_tokens"] = exported["gen_ai.usage.cache_read.input_tokens"]
        if path.endswith("chat/completions"):
            # Only usage has the total.
            usage["total_tokens"] = None
        check(exported, operation, seen[-1], usage, content)
        check_timings(exported, seen[-1]["timings"])
        assert "streamgauge.usage.injected" not in exported
        # The same members in the same chunks, as if the server had been asked directly.
        assert [chunk.keys() for chunk in seen] == [chunk.keys() for chunk in events(plain)]
        assert [chunk["choices"] for chunk in seen] == [chunk["choices"] for chunk in events(plain)]


def test_the_first_stream_ever_keeps_the_timings(binary, llama):
    # Nothing is known of the server yet, so this one is asked; what the server then moves reaches the client all the same.
    with Proxy(binary, f"{llama}/v1", {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}) as proxy:
        url = f"{proxy.base_url}/chat/completions"
        _, plain = post(f"{llama}/v1/chat/completions", CHAT | {"stream": True})
        for attempt in range(3):
            _, stream = post(url, CHAT | {"stream": True})
            chunks = events(stream)
            assert chunks[-1]["timings"]["predicted_n"] == TEXT["max_tokens"]
            if attempt > 0:
                assert [chunk.keys() for chunk in chunks] == [chunk.keys() for chunk in events(plain)]


@pytest.mark.parametrize("coding", [{}, {"encoding_format": "base64"}])
def test_embeddings(coding, call):
    answer, exported = call("/v1/embeddings", {"model": ALIAS, "input": ["How deep", "is it"]} | coding)
    answer = json.loads(answer)
    assert len(answer["data"]) == 2
    expected = {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.request.model": ALIAS,
        "gen_ai.response.model": answer["model"],
        "gen_ai.usage.input_tokens": answer["usage"]["prompt_tokens"],
        "llm.prompt.length": 13,
        "streamgauge.usage.source": "reported",
    }
    if coding:
        expected["gen_ai.request.encoding_formats"] = ["base64"]
    assert {key: exported.get(key) for key in expected} == expected
    assert "gen_ai.usage.output_tokens" not in exported


def test_tokens(call):
    answer, exported = call("/tokenize", {"content": "How deep"})
    assert json.loads(answer)["tokens"]
    assert exported["gen_ai.operation.name"] == "tokenize"
    assert exported["llm.prompt.length"] == 8
    assert not [key for key in exported if key.startswith(("gen_ai.usage.", "streamgauge.problems."))]


def test_an_error(call):
    answer, exported = call("/v1/embeddings", {"model": ALIAS})
    assert exported["error.type"] == json.loads(answer)["error"]["type"]
