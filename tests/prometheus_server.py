"""Debian's Prometheus, configured as docs/recipes.md says, with the rules of deploy/prometheus."""

import contextlib
import json
import re
import urllib.parse
from pathlib import Path

import yaml

from processes import Process, eventually, fetch, free_port
from recipes import ADMIN, RECIPES

DEPLOY = Path(__file__).parents[1] / "deploy"

GLOBAL = """
global:
  scrape_interval: 1s
  scrape_timeout: 1s
  evaluation_interval: 1s
"""

ALERTMANAGER = "127.0.0.1:9093"
"""Where the recipe has Alertmanager listen."""

QUERIES = RECIPES["Grafana"].block("promql").strip().split("\n\n")

RULE_FILES = [DEPLOY / "prometheus" / name for name in yaml.safe_load(RECIPES["Alerts"].block("yaml"))["rule_files"]]

RULES = [rule for file in RULE_FILES for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]

ALERTS = [rule for rule in RULES if "alert" in rule]

_METRIC_ROW = re.compile(r"^\| `[a-z_.0-9]+` \| `(\w+)` \| (\w+)", re.MULTILINE)


def documented_series():
    """The names of all series that docs/telemetry.md tells of, and those of native histograms."""
    rows = _METRIC_ROW.findall((DEPLOY.parent / "docs" / "telemetry.md").read_text())
    parts = ["", "_bucket", "_sum", "_count"]
    return {name + part for name, kind in rows for part in (parts if kind == "histogram" else [""])}


def series_of(query):
    """The names of the series that a query asks for, rules' own among them."""
    query = re.sub(r'"[^"]*"|\[[^\]]*\]', "", query)
    query = re.sub(r"\b(by|on|without|ignoring|group_left|group_right) *\([^)]*\)|\{[^}]*\}", "", query)
    words = set(re.findall(r"[a-z_][\w:]*(?![\w:]* *\()", query))
    return {word for word in words if "_" in word or ":" in word or word == "up"}


@contextlib.contextmanager
def prometheus(admins, folder, features, alertmanager=ALERTMANAGER, held_for=None):
    """A Prometheus that scrapes proxies by the addresses of their admin ports; how it is asked.

    `held_for` takes the place of the time for which alerts wait before they fire.
    """
    config = folder / "prometheus.yml"
    targets = RECIPES["Prometheus"].block("yaml").replace(f'"{ADMIN}"', ", ".join(f'"{admin}"' for admin in admins))
    config.write_text(GLOBAL + targets + RECIPES["Alerts"].block("yaml").replace(ALERTMANAGER, alertmanager))
    for file in RULE_FILES:
        text = file.read_text()
        (folder / file.name).write_text(re.sub(r"(?m)^( +for:) .*", rf"\1 {held_for}", text) if held_for else text)
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        f"--enable-feature={features}",
    ]

    def ask(path, **parameters):
        answer = fetch(f"{url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        return answer and json.loads(answer)["data"]

    with Process(command):
        up = 'sum(up{job="streamgauge"})'
        eventually("Prometheus to scrape streamgauge", lambda: value(ask, up) == len(admins))
        yield ask


def value(ask, query):
    """The value of the only series that a query gives; None where it gives none."""
    data = ask("query", query=query)
    if not data or not data["result"]:
        return None
    (series,) = data["result"]
    return float(series["value"][1])


def values(ask, query):
    """The values of all series that a query gives."""
    data = ask("query", query=query)
    return [float(series["value"][1]) for series in data["result"]] if data else []
