"""A proxy that stores prompts in a bucket, and what is read back from there."""

import json
import os
import re
import subprocess
from pathlib import Path

from calls import KNOBS, MODEL, post
from collector import Collector
from processes import DEADLINE, Proxy, eventually, fetch

WARNING = "prompts could not be stored; what waits is tried again for a minute"

DOCUMENT = Path(__file__).parents[2] / "docs" / "content.md"


def documented(scheme):
    """The example of docs/content.md for a server of one's own whose buckets have URLs of this scheme."""
    blocks = re.findall(r"^```toml\n(\[store\]\n.*?)^```$", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    (found,) = [block for block in blocks if f'url = "{scheme}://' in block and "endpoint = " in block]
    return found


class Gauge:
    """A proxy that stores prompts, and a collector behind it. `env` says where, and by which key."""

    def __init__(self, binary, upstream, env):
        self.collector = Collector()
        env = env | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.endpoint,
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "STREAMGAUGE_CONTENT": "store",
        }
        self.proxy = Proxy(binary, upstream, env)

    def __enter__(self):
        self.collector.__enter__()
        return self

    def __exit__(self, *_):
        self.proxy.__exit__()
        self.collector.__exit__()

    def call(self, question):
        """One call; the attributes of its span, and the answer as the client has it."""
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": question}]
        body = {"model": MODEL, "messages": messages}
        trace_id, answer = post(f"{self.proxy.base_url}/chat/completions", body, KNOBS)
        return self.collector.inference(trace_id), answer

    def ask(self, question):
        """One call, whose answer must come whole; the attributes of its span."""
        span, answer = self.call(question)
        assert json.loads(answer)["choices"][0]["finish_reason"]
        return span

    def objects(self, result):
        return self._metric(rf'streamgauge_store_objects_total\{{result="{result}"\}}')

    def errors(self):
        return self._metric("streamgauge_store_errors_total")

    def _metric(self, name):
        text = fetch(f"http://{self.proxy.admin}/metrics") or ""
        return sum(map(float, re.findall(rf"^{name} (\S+)", text, re.MULTILINE)))

    def stored(self, count):
        """Waits until so many objects are stored."""
        eventually(f"{count} stored objects", lambda: self.objects("stored") >= count)


def read_back(binary, env, digest):
    """What `streamgauge prompt` prints."""
    command = [binary, "prompt", "--json", digest]
    done = subprocess.run(command, env=os.environ | env, timeout=DEADLINE, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def question_of(prompt):
    """What the user asks in it."""
    return prompt["messages"][-1]["parts"][0]["content"]
