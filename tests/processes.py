"""Starts programs on free ports and waits for conditions; one deadline ends every wait that is in vain."""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

DEADLINE = 180.0
"""Longest time any condition may take to come true, in seconds."""


def built():
    """Path of the binary: STREAMGAUGE_BIN, or what cargo builds."""
    if given := os.environ.get("STREAMGAUGE_BIN"):
        return given
    build = ["cargo", "build", "--locked", "--quiet", "--bin", "streamgauge", "--message-format=json"]
    lines = subprocess.run(build, cwd=Path(__file__).parent, check=True, stdout=subprocess.PIPE, text=True).stdout
    artifacts = [json.loads(line) for line in lines.splitlines()]
    return next(artifact["executable"] for artifact in reversed(artifacts) if artifact.get("executable"))


def eventually(what, attempt):
    """Repeats `attempt` until it returns something true, and returns that; `what` names it."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if found := attempt():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {DEADLINE:.0f} s in vain for {what}")


def fetch(url, data=None, headers=None):
    """The body of a response as text, or None while nothing answers or what answers is not ready."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers or {}), timeout=DEADLINE) as response:
            return response.read().decode()
    except OSError:
        return None


def free_port():
    """A port that is free now, for a program that cannot be told to choose one itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """A running program whose output is kept; ended at the end of the `with` block.

    It inherits no OTEL_* and no STREAMGAUGE_* variable.
    """

    def __init__(self, command, env=None, cwd=None):
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "STREAMGAUGE_"))}
        environment = inherited | {"STREAMGAUGE_LOG_FORMAT": "json"} | (env or {})
        self.name = " ".join(map(str, command[:2]))
        self.lines = []
        self._changed = threading.Condition()
        self._child = subprocess.Popen(
            command, env=environment, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._child.kill()
        self._child.wait()

    def _read(self):
        for line in self._child.stdout:
            with self._changed:
                self.lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._child.wait()
            self._changed.notify_all()

    def first(self, what, find):
        """Waits for the first line for which `find` returns something true, and returns that."""

        def found():
            return next((result for line in self.lines if (result := find(line))), None)

        with self._changed:
            self._changed.wait_for(lambda: found() or self._child.poll() is not None, DEADLINE)
            if result := found():
                return result
        raise AssertionError(f"{self.name} did not write {what}; it wrote\n{''.join(self.lines)}")

    def address(self):
        """Waits for the first loopback address that it writes, as host:port."""
        match = self.first("where it listens", lambda line: re.search(r"127\.0\.0\.1:[1-9]\d*", line))
        return match.group()

    def message(self, text):
        """Waits for the log line with this message, and returns its fields."""

        def fields(line):
            try:
                found = json.loads(line)
            except ValueError:
                return None
            return found if isinstance(found, dict) and found.get("message") == text else None

        return self.first(f"the message {text!r}", fields)

    def still_runs(self):
        """Fails if it has ended, with what it wrote; None otherwise. For what waits until it answers."""
        if (status := self._child.poll()) is not None:
            raise AssertionError(f"{self.name} ended with {status}; it wrote\n{''.join(self.lines)}")

    @property
    def pid(self):
        return self._child.pid

    def wait(self):
        """Waits for its end, and returns its exit status."""
        return self._child.wait(DEADLINE)

    def send(self, number):
        """Sends it a signal."""
        self._child.send_signal(number)

    def terminate(self):
        """Asks it to stop, and returns its exit status."""
        self.send(signal.SIGTERM)
        status = self._child.wait(DEADLINE)
        self._reader.join(DEADLINE)
        return status


class Server(Process):
    """`streamgauge serve`, listening."""

    def __init__(self, command, env=None):
        super().__init__(command, env)
        try:
            listening = self.message("listening")
        except BaseException:
            self.__exit__()
            raise
        self.proxy = listening["proxy"]
        self.base_url = f"http://{self.proxy}/v1"
        self.admin = listening["admin"]


class Proxy(Server):
    """`streamgauge serve` in front of an upstream that stands for OpenAI, on free ports."""

    def __init__(self, binary, upstream, env=None, admin="127.0.0.1:0"):
        listen = ["--listen", "127.0.0.1:0", "--admin", admin]
        provider = {"STREAMGAUGE_UPSTREAM_PROVIDER": "openai"}
        super().__init__([binary, "serve", *listen, "--upstream", upstream], provider | (env or {}))
