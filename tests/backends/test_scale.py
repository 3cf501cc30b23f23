"""docs/scale.md tells the truth: what a call leaves behind is measured again, and its arithmetic is done again."""

import math
import re
import subprocess
from pathlib import Path

import pytest

from calls import KNOBS, post
from collector import Collector
from processes import Process, Proxy, eventually, fetch, free_port

DOCUMENT = (Path(__file__).parents[2] / "docs" / "scale.md").read_text()

CALLS = 128

OFF = 0.2
"""How far off a figure of the page may be, as a share of it."""


def row(label):
    """The numbers of a row of the page."""
    (cells,) = re.findall(rf"^\| {re.escape(label)} \|(.*)\|$", DOCUMENT, re.MULTILINE)
    return [float(re.match(r"[\d.]+", cell.strip().replace(",", "")).group()) for cell in cells.split("|")]


def series(proxy):
    return sum(not line.startswith("#") for line in fetch(f"http://{proxy.admin}/metrics").splitlines())


def redis_figure(port, name):
    told = subprocess.run(["redis-cli", "-p", str(port), "info"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return int(re.search(rf"^{name}:(\d+)", told, re.MULTILINE).group(1))


def call(proxy, model, number):
    messages = [{"role": "user", "content": f"How deep is the river at kilometre {number}?"}]
    body = {"model": model, "temperature": 0.7, "stream": number % 2 == 0, "messages": messages}
    post(f"{proxy.base_url}/chat/completions", body, KNOBS)


@pytest.fixture(scope="module")
def measured(binary, simulator):
    """What the page says was measured, by the labels of its rows."""
    port = free_port()
    with Collector() as collector, Process(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]) as redis:
        redis.first("that it is ready", lambda line: "Ready to accept connections" in line)
        settings = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "STREAMGAUGE_STATE_REDIS": f"redis://127.0.0.1:{port}",
            "STREAMGAUGE_STATE_TIMEOUT": "5s",
        }
        with Proxy(binary, simulator, settings) as proxy:
            found = [series(proxy)]
            for number, model in enumerate(["sim-chat", "sim-fast"], start=1):
                # A streamed one: series are of streams.
                call(proxy, model, 2 * number)
                collector.wait_for_count(2 * number)
                found.append(series(proxy))
            memory, commands = (redis_figure(port, name) for name in ("used_memory_dataset", "total_commands_processed"))
            spans = len(collector.seen(lambda *_: True))
            for number in range(CALLS):
                call(proxy, "sim-chat", 1000 + number)
            collector.wait_for_count(spans + 2 * CALLS)
            eventually("the last call to be in Redis", lambda: redis_figure(port, "total_commands_processed") >= commands + 13 * CALLS)
            memory, commands = redis_figure(port, "used_memory_dataset") - memory, redis_figure(port, "total_commands_processed") - commands
        spans = [span for span, _ in collector.seen(lambda *_: True)]
        return {
            "spans of a call": len(spans) / (CALLS + 2),
            "bytes of its spans as OTLP": sum(span.ByteSize() for span in spans) / (CALLS + 2),
            "series of a process before its first call": found[0],
            "series that the first model adds": found[1] - found[0],
            "series that each further model adds": found[2] - found[1],
            "bytes in Redis of a call, with `state.redis`": memory / CALLS,
            "Redis commands of a call": commands / CALLS,
        }


def test_what_a_call_leaves_behind_is_as_the_page_says(measured):
    off = {label: (value, row(label)) for label, value in measured.items() if not math.isclose(value, row(label)[0], rel_tol=OFF)}
    assert off == {}


PEAK, CHUNKS, SECONDS, MODELS, BUSY, CORES = 5, 400, 10, 10, 0.6, 2


def size(calls):
    """What so many calls a day come to, by the page's own figures and assumptions, by the labels of its rows."""
    (unary,), (chunk,), (stream,) = map(
        row, ["CPU of a call that is not streamed", "CPU of a chunk of a paced stream", "memory of a stream, 1,000 open on one core"]
    )
    first, further = row("series that the first model adds")[0], row("series that each further model adds")[0]
    per_call, traces = row("spans of a call")[0], calls * row("bytes of its spans as OTLP")[0] / 1e9
    peak = PEAK * calls / 86_400
    cores = peak * (unary + CHUNKS * chunk) / 1e6
    replicas = max(2, math.ceil(cores / BUSY / CORES))
    count = replicas * (row("series of a process before its first call")[0] + first + (MODELS - 1) * further)
    return {
        "calls a second at the peak": peak,
        "streams open at the peak": peak * SECONDS,
        "chunks a second at the peak": peak * CHUNKS,
        "cores at the peak": cores,
        "replicas of 2 cores": replicas,
        "memory of the streams, MB": peak * SECONDS * stream * 1024 / 1e6,
        "spans a day": calls * per_call,
        "GB of traces a day, all kept": traces,
        "GB of traces a day, `sampling.share = 0.05` and nothing that failed": 0.05 * traces,
        "series": count,
        "GB in Prometheus a day": count * 86_400 / 15 * 1.5 / 1e9,
        "GB in Redis at the peak": peak * 3600 * row("bytes in Redis of a call, with `state.redis`")[0] / 1e9,
        "Redis commands a second at the peak": peak * row("Redis commands of a call")[0],
    }


@pytest.mark.parametrize("calls", [1e4, 1e6, 1e8], ids=["10 thousand", "1 million", "100 million"])
def test_the_arithmetic_of_a_size_is_right(calls):
    column = int(math.log10(calls) - 4) // 2
    wrong = {label: (value, row(label)) for label, value in size(calls).items() if not math.isclose(value, row(label)[column], rel_tol=0.04)}
    assert wrong == {}
