"""The compositions of docker/, as the loader of `docker compose` reads them. scripts/helm builds it."""

import functools
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FOLDER = ROOT / "docker"

FILES = sorted(FOLDER.glob("compose*.yaml"))

LOADER = ROOT / ".stack" / "bin" / "compose-spec"


def load(text):
    """What the loader makes of the text of a file in that folder; its status, and what it complains of."""
    loader = shutil.which("compose-spec") or (str(LOADER) if LOADER.exists() else None)
    if not loader:
        pytest.skip("there is no compose-spec here: scripts/helm builds it")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "compose.yaml"
        file.write_text(text)
        return subprocess.run([loader, "-format=json", file], cwd=FOLDER, capture_output=True, text=True)


@functools.cache
def services(file, **variables):
    """The services of a file by their names, with every path and every variable resolved."""
    text = file.read_text()
    for name, value in variables.items():
        # The command of the loader's module itself knows defaults, and no variables.
        text, found = re.subn(rf"\$\{{{name}:-[^}}]*\}}", value, text)
        assert found, f"{file} does not ask for {name}"
    done = load(text)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["services"]


def mounts(service):
    """Files and folders of this machine, by where a service has them."""
    return {mount["target"]: Path(mount["source"]) for mount in service.get("volumes", []) if mount["type"] == "bind"}


def environment(service):
    """What it gives a program; an empty variable is one that is not set."""
    return {name: value for name, value in service.get("environment", {}).items() if value}


def gauges(found):
    """The services that are streamgauge."""
    return {name: service for name, service in found.items() if service["image"].startswith("streamgauge:")}
