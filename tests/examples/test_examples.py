"""The examples do what they say, and their spans, the proxy's among them, are one tree for each run."""

import json
import os
import subprocess
import sys
import urllib.parse
from pathlib import Path

import pytest

from collector import Collector
from processes import DEADLINE, Process, Proxy, fetch, free_port

EXAMPLES = Path(__file__).parents[2] / "examples"

QUESTION = "How deep is the Rhine?"


@pytest.fixture
def collector():
    with Collector() as collector:
        yield collector


@pytest.fixture
def environment(binary, simulator, collector):
    """What an example runs with: the proxy's address, and the receiver that the proxy exports to as well."""
    exports = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with Proxy(binary, simulator, exports) as proxy:
        client = {"OPENAI_BASE_URL": proxy.base_url, "OPENAI_API_KEY": "sk-test", "PYTHONUNBUFFERED": "1"}
        yield exports | client | {"OTEL_SERVICE_NAME": "example"}


@pytest.fixture
def redis():
    """URL of a server of its own, empty."""
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with Process(command) as server:
        server.first("that it is ready", lambda line: "Ready to accept connections" in line)
        yield f"redis://127.0.0.1:{port}"


def run(environment, *command):
    """What an example that ends by itself writes."""
    command = [sys.executable, *command]
    done = subprocess.run(command, cwd=EXAMPLES, env=os.environ | environment, capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    return done.stdout


def tree(collector, count):
    """Waits for so many spans, which are to be one tree, and returns it: each span's name with those below, in order of time."""
    collector.wait_for_count(count)
    spans = [span for span, _ in collector.seen(lambda *_: True)]
    assert len({span.trace_id for span in spans}) == 1, [span.name for span in spans]
    ids = {span.span_id for span in spans}
    (root,) = [span for span in spans if span.parent_span_id not in ids]
    assert root.parent_span_id == b"", f"the parent of {root.name} never came"

    def below(span):
        children = [child for child in spans if child.parent_span_id == span.span_id]
        children.sort(key=lambda child: child.start_time_unix_nano)
        return {f"{index} {child.name}": below(child) for index, child in enumerate(children)}

    return {root.name: below(root)}


def call(path, inner):
    """The spans of one call: the HTTP client's, the proxy's for the request, and the proxy's for the inference."""
    return {f"0 POST /v1/{path}": {f"0 {inner}": {}}}


def inferences(collector):
    """The attributes of the spans of calls to a model."""
    return [found for _, found in collector.seen(lambda _, found: "gen_ai.request.model" in found)]


def test_the_quickstart_is_measured(environment, collector):
    assert run(environment, "quickstart.py").strip()
    assert tree(collector, 2) == {"POST /v1/responses": {"0 chat gpt-4o-mini": {}}}
    (call,) = inferences(collector)
    assert call["gen_ai.usage.output_tokens"] > 0


def test_the_agents_calls_and_its_tool_are_one_tree(environment, collector):
    assert run(environment, "agent.py", QUESTION).strip()
    chat = call("chat/completions", "chat gpt-4o-mini")
    assert tree(collector, 9) == {
        "agent": {
            "0 POST": chat,
            "1 execute_tool read_gauge": {},
            # The wait for the tool lies beside the request that brought its result.
            "2 POST": {"0 tool_wait read_gauge": {}, "1 POST /v1/chat/completions": {"0 chat gpt-4o-mini": {}}},
        }
    }
    asked, answered = sorted(inferences(collector), key=lambda found: found["streamgauge.conversation.turn"])
    assert asked["streamgauge.tool_calls"] == 1
    assert answered["streamgauge.conversation.linked_by"] == "calls"


def ask(address, method, path):
    url = f"http://{address}/{path}?{urllib.parse.urlencode({'question': QUESTION})}"
    return fetch(url, b"" if method == "POST" else None)


@pytest.fixture
def service(environment, collector, redis):
    """The address of the RAG service, with nothing at the receiver yet, and the environment of its worker."""
    both = environment | {"REDIS_URL": redis}
    command = [sys.executable, "-m", "uvicorn", "rag_service:app", "--host", "127.0.0.1", "--port", "0"]
    with Process(command, both, cwd=EXAMPLES) as service:
        address = service.address()
        # It has embedded its documents, in a trace of their own.
        collector.wait_for_count(3)
        collector.forget()
        yield address, both


def test_a_question_to_the_rag_service_is_one_tree(service, collector):
    address, _ = service
    assert ask(address, "GET", "ask").strip()
    embedding, chat = call("embeddings", "embeddings text-embedding-3-small"), call("chat/completions", "chat gpt-4o-mini")
    assert tree(collector, 11) == {
        "GET /ask": {
            "0 llm.pipeline.full": {
                "0 llm.pipeline.retrieval": {"0 POST": embedding},
                "1 llm.pipeline.prompt-assembly": {},
                "2 llm.pipeline.inference": {"0 POST": chat},
            }
        }
    }
    (inference,) = [found for found in inferences(collector) if found["gen_ai.operation.name"] == "chat"]
    assert inference["llm.prompt.template"] == "answer-from-text"
    assert inference["streamgauge.cost.usd"] > 0


def test_work_that_went_through_the_queue_is_in_the_tree_of_whoever_queued_it(service, collector):
    address, environment = service
    assert json.loads(ask(address, "POST", "summaries")) == {"queued": 1}
    assert run(environment, "rag_worker.py", "1").strip()
    embedding = call("embeddings", "embeddings text-embedding-3-small")
    assert tree(collector, 9) == {
        "POST /summaries": {
            "0 llm.pipeline.full": {
                "0 llm.pipeline.retrieval": {"0 POST": embedding},
                "1 llm.pipeline.prompt-assembly": {},
                "2 POST /v1/chat/completions": {"0 chat gpt-4o-mini": {}},
            }
        }
    }


def test_the_node_service_and_its_call_are_one_tree(environment, collector):
    with Process(["node", "service.mjs"], environment | {"PORT": "0"}, cwd=EXAMPLES / "node") as service:
        assert ask(service.address(), "GET", "ask").strip()
        assert tree(collector, 4) == {"GET /ask": {"0 POST": call("chat/completions", "chat gpt-4o-mini")}}
        assert service.terminate() == 0


def test_every_example_is_in_the_readme_and_run_here():
    text, tests = (EXAMPLES / "README.md").read_text(), Path(__file__).read_text()
    for file in [*EXAMPLES.glob("*.py"), *EXAMPLES.glob("node/*.mjs")]:
        assert file.name in text
        assert file.stem == "telemetry" or file.stem in tests
