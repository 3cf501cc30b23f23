"""Makes docs/phoenix.png and docs/mlflow.png anew: what these stores show of calls that streamgauge measured.

    STREAMGAUGE_BIN=target/debug/streamgauge MLFLOW=mlflow/bin/mlflow .venv/bin/python tests/backends/screenshot.py

Needs Chromium (Debian: apt-get install chromium), and Playwright for Python and what `scripts/test backends` installs. The MLflow that
it installs has no pages: MLFLOW names one that has (`pip install mlflow` in an environment of its own). Without it only Phoenix is
drawn.
"""

import os
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import sync_playwright

os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
sys.path.append(str(Path(__file__).parents[1]))

from calls import KNOBS, MODEL, post
from processes import Process, Proxy, eventually, fetch
from recipes import RECIPES
from test_mlflow import MLflow
from test_phoenix import Phoenix

DOCS = Path(__file__).parents[2] / "docs"


def calls(base_url):
    """A call that streams, one that does not, and one that fails: each is a trace of its own."""
    question = [{"role": "user", "content": "How deep is the river?"}]
    for model, stream in [(MODEL, True), (MODEL, False), ("sim-error-429", False)]:
        body = {"model": model, "stream": stream, "messages": question}
        # Not in a trace of the client's, so that what the store lists is ours.
        post(f"{base_url}/chat/completions", body, KNOBS | {"traceparent": ""})


@contextmanager
def page(url, width, height):
    """A page in Debian's Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(120_000)
        page.goto(url)
        yield page
        browser.close()


def phoenix(binary, upstream):
    with tempfile.TemporaryDirectory() as scratch, Phoenix(Path(scratch)) as store:
        eventually("Phoenix to be healthy", lambda: fetch(f"{store.url}/healthz") is not None)
        measured(binary, upstream, "Arize Phoenix", store.url)
        with page(f"{store.url}/projects/UHJvamVjdDox/spans", 1900, 640) as spans:
            spans.get_by_text("chat sim-error-429").first.wait_for()
            spans.screenshot(path=DOCS / "phoenix.png")


def mlflow(binary, upstream, command):
    with tempfile.TemporaryDirectory() as scratch, MLflow(Path(scratch), command) as store:
        eventually("MLflow to be healthy", lambda: fetch(f"{store.url}/health") is not None)
        measured(binary, upstream, "MLflow", store.url)
        with page(f"{store.url}/#/experiments/0/traces", 1900, 560) as traces:
            traces.get_by_text("Got it").click()
            traces.wait_for_timeout(2000)
            traces.screenshot(path=DOCS / "mlflow.png")


def measured(binary, upstream, recipe, store):
    """Has some calls measured and told to a store, by its recipe."""
    env, _ = RECIPES[recipe].serve()
    env |= {"OTEL_EXPORTER_OTLP_ENDPOINT": store, "OTEL_EXPORTER_OTLP_TIMEOUT": "60000", "STREAMGAUGE_CONTENT": "attributes"}
    with Proxy(binary, upstream, env) as proxy:
        calls(proxy.base_url)
        proxy.terminate()
    time.sleep(2)


def main():
    binary = os.environ["STREAMGAUGE_BIN"]
    with Process([binary, "simulate", "--listen", "127.0.0.1:0"]) as simulator:
        upstream = f"http://{simulator.address()}/v1"
        phoenix(binary, upstream)
        if command := os.environ.get("MLFLOW"):
            mlflow(binary, upstream, command)


if __name__ == "__main__":
    main()
