"""What is exported keeps OpenTelemetry's semantic conventions: names, types, units, instruments, and what is required.

Each vocabulary is that of a demo and of a proxy whose client asks for all that a request can ask for. What departs from the
conventions stands in EXCEPTIONS with its reason; an exception that nothing needs any more is a failure too.
"""

import fnmatch
import re

import pytest

from calls import KNOBS, converse, post
from collector import Collector
from conventions import Registry
from processes import Process, Proxy, fetch

SPANS = 40
"""So many spans of a demo have at least one of each kind of call that it makes."""

GENERATIONS = ("gen_ai_2024", "gen_ai_2025", "gen_ai")

DEFAULT = "gen_ai,gen_ai_2025,llm"

VOCABULARIES = {
    # The vocabulary of spans: the metrics, by whose conventions, and a metric of it that must have come.
    "gen_ai": ("gen_ai", ["gen_ai"], "gen_ai.client.inference.usage.output_tokens"),
    "gen_ai_2025": ("gen_ai_2025", ["gen_ai_2025"], "gen_ai.client.token.usage"),
    "gen_ai_2024": ("gen_ai_2024", ["gen_ai_2024"], "gen_ai.client.token.usage"),
    DEFAULT: ("llm,gen_ai_2025", ["gen_ai_2025", "gen_ai"], "gen_ai.server.time_per_output_token"),
    # These are not OpenTelemetry's; where they use its names, they use those of any time.
    "llm": ("llm", GENERATIONS, "llm.request.duration"),
    "openinference": ("llm", GENERATIONS, "llm.request.duration"),
    "traceloop": ("llm", GENERATIONS, "llm.request.duration"),
}

EXCEPTIONS = {
    "attribute error.type: no member *": "the conventions ask for the provider's error code, and to document the list: docs/telemetry.md",
    "attribute gen_ai.provider.name: no member _OTHER": "a server that only speaks OpenAI's language is nobody's that the list knows",
    "attribute gen_ai.system: no member _OTHER": "the same, by its name of 2024",
    "attribute gen_ai.operation.name: no member *": "the list has no word for calls such as moderation or rerank; custom ones are allowed",
    "attribute openai.request.service_tier: no member *": "the list is open: a tier is what the request says",
    "attribute gen_ai.openai.request.service_tier: no member *": "the same, by its name of 2024",
    "attribute gen_ai.tool.call.duration_ms: unknown": "of the `llm` vocabulary, which has one name under gen_ai; a wait for a tool has the same attributes in each vocabulary",
    "attribute gen_ai.tool.call.arguments: unknown": "the same: a wait has the names of today, which the conventions of 2024 did not have",
    "attribute gen_ai.tool.call.result: unknown": "the same",
    "attribute gen_ai.request.top_k: int, not double": "a fraction until 2025, a whole number since: one attribute has one type, whichever vocabularies are chosen together",
    "GenAI CLIENT span of 2024: its name is retrieval *": "the conventions of 2024 knew no search; its span has the name of today",
    "GenAI CLIENT span of 2024: no gen_ai.data_source.id": "the same: what was searched had no name then",
    "attribute openai.response.system_fingerprint: unknown": "a label of streamgauge.model.info, a metric of ours that does not change with the vocabulary",
    "attribute gen_ai.usage.cost: unknown": "of a call that has a price: the conventions have no cost, and this is how other tools name it",
    "attribute deployment.environment: unknown": "the older name of deployment.environment.name, beside it: many stores still read this one",
    "metric gen_ai.tool.calls: unknown": "of the `llm` vocabulary, which has one metric under gen_ai",
    "metric process.*: unknown": "so that Prometheus has the names that its own client libraries give these: process_cpu_seconds_total, process_open_fds",
    **{
        f"attribute {name}: unknown": "Traceloop's own name, under gen_ai"
        for name in (
            "gen_ai.is_streaming",
            "gen_ai.request.reasoning_effort",
            "gen_ai.usage.cache_read_input_tokens",
            "gen_ai.usage.reasoning_tokens",
            "gen_ai.usage.total_tokens",
        )
    },
}

QUESTION = [{"role": "user", "content": "How deep is the river?"}]

EVERYTHING = {
    "temperature": 1,
    "top_p": 1,
    "top_k": 40,
    "seed": 7,
    "n": 2,
    "stop": "END",
    "max_completion_tokens": 100,
    "presence_penalty": 0,
    "frequency_penalty": 0.5,
    "response_format": {"type": "json_object"},
    "reasoning_effort": "low",
    "service_tier": "flex",
}
"""All that a chat completion can ask for and that an attribute tells; whole numbers where the conventions have fractions."""


def call_everything(proxy, traces_url):
    """Makes calls of each kind of API, with every member of a request that an attribute tells."""
    chat = {"model": "sim-chat", "messages": QUESTION} | EVERYTHING
    calls = {
        "chat/completions": [chat, chat | {"stream": True}],
        "completions": [{"model": "sim-fast", "prompt": "How deep?", "top_k": 2, "seed": 3}],
        "embeddings": [{"model": "sim-embed", "input": "deep", "dimensions": 8, "encoding_format": "float"}],
        "responses": [{"model": "sim-chat", "input": "How deep?", "reasoning": {"effort": "low"}, "prompt": {"id": "p", "version": "2"}}],
        "messages": [{"model": "sim-chat", "messages": QUESTION, "max_tokens": 9, "top_k": 5}],
        "moderations": [{"model": "sim-chat", "input": "deep"}],
        "rerank": [{"model": "sim-chat", "query": "deep", "documents": ["river"]}],
        "vector_stores/vs_1/search": [{"query": "deep", "max_num_results": 3}],
        "images/generations": [{"model": "sim-image", "prompt": "a river"}],
    }
    for path, bodies in calls.items():
        for body in bodies:
            post(f"{proxy.base_url}/{path}?api-version=1", body, KNOBS)
    assert fetch(f"{proxy.base_url}/models")
    converse(proxy.base_url, traces_url)
    return sum(map(len, calls.values())) + 4


def departures(vocabulary, binary, simulator):
    """What a demo and a proxy with this vocabulary export that is not as the conventions have it."""
    metrics, generations, expected = VOCABULARIES[vocabulary]
    with Collector() as collector:
        settings = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_METRIC_EXPORT_INTERVAL": "500",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
            "STREAMGAUGE_TELEMETRY_VOCABULARY": vocabulary,
            "STREAMGAUGE_TELEMETRY_METRICS": metrics,
        }
        content = {"STREAMGAUGE_CONTENT": "attributes", "STREAMGAUGE_TOOLS_SPAN": "execute_tool"}
        anywhere = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
        with Process([binary, "demo", *anywhere], settings) as demo:
            collector.wait_for_count(SPANS)
            demo.terminate()
        with Proxy(binary, simulator, settings | content) as proxy:
            calls = call_everything(proxy, f"{collector.endpoint}/v1/traces")
            proxy.terminate()
        spans, sent = collector.seen(lambda *_: True), collector.metrics(expected)
        assert len(spans) > SPANS + calls
        registry = Registry(*generations)
        found = set().union(*(registry.faults_of_span(*span) for span in spans))
        found |= set().union(*map(registry.faults_of_metric, sent))
        return found | set().union(*map(registry.faults_of_attributes, collector.resources))


@pytest.fixture(scope="module")
def found(binary, simulator):
    """The departures of each vocabulary."""
    return {vocabulary: departures(vocabulary, binary, simulator) for vocabulary in VOCABULARIES}


def excused(fault):
    return [pattern for pattern in EXCEPTIONS if fnmatch.fnmatchcase(fault, re.sub(r"\[", "[[]", pattern))]


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_what_is_exported_keeps_the_conventions(vocabulary, found):
    assert [fault for fault in sorted(found[vocabulary]) if not excused(fault)] == []


def test_every_exception_is_needed(found):
    needed = {pattern for faults in found.values() for fault in faults for pattern in excused(fault)}
    assert EXCEPTIONS.keys() - needed == set()
