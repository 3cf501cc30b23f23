"""Azurite and fake-gcs-server as the store of prompts, set up as docs/content.md says: what is stored is read back, and a server
that goes away costs nobody but the store."""

import json
import re
import subprocess

import pytest

from calls import MODEL
from clouds import Azure, Google
from json_server import JsonServer
from processes import DEADLINE, eventually
from prompts import WARNING, Gauge, documented, question_of, read_back

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": MODEL,
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Très profond. \U0001f30a"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
}


class Cloud:
    """A cloud, and the configuration for it."""

    def __init__(self, server, folder):
        self.server = server
        self.example = documented(server.scheme)
        self._config = folder / "streamgauge.toml"
        self.configure(re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{server.asked}", self.example))
        self.store = re.search(r'url = "([^"]+)"', self.example).group(1)
        self.env = server.secrets | {"STREAMGAUGE_CONFIG": str(self._config)}

    def configure(self, text):
        self._config.write_text(text)

    def path(self, digest):
        """The name of an object in the bucket."""
        prefix = self.store.split("/", 3)[3]
        return f"{prefix}/{digest[:2]}/{digest}.json"


@pytest.fixture(params=[Azure, Google], ids=["azure", "google"])
def cloud(request, tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    server = request.param(kept)
    try:
        server.start()
        yield Cloud(server, tmp_path)
    finally:
        if server.process:
            server.process.__exit__()


def test_what_is_stored_is_read_back_and_never_written_twice(binary, simulator, cloud):
    with Gauge(binary, simulator, cloud.env) as gauge:
        span = gauge.ask("How deep is anna@example.com's river?")
        # Two messages, the answer, and the lists of prompt and answer.
        gauge.stored(5)
        first = cloud.server.objects()
        assert len(first) == 5
        hashes = span["streamgauge.prompt.hash"], span["streamgauge.answer.hash"]
        assert {cloud.path(digest) for digest in hashes} <= first.keys()
        prompt = read_back(binary, cloud.env, hashes[0])
        assert question_of(prompt) == "How deep is [EMAIL]'s river?"
        # The first digits do, which lists the bucket.
        assert read_back(binary, cloud.env, hashes[0][:8]) == prompt
        answer = read_back(binary, cloud.env, hashes[1])
        assert answer["prompt"] == prompt
        assert answer["messages"][0]["finish_reason"] == "stop"
        assert gauge.errors() == 0
    # Another process knows of nothing, and finds what is there.
    with Gauge(binary, simulator, cloud.env) as gauge:
        gauge.ask("How deep is anna@example.com's river?")
        eventually("what is known", lambda: gauge.objects("known") >= 3)
        assert gauge.proxy.terminate() == 0
    second = cloud.server.objects()
    assert {name: second[name] for name in first} == first


def test_a_server_that_goes_away_changes_no_byte_and_has_all_when_it_is_back(binary, cloud):
    expected = json.dumps(ANSWER)
    with JsonServer(lambda *_: (200, ANSWER, {})) as upstream:
        with Gauge(binary, f"http://{upstream.address}/v1", cloud.env) as gauge:
            assert gauge.call("Is anybody there?")[1] == expected
            gauge.stored(5)
            cloud.server.stop()
            span, answer = gauge.call("And now?")
            assert answer == expected
            warned = gauge.proxy.message(WARNING)
            assert warned["store"] == cloud.store
            assert gauge.errors() > 0
            assert gauge.call("And now?")[1] == expected
            cloud.server.start()
            # The question, and the lists of prompt and answer.
            gauge.stored(8)
            assert gauge.objects("failed") == gauge.objects("dropped") == 0
            assert question_of(read_back(binary, cloud.env, span["streamgauge.prompt.hash"])) == "And now?"
            secrets = cloud.server.secrets.values()
            assert not any(secret in line for line in gauge.proxy.lines for secret in secrets)


def test_what_is_said_again_is_written_again_before_a_lifecycle_rule_takes_it(binary, simulator, cloud):
    # An eighth of it is a second.
    with Gauge(binary, simulator, cloud.env | {"STREAMGAUGE_STORE_KEEP": "8s"}) as gauge:
        name = cloud.path(gauge.ask("How old is the river?")["streamgauge.prompt.hash"])
        gauge.stored(5)
        first = cloud.server.objects()[name]

        def is_new():
            gauge.ask("How old is the river?")
            return cloud.server.objects()[name] != first

        eventually("the prompt to be written again", is_new)
        assert gauge.errors() == 0


def test_a_bucket_that_is_not_there_is_named(binary, simulator, cloud):
    cloud.server.remove()
    with Gauge(binary, simulator, cloud.env) as gauge:
        gauge.ask("Is there a bucket?")
        assert cloud.server.gone in gauge.proxy.message(WARNING)["error"]


@pytest.mark.parametrize("cloud", [Azure], indirect=True)
def test_a_wrong_key_is_named_and_not_shown(binary, simulator, cloud):
    wrong = "d3Jvbmc="
    with Gauge(binary, simulator, cloud.env | {"AZURE_STORAGE_ACCOUNT_KEY": wrong}) as gauge:
        gauge.ask("Do you know me?")
        assert "AuthorizationFailure" in gauge.proxy.message(WARNING)["error"]
        assert not any(wrong in line for line in gauge.proxy.lines)


@pytest.mark.parametrize("cloud", [Azure], indirect=True)
def test_azurite_needs_no_key_as_the_emulator_that_it_is(binary, simulator, cloud):
    cloud.configure(f'[store]\nurl = "{cloud.store}"\noptions = {{ use_emulator = true }}\n')
    env = {name: value for name, value in cloud.env.items() if name not in cloud.server.secrets}
    env["AZURITE_BLOB_STORAGE_URL"] = cloud.server.url
    with Gauge(binary, simulator, env) as gauge:
        digest = gauge.ask("Who are you?")["streamgauge.prompt.hash"]
        gauge.stored(5)
        assert question_of(read_back(binary, env, digest)) == "Who are you?"


@pytest.mark.parametrize("cloud", [Google], indirect=True)
def test_a_service_accounts_file_may_say_where_and_without_a_token(binary, simulator, cloud, tmp_path):
    account = {"private_key": "", "private_key_id": "", "client_email": "", "disable_oauth": True}
    file = tmp_path / "account.json"
    file.write_text(json.dumps(account | {"gcs_base_url": f"http://127.0.0.1:{cloud.server.asked}"}))
    options = f'url = "{cloud.store}"\noptions = {{ service_account = "{file}" }}\n'
    # A file may lead to plain HTTP only by leave.
    cloud.configure(f"[store]\n{options}")
    command = [binary, "prompt", 64 * "0"]
    env = {"PATH": "", "STREAMGAUGE_CONFIG": cloud.env["STREAMGAUGE_CONFIG"]}
    done = subprocess.run(command, env=env, timeout=DEADLINE, capture_output=True, text=True)
    assert done.returncode == 1
    assert "expected https, or the http URL in store.endpoint" in done.stderr
    with Gauge(binary, simulator, cloud.env | {"GOOGLE_ALLOW_HTTP": "true"}) as gauge:
        gauge.ask("Who are you?")
        gauge.stored(5)
