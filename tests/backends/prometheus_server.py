"""Debian's Prometheus, configured as docs/recipes.md says."""

import contextlib
import json
import urllib.parse

from processes import Process, eventually, fetch, free_port
from recipes import ADMIN, RECIPES

GLOBAL = """
global:
  scrape_interval: 1s
  scrape_timeout: 1s
  evaluation_interval: 1s
rule_files: [alerts.yml]
"""

QUERIES = RECIPES["Grafana"].block("promql").strip().split("\n\n")

ALERTS = RECIPES["Alerts"].block("yaml")


@contextlib.contextmanager
def prometheus(proxy, folder, features):
    """A Prometheus that scrapes a proxy; how it is asked."""
    config = folder / "prometheus.yml"
    config.write_text(GLOBAL + RECIPES["Prometheus"].block("yaml").replace(ADMIN, proxy.admin))
    (folder / "alerts.yml").write_text(ALERTS)
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
        eventually("Prometheus to scrape streamgauge", lambda: value(ask, 'up{job="streamgauge"} == 1'))
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
