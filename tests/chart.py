"""The chart of deploy/helm, rendered by Helm, which scripts/helm builds; and the values that there are for it."""

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]

CHART = ROOT / "deploy" / "helm" / "streamgauge"

SETS = sorted((CHART / "ci").glob("*-values.yaml"))

PAGE = (ROOT / "docs" / "kubernetes.md").read_text()

RECIPES = dict(re.findall(r"(?ms)^## ([^\n]+)\n(?:(?!^## ).)*?^```yaml\n(.*?)^```$", PAGE))
"""The values on the page, by the title of their section."""

STACK = ROOT / ".stack"

RELEASE, NAMESPACE = "edge", "llm"

OLDEST = "1.30.0"
"""Of Kubernetes, the oldest version that the chart is for."""


def program(name):
    """Where a program is that scripts/helm builds."""
    path = os.pathsep.join([str(STACK / "bin"), os.environ["PATH"]])
    return shutil.which(name, path=path) or pytest.skip(f"there is no {name} here: scripts/helm builds it")


def helm(*arguments):
    """What Helm writes; its status, and what it complains of."""
    return subprocess.run([program("helm"), *arguments], capture_output=True, text=True)


def template(*arguments, version=OLDEST):
    return helm("template", RELEASE, CHART, "--namespace", NAMESPACE, "--kube-version", version, *arguments)


@functools.cache
def rendered(*arguments):
    """The documents that the chart makes."""
    done = template(*arguments)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def refusal(*arguments):
    """Why Helm makes nothing."""
    done = template(*arguments)
    assert done.returncode != 0
    return done.stderr


def definitions():
    """The definitions of the kinds that are not Kubernetes's own, which scripts/helm takes from their projects."""
    files = sorted((STACK / "crds").glob("*.yaml")) or pytest.skip("there are no definitions here: scripts/helm takes them")
    return [yaml.safe_load(file.read_text()) for file in files]
