"""Three replicas behind Debian's nginx, with a Redis that they share, are restarted one after the other while clients talk.

No call fails, each is at the receiver once, in its span as in the counters, and the conversations go on from replica to replica.
"""

import itertools
import json
import re
import signal
import threading
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from calls import KNOBS, post, request_of
from collector import Collector
from processes import DEADLINE, Process, Server, eventually, fetch, free_port
from prometheus_server import DEPLOY

CONFIGURATION = (DEPLOY / "nginx" / "streamgauge.conf").read_text()

LISTEN, REPLICAS = "127.0.0.1:8080", ["127.0.0.1:8081", "127.0.0.1:8082", "127.0.0.1:8083"]
"""The addresses of the configuration."""

MAIN = """
daemon off;
pid {folder}/pid;
error_log stderr warn;
worker_processes 2;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/streamgauge.conf;
}}
"""

CLIENTS, TURNS = 8, 4
"""How many talk at a time, and for how many turns before they begin anew."""

SLOW = KNOBS | {"x-sim-chunks": "30", "x-sim-interval-ms": "20"}
"""A stream that lasts for most of a second, so that some are under way as a rule when a replica is stopped."""

LONG = KNOBS | {"x-sim-chunks": "300", "x-sim-interval-ms": "20"}
"""A stream of six seconds, so that it is under way where a replica is stopped at its head; as fast as it goes, a busy machine's
observer would not keep up with it."""


BUSY = re.compile(r"^streamgauge_exchanges_in_flight [1-9]", re.MULTILINE)

STOPPING = "shutting down: waiting for streams in flight to finish; a second signal stops at once"


class Nginx(Process):
    """The nginx of the configuration, for other addresses."""

    def __init__(self, folder, replicas):
        self._folder = folder
        self.address = f"127.0.0.1:{free_port()}"
        self._text = CONFIGURATION.replace(f"listen {LISTEN}", f"listen {self.address}")
        for named, real in zip(REPLICAS, replicas, strict=True):
            assert f"server {named};" in self._text
            self._text = self._text.replace(f"server {named};", f"server {real};")
        (folder / "nginx.conf").write_text(MAIN.format(folder=folder))
        self._write()
        super().__init__(["nginx", "-c", folder / "nginx.conf"])
        eventually("nginx to listen", lambda: fetch(f"http://{self.address}/v1/models"))

    def __exit__(self, *_):
        # Killed, it would leave its workers behind.
        self.terminate()
        super().__exit__()

    def _write(self, down=None):
        (self._folder / "streamgauge.conf").write_text(self._text.replace(f"server {down};", f"server {down} down;"))

    def _taking_calls(self):
        """The workers that may take another call."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return {child for child in children if "shutting down" not in _command(child)}

    def reload(self, down=None):
        """Sends no call to `down` any more, and every other to all."""
        before = self._taking_calls()
        self._write(down)
        Process(["nginx", "-c", self._folder / "nginx.conf", "-s", "reload"]).wait()
        eventually("the workers to change", lambda: (now := self._taking_calls()) and not now & before)


def _command(process):
    try:
        return Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return "gone, and so shutting down"


class Client(threading.Thread):
    """Talks until it is told to stop; keeps the ids of its calls' traces by conversation, and what failed."""

    def __init__(self, address, number, over):
        super().__init__()
        self._url, self._number, self._over = f"http://{address}/v1/chat/completions", number, over
        self.conversations, self.failed = [], []

    def run(self):
        for count in itertools.count():
            messages = [{"role": "user", "content": f"I am client {self._number}, and this is talk {count}."}]
            self.conversations.append([])
            for turn in range(TURNS):
                if self._over.is_set():
                    return
                self._call(messages, stream=turn % 2 == 0)
                messages.append({"role": "user", "content": f"And at noon of day {turn}?"})

    def _call(self, messages, stream):
        trace_id, answer = post(self._url, {"model": "sim-chat", "messages": messages, "stream": stream}, SLOW)
        self.conversations[-1].append(trace_id)
        try:
            text = _text(answer) if stream else json.loads(answer)["choices"][0]["message"]["content"]
            messages.append({"role": "assistant", "content": text})
        except (KeyError, ValueError, AssertionError) as error:
            self.failed.append((error, answer))


def _text(answer):
    """What a stream says; it must be whole."""
    events = [line.removeprefix("data: ") for line in answer.splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    choices = [choice for event in events[:-1] for choice in json.loads(event)["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


@pytest.fixture
def redis():
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with Process(command) as server:
        server.first("that it is ready", lambda line: "Ready to accept connections" in line)
        yield f"redis://127.0.0.1:{port}"


def test_a_rolling_restart_under_load_loses_nothing(binary, simulator, redis, tmp_path):
    with Collector() as collector:
        settings = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "STREAMGAUGE_STATE_REDIS": redis,
            # The machine may be busy with other tests.
            "STREAMGAUGE_STATE_TIMEOUT": "5s",
        }
        addresses = [f"127.0.0.1:{free_port()}" for _ in REPLICAS]

        def replica(address):
            listen = ["--listen", address, "--admin", "127.0.0.1:0", "--upstream", simulator]
            return Server([binary, "serve", *listen], settings)

        running = {address: replica(address) for address in addresses}
        try:
            with Nginx(tmp_path, addresses) as nginx:
                clients, held = talk_while(nginx, running, replica)
            for server in running.values():
                assert server.terminate() == 0
        finally:
            for server in running.values():
                server.__exit__()
        check(collector, clients, held)


def talk_while(nginx, running, replica):
    """Has clients talk while each replica is restarted; the clients, and the traces of calls that were under way in replicas when they
    were stopped."""
    over, held = threading.Event(), []
    clients = [Client(nginx.address, number, over) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        for address, server in list(running.items()):
            eventually("calls through the replica", lambda: BUSY.search(fetch(f"http://{server.admin}/metrics")))
            nginx.reload(down=address)
            held.append(stop_while_held(server, address))
            running[address] = replica(address)
            eventually("the replica to be ready", lambda: fetch(f"http://{running[address].admin}/readyz"))
            nginx.reload()
    finally:
        over.set()
        for client in clients:
            client.join()
    return clients, held


def stop_while_held(server, address):
    """Stops a replica while a stream passes through it, which it waits for; the id of the stream's trace."""
    body = {"model": "sim-chat", "stream": True, "messages": [{"role": "user", "content": f"Say much, {address}."}]}
    trace_id, request = request_of(f"http://{address}/v1/chat/completions", body, LONG)
    with urllib.request.urlopen(request, timeout=DEADLINE) as response:
        server.send(signal.SIGTERM)
        assert server.message(STOPPING)["in_flight"] > 0
        assert _text(response.read().decode())
    assert server.wait() == 0
    return trace_id


def total(collector, name):
    """The sum of a counter over all processes that there were."""
    counters = [metric for metric in collector.metrics(name) if metric.name == name]
    return sum(point.as_int for counter in counters for point in counter.sum.data_points)


def check(collector, clients, held):
    """That every call went well, and was counted once."""
    assert [failure for client in clients for failure in client.failed] == []
    assert total(collector, "streamgauge.telemetry.dropped") == 0
    conversations = [talk for client in clients for talk in client.conversations if talk]
    conversations += [[trace_id] for trace_id in held]
    calls = Counter(trace_id for talk in conversations for trace_id in talk)
    spans = collector.seen(lambda _, found: "gen_ai.operation.name" in found)
    inferences = {span.trace_id.hex(): found for span, found in spans}
    assert Counter(span.trace_id.hex() for span, _ in spans) == calls
    assert {found["streamgauge.end"] for found in inferences.values()} == {"done"}
    assert total(collector, "llm.requests") == calls.total()
    # What a replica knew of a conversation outlives it.
    for talk in conversations:
        found = [inferences[trace_id] for trace_id in talk]
        assert [each["streamgauge.conversation.turn"] for each in found] == list(range(1, len(talk) + 1))
        assert len({each["streamgauge.conversation.id"] for each in found}) == 1
    used = {found["service.instance.id"] for found in collector.resources}
    assert len(used) == 2 * len(REPLICAS)
