"""moto's S3 as the store of prompts: what is stored is read back; a server that is gone, or slow, costs nobody but the store."""

import re
import sys
import urllib.error
import urllib.request

import pytest

from delay import Delay
from processes import DEADLINE, Process, eventually, fetch, free_port
from prompts import WARNING, Gauge, documented, question_of, read_back

BUCKET = "prompts"
STORE = f"s3://{BUCKET}/of/tests"


def cloud(port):
    """Where prompts are stored, and what the cloud's variables say of a server on this port."""
    return {
        "STREAMGAUGE_STORE_URL": STORE,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "an-id",
        "AWS_SECRET_ACCESS_KEY": "a-secret-key",
    }


class S3(Process):
    """An S3 server of this port with one empty bucket; what it keeps is lost with it."""

    def __init__(self, port):
        self.port = port
        self._url = f"http://127.0.0.1:{port}/{BUCKET}"
        super().__init__([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)])
        eventually("the bucket", self._make)

    def _make(self):
        try:
            urllib.request.urlopen(urllib.request.Request(self._url, method="PUT"), timeout=DEADLINE).close()
        except urllib.error.HTTPError:
            raise
        except OSError:
            return False
        return True

    def keys(self):
        """The names of all objects."""
        return re.findall("<Key>([^<]+)</Key>", fetch(f"{self._url}?list-type=2") or "")


@pytest.fixture
def s3():
    with S3(free_port()) as s3:
        yield s3


def test_what_is_stored_is_read_back_and_never_written_twice(binary, simulator, s3):
    with Gauge(binary, simulator, cloud(s3.port)) as gauge:
        span = gauge.ask("How deep is anna@example.com's river?")
        # Two messages, the answer, and the lists of prompt and answer.
        gauge.stored(5)
        assert len(keys := s3.keys()) == 5
        assert all(re.fullmatch(r"of/tests/([0-9a-f]{2})/\1[0-9a-f]{62}\.json", key) for key in keys)
        prompt = read_back(binary, cloud(s3.port), span["streamgauge.prompt.hash"])
        assert question_of(prompt) == "How deep is [EMAIL]'s river?"
        answer = read_back(binary, cloud(s3.port), span["streamgauge.answer.hash"])
        assert answer["prompt"] == prompt
        assert answer["messages"][0]["finish_reason"] == "stop"
        gauge.ask("How wide is the river?")
        gauge.stored(9)
    with Gauge(binary, simulator, cloud(s3.port) | {"STREAMGAUGE_STORE_KEEP": "720h"}) as gauge:
        gauge.ask("How deep is anna@example.com's river?")
        # Another answer, perhaps; the prompt is there already.
        eventually("what is known", lambda: gauge.objects("known") >= 3)
        assert gauge.proxy.terminate() == 0
    assert len(s3.keys()) <= 11


def test_a_server_that_is_gone_costs_no_call_and_gets_what_waited_when_it_is_back(binary, simulator):
    port = free_port()
    with Gauge(binary, simulator, cloud(port)) as gauge:
        span = gauge.ask("Is anybody there?")
        warned = gauge.proxy.message(WARNING)
        assert warned["store"] == STORE
        assert gauge.errors() > 0 and gauge.objects("stored") == 0
        with S3(port):
            gauge.stored(5)
            prompt = read_back(binary, cloud(port), span["streamgauge.prompt.hash"])
            assert question_of(prompt) == "Is anybody there?"
        assert not any("a-secret-key" in line for line in gauge.proxy.lines)


def test_a_server_that_is_slow_costs_no_call(binary, simulator, s3):
    delay = Delay(s3.port)
    delay.seconds = 2.0
    with Gauge(binary, simulator, cloud(delay.port) | {"STREAMGAUGE_STORE_TIMEOUT": "500ms"}) as gauge:
        span = gauge.ask("How slow is the river?")
        eventually("what is late to be counted", lambda: gauge.errors() > 0)
        assert gauge.objects("stored") == 0
        gauge.ask("How slow is it now?")
        delay.seconds = 0.0
        # What was too late is there all the same, or is written again; what both say waits once.
        eventually("all to be there", lambda: gauge.objects("stored") + gauge.objects("known") >= 9)
        assert gauge.objects("failed") == gauge.objects("dropped") == 0
        prompt = read_back(binary, cloud(s3.port), span["streamgauge.prompt.hash"])
        assert question_of(prompt) == "How slow is the river?"


def test_a_bucket_that_is_not_there_is_named(binary, simulator, s3):
    with Gauge(binary, simulator, cloud(s3.port)) as gauge:
        urllib.request.urlopen(
            urllib.request.Request(f"http://127.0.0.1:{s3.port}/{BUCKET}", method="DELETE"), timeout=DEADLINE
        ).close()
        gauge.ask("Is there a bucket?")
        warned = gauge.proxy.message(WARNING)
        assert "NoSuchBucket" in warned["error"]


def test_the_documented_example_does_without_the_clouds_variables(binary, simulator, s3, tmp_path):
    config = tmp_path / "streamgauge.toml"
    config.write_text(documented("s3").replace("127.0.0.1:9000", f"127.0.0.1:{s3.port}"))
    env = {"STREAMGAUGE_CONFIG": str(config), "AWS_SECRET_ACCESS_KEY": "a-secret-key"}
    with Gauge(binary, simulator, env) as gauge:
        digest = gauge.ask("Who are you?")["streamgauge.prompt.hash"]
        gauge.stored(5)
        assert question_of(read_back(binary, env, digest)) == "Who are you?"
