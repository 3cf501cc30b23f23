"""The recipes of docs/recipes.md do what they say: each client's call reaches the upstream, and is measured."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from processes import DEADLINE, Server, eventually, fetch
from recipes import ADMIN, PROXY, RECIPES

CLIENTS = {
    "OPENAI_API_KEY": "sk-test",
    "AZURE_OPENAI_API_KEY": "test",
    # Its table of prices comes from the network otherwise.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}
"""What a recipe takes for granted of its client's environment."""

OURS = [title for title, recipe in RECIPES.items() if recipe.runs == ["clients"]]


@pytest.fixture
def serve(binary, simulator):
    """Starts streamgauge as a recipe does, with the simulated upstream in place of the host that it names."""
    origin = simulator.removesuffix("/v1")

    def serve(recipe):
        variables, arguments = recipe.serve()
        arguments = [re.sub(r"^https?://[^/]+", origin, argument) for argument in arguments]
        anywhere = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
        return Server([binary, *arguments, *anywhere], variables)

    return serve


@pytest.mark.parametrize("title", OURS)
def test_recipe(title, serve):
    with serve(RECIPES[title]) as server:
        script = RECIPES[title].client().replace(PROXY, server.proxy).replace(ADMIN, server.admin)
        shown = run(script)
        call = eventually("the call to be measured", lambda: only_call(server.admin))
    assert shown.strip()
    assert (call["status"], call["end"]) == (200, "done")
    assert re.search(rf'"(openai/)?{re.escape(call["model"])}"', script)
    assert call["input_tokens"] > 0 and call["output_tokens"] > 0
    assert call["streamed"] == ("stream" in script)


def run(script):
    """What the script of a client writes; it must not fail."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    bash = ["bash", "-euc", script]
    # Packages for Node are found from here.
    folder = Path(__file__).parent
    environment = os.environ | CLIENTS | {"PATH": path}
    done = subprocess.run(bash, cwd=folder, env=environment, capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    return done.stdout


def only_call(admin):
    """The only call that there was; None until it is over and measured."""
    recent = json.loads(fetch(f"http://{admin}/api/exchanges"))["exchanges"]
    if not recent:
        return None
    (call,) = recent
    return call


def test_every_recipe_says_which_tests_run_it():
    assert {title for title, recipe in RECIPES.items() if len(recipe.runs) != 1} == set()
    elsewhere = {title: recipe.runs[0] for title, recipe in RECIPES.items() if title not in OURS}
    assert elsewhere == {
        "Arize Phoenix": "backends",
        "MLflow": "backends",
        "Prometheus": "backends",
        "Grafana": "backends",
        "Alerts": "backends",
        "Docker sidecar": "backends",
        "Kubernetes": "",
    }
