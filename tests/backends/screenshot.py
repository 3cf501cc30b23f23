"""Makes docs/phoenix.png anew: what Phoenix shows of calls that streamgauge measured.

    STREAMGAUGE_BIN=target/debug/streamgauge .venv/bin/python tests/backends/screenshot.py

Needs Chromium (Debian: apt-get install chromium) and what `scripts/test backends` installs. The MLflow that it installs has no pages.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
sys.path.append(str(Path(__file__).parents[1]))

from calls import KNOBS, MODEL, post
from processes import Process, Proxy, eventually, fetch
from recipes import RECIPES
from test_phoenix import Phoenix

WINDOW = "1900,640"
DOCS = Path(__file__).parents[2] / "docs"
CHROMIUM = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking"]


def calls(base_url):
    """A call that streams, one that does not, and one that fails: each is a trace of its own."""
    question = [{"role": "user", "content": "How deep is the river?"}]
    for model, stream in [(MODEL, True), (MODEL, False), ("sim-error-429", False)]:
        body = {"model": model, "stream": stream, "messages": question}
        # Not in a trace of the client's, so that what the store lists is ours.
        post(f"{base_url}/chat/completions", body, KNOBS | {"traceparent": ""})


def picture(url, path):
    """Draws a page of scripts, once they have had time for what they fetch."""
    with tempfile.TemporaryDirectory() as profile:
        own = [f"--user-data-dir={profile}", f"--window-size={WINDOW}", f"--screenshot={path}"]
        subprocess.run([*CHROMIUM, *own, "--virtual-time-budget=30000", url], check=True, capture_output=True)


def main():
    binary = os.environ["STREAMGAUGE_BIN"]
    simulate = [binary, "simulate", "--listen", "127.0.0.1:0"]
    with tempfile.TemporaryDirectory() as scratch, Process(simulate) as simulator, Phoenix(Path(scratch)) as phoenix:
        eventually("Phoenix to be healthy", lambda: fetch(f"{phoenix.url}/healthz") is not None)
        recipe, _ = RECIPES["Arize Phoenix"].serve()
        env = recipe | {"OTEL_EXPORTER_OTLP_ENDPOINT": phoenix.url, "OTEL_EXPORTER_OTLP_TIMEOUT": "60000"}
        with Proxy(binary, f"http://{simulator.address()}/v1", env) as proxy:
            calls(proxy.base_url)
            proxy.terminate()
        time.sleep(2)
        picture(f"{phoenix.url}/projects/UHJvamVjdDox/spans", DOCS / "phoenix.png")


if __name__ == "__main__":
    main()
