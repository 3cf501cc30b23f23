"""Schemathesis sends generated requests to the admin API of a running proxy, and holds every answer against the document that it serves."""

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from calls import chat, run_agent
from processes import Proxy, eventually, fetch

EXAMPLES = 25
"""Generated requests for each operation, the same each time."""
# What a document can say of a query is only that it is a text: most that is generated is no query, and is refused with 400.
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance,unsupported_method"
DEADLINE = 300


@pytest.fixture(scope="module")
def admin(binary, simulator):
    with Proxy(binary, simulator, {}) as proxy:
        chat(proxy.base_url)
        run_agent(proxy.base_url)
        eventually("the calls to be measured", lambda: exchanges(proxy.admin)["total"] >= 3)
        yield f"http://{proxy.admin}"


def exchanges(admin):
    return json.loads(fetch(f"http://{admin}/api/exchanges"))


def test_every_generated_request_is_answered_as_the_document_says(admin, tmp_path):
    command = [
        *[Path(sys.executable).parent / "schemathesis", "run", f"{admin}/api/openapi.json"],
        *["--checks", CHECKS, "--max-examples", str(EXAMPLES), "--generation-deterministic"],
        *["--phases", "examples,coverage,fuzzing"],
        # It does not end by itself.
        *["--exclude-path", "/api/stream", "--no-color"],
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.search(r"Selected: (\d+)/", done.stdout).group(1)) >= 8, done.stdout
    assert int(re.search(r"(\d+) generated", done.stdout).group(1)) > 200, done.stdout


def test_the_document_is_the_committed_one(admin):
    committed = Path(__file__).parents[2] / "docs/openapi.json"
    with urllib.request.urlopen(f"{admin}/api/openapi.json") as served:
        assert json.load(served) == json.loads(committed.read_text())
