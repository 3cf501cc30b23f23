"""Debian's Redis between two proxies before one upstream: conversations that change sides, and what its failures come to."""

import json
import re
import subprocess
import time

import pytest

from calls import KNOBS, MODEL, TOOL, post
from collector import Collector
from delay import Delay
from processes import DEADLINE, Process, Proxy, eventually, fetch, free_port

PASSWORD = "open-sesame"


class Redis(Process):
    """A Redis server of this port; what it keeps is lost with it."""

    def __init__(self, port, *more):
        self.port = port
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--requirepass", PASSWORD]
        super().__init__([*command, *more])
        self.first("that it is ready", lambda line: "Ready to accept connections" in line)

    def ask(self, *words):
        """What redis-cli prints, in words."""
        command = ["redis-cli", "-p", str(self.port), "--no-auth-warning", "-a", PASSWORD, *words]
        printed = subprocess.run(command, check=True, timeout=DEADLINE, stdout=subprocess.PIPE).stdout
        return printed.decode("latin-1").split()


class Pair:
    """Two proxies before one upstream that share a Redis, with a collector behind them."""

    def __init__(self, binary, simulator, port, url="redis://:{password}@127.0.0.1:{port}/3", **env):
        self.collector = Collector()
        own = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.endpoint,
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "STREAMGAUGE_STATE_REDIS": url.format(password=PASSWORD, port=port),
            # The machine may be busy with other tests.
            "STREAMGAUGE_STATE_TIMEOUT": "10s",
        }
        self.proxies = [Proxy(binary, simulator, own | env) for _ in range(2)]

    def __enter__(self):
        self.collector.__enter__()
        return self

    def __exit__(self, *_):
        for proxy in self.proxies:
            proxy.__exit__()
        self.collector.__exit__()

    def metric(self, proxy, name):
        """The sum of a metric's series."""
        text = fetch(f"http://{proxy.admin}/metrics") or ""
        lines = re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)", text, re.MULTILINE)
        return sum(map(float, lines))

    def connected(self, value=1, keep=lambda: None):
        """Waits until both say that the state is shared, or that it is not; `keep` is done in between."""
        for proxy in self.proxies:

            def is_so(proxy=proxy):
                keep()
                return self.metric(proxy, "streamgauge_state_available") == value

            eventually(f"streamgauge_state_available {value}", is_so)

    def talk(self, question, pause=0.0):
        """Three calls by turns, a tool's among them; the spans' attributes, in their order."""
        function = {"name": TOOL, "parameters": {"type": "object", "properties": {"river": {"type": "string"}}}}
        tools = [{"type": "function", "function": function}]
        messages = [{"role": "user", "content": question}]
        spans = []

        def ask(proxy, **more):
            body = {"model": MODEL, "messages": messages} | more
            trace_id, answer = post(f"{proxy.base_url}/chat/completions", body, KNOBS)
            message = json.loads(answer)["choices"][0]["message"]
            messages.append(message)
            spans.append(self.collector.inference(trace_id))
            return message

        (call,) = ask(self.proxies[0], tools=tools)["tool_calls"]
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": "3.2 m"})
        time.sleep(pause)
        ask(self.proxies[1], tools=tools)
        messages.append({"role": "user", "content": "And tomorrow?"})
        ask(self.proxies[0])
        return spans


def places(spans):
    """Conversation and turn of each."""
    return [(span["streamgauge.conversation.id"], span["streamgauge.conversation.turn"]) for span in spans]


def are_one(spans):
    """Whether they are the turns of one conversation."""
    return [turn for _, turn in places(spans)] == [1, 2, 3] and len({one for one, _ in places(spans)}) == 1


@pytest.fixture
def redis():
    with Redis(free_port()) as redis:
        yield redis


def test_turns_by_turns_are_one_conversation_and_waits_are_measured_across(binary, simulator, redis):
    pause = 0.2
    with Pair(binary, simulator, redis.port) as pair:
        pair.connected()
        assert are_one(pair.talk("How deep is the river?", pause))
        (wait,) = pair.collector.wait_for("the wait", lambda span, _: span.name == f"tool_wait {TOOL}", 1)
        assert wait[1]["gen_ai.tool.call.duration_ms"] >= pause * 1000
        names = redis.ask("-n", "3", "keys", "*")
        assert names and all(re.fullmatch(r"streamgauge:2:[krft]:[0-9a-f]{16}:[0-9a-f]+", name) for name in names)
        assert all(int(redis.ask("-n", "3", "pttl", name)[0]) > 0 for name in names)
        texts = [" ".join(redis.ask("-n", "3", "get", name)) for name in names]
        assert not any("deep" in text or "3.2 m" in text or "sk-test" in text for text in texts)
        for proxy in pair.proxies:
            assert not pair.metric(proxy, "streamgauge_state_errors_total")
            assert not any(PASSWORD in line for line in proxy.lines)


def test_a_redis_that_is_gone_costs_the_sharing_only_and_comes_back(binary, simulator):
    port = free_port()
    with Redis(port) as redis, Pair(binary, simulator, port) as pair:
        pair.connected()
        assert are_one(pair.talk("How deep is the first river?"))
        redis._child.kill()
        alone = pair.talk("How deep is the second river?")
        assert not are_one(alone)
        assert places(alone)[0][0] == places(alone)[2][0], "each goes on with what it knows itself"
        pair.connected(0, lambda: pair.talk("Is anybody there?"))
        assert all(pair.metric(proxy, "streamgauge_state_unshared_total") for proxy in pair.proxies)
        pair.proxies[0].message("conversation state cannot be shared; each replica goes on with what it knows itself")
        with Redis(port):
            pair.connected(1, lambda: pair.talk("Is anybody back?"))
            assert are_one(pair.talk("How deep is the third river?"))


def test_a_redis_that_is_slow_holds_nobody_up(binary, simulator, redis):
    delay = Delay(redis.port)
    with Pair(binary, simulator, delay.port, STREAMGAUGE_STATE_TIMEOUT="500ms") as pair:
        pair.connected()
        delay.seconds = 1.0
        pair.connected(0, lambda: pair.talk("How slow is the river?"))
        assert all(pair.metric(proxy, "streamgauge_telemetry_dropped_total") == 0 for proxy in pair.proxies)
        delay.seconds = 0.0
        pair.connected(1, lambda: pair.talk("How fast is the river?"))
        assert are_one(pair.talk("How deep is the river?"))


def test_a_redis_that_is_full_is_counted_and_harms_nothing(binary, simulator):
    with Redis(free_port(), "--maxmemory", "1mb", "--maxmemory-policy", "noeviction") as redis:
        # An empty server of Debian's has more than nine tenths of that already.
        eventually("it to be full", lambda: "OOM" in redis.ask("-n", "9", "append", "filler", "x" * 8192))
        with Pair(binary, simulator, redis.port) as pair:
            pair.connected()
            spans = pair.talk("How full is the river?")
            assert places(spans)[0][0] == places(spans)[2][0]
            errors = "streamgauge_state_errors_total"
            eventually("the errors to be counted", lambda: all(pair.metric(proxy, errors) for proxy in pair.proxies))
            assert all(pair.metric(proxy, "streamgauge_state_available") == 1 for proxy in pair.proxies)
            redis.ask("config", "set", "maxmemory", "0")
            assert are_one(pair.talk("How deep is the river?"))


def certificates(folder):
    """An authority's certificate, and the certificate and the key of a server that it knows."""

    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, timeout=DEADLINE, capture_output=True)

    new = ["req", "-newkey", "rsa:2048", "-nodes"]
    own = ["-x509", "-days", "2", "-keyout", "ca.key", "-out", "ca.pem"]
    openssl(*new, *own, "-subj", "/CN=test", "-addext", "basicConstraints=critical,CA:TRUE")
    openssl(*new, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr")
    (folder / "names").write_text("subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n")
    by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"]
    openssl("x509", "-req", "-in", "server.csr", *by, "-out", "server.pem")
    return [str(folder / name) for name in ("ca.pem", "server.pem", "server.key")]


def test_tls_and_a_user_who_may_do_only_what_is_needed_will_do(binary, simulator, tmp_path):
    ca, certificate, key = certificates(tmp_path)
    port = free_port()
    tls = ["--tls-port", str(port), "--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", ca]
    may = "+select +mget +get +set +eval +setbit +pexpire".split()
    user = ["--user", "gauge", "on", f">{PASSWORD}", "~streamgauge:*", *may]
    url = "rediss://gauge:{password}@localhost:{port}/3"
    with Redis(free_port(), *tls, "--tls-auth-clients", "no", *user):
        with Pair(binary, simulator, port, url, SSL_CERT_FILE=ca) as pair:
            pair.connected()
            assert are_one(pair.talk("How deep is the river?"))
            errors = "streamgauge_state_errors_total"
            assert not any(pair.metric(proxy, errors) for proxy in pair.proxies)
