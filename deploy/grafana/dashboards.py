"""Makes the dashboards of this folder from panels.py: python3 deploy/grafana/dashboards.py

Needs nothing but Python. Grafana 10.4 and newer reads them; the data source is a variable of the dashboard.
"""

import json
from pathlib import Path

from panels import Classic, Native, rows

FOLDER = Path(__file__).parent
GRID, HEIGHT = 24, 8
SMALL = 4
DATA_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
GREEN, YELLOW, RED = "green", "yellow", "red"


def thresholds(values):
    """Green, then yellow, then red; with one value green, then red."""
    colours = [YELLOW, RED] if len(values) > 1 else [RED]
    steps = [{"color": colour, "value": value} for colour, value in zip(colours, values)]
    return {"mode": "absolute", "steps": [{"color": GREEN, "value": None}, *steps]}


def target(query, index, panel):
    instant = panel.kind in ("stat", "bargauge")
    return {
        "refId": chr(ord("A") + index),
        "datasource": DATA_SOURCE,
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "format": "heatmap" if panel.kind == "heatmap" else "time_series",
        "instant": instant,
        "range": not instant,
        "exemplar": panel.exemplars,
    }


def options(panel):
    """What Grafana lets one choose of a panel's kind."""
    reduce = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    return {
        "timeseries": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "stat": {
            "reduceOptions": reduce,
            "orientation": "auto",
            "colorMode": "value",
            "graphMode": "none",
            "justifyMode": "auto",
            "textMode": "name" if panel.title == "Version" else "auto",
        },
        "bargauge": {"reduceOptions": reduce, "orientation": "horizontal", "displayMode": "gradient", "valueMode": "color"},
        "heatmap": {
            "calculate": False,
            "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5, "fill": "dark-orange", "reverse": False},
            "yAxis": {"unit": panel.unit, "axisPlacement": "left", "reverse": False},
            "cellGap": 1,
            "showValue": "never",
            "legend": {"show": True},
            "tooltip": {"mode": "single", "yHistogram": False},
            "exemplars": {"color": "rgba(255,0,255,0.7)"},
        },
    }[panel.kind]


def field_config(panel):
    defaults = {"unit": panel.unit, "thresholds": thresholds(panel.thresholds)}
    if panel.kind == "timeseries":
        defaults |= {"min": 0, "color": {"mode": "palette-classic"}}
        defaults["custom"] = {
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": 20 if panel.stacked else 0,
            "showPoints": "auto",
            "spanNulls": False,
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "line" if panel.thresholds else "off"},
        }
    elif panel.kind != "heatmap":
        defaults["color"] = {"mode": "thresholds"}
    return {"defaults": defaults, "overrides": []}


def panel_json(panel, number, place):
    description = " ".join(filter(None, [panel.description, panel.needs]))
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": description,
        "datasource": DATA_SOURCE,
        "gridPos": place,
        "targets": [target(query, index, panel) for index, query in enumerate(panel.queries)],
        "options": options(panel),
        "fieldConfig": field_config(panel),
    }


def row_json(title, number, top):
    return {
        "id": number,
        "type": "row",
        "title": title,
        "collapsed": False,
        "gridPos": {"h": 1, "w": GRID, "x": 0, "y": top},
        "panels": [],
    }


def laid_out(histograms):
    """All panels one after the other, from left to right and from top to bottom."""
    made, number, top = [], 1, 0
    for title, panels in rows(histograms):
        made.append(row_json(title, number, top))
        number, top, left, tallest = number + 1, top + 1, 0, 0
        for panel in panels:
            if left + panel.width > GRID:
                top, left, tallest = top + tallest, 0, 0
            height = SMALL if all(panel.kind == "stat" for panel in panels) else HEIGHT
            place = {"h": height, "w": panel.width, "x": left, "y": top}
            made.append(panel_json(panel, number, place))
            number, left, tallest = number + 1, left + panel.width, max(tallest, height)
        top += tallest
    return made


def variable(name, label, series):
    query = f"label_values({series}, {name})"
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATA_SOURCE,
        "query": {"query": query, "refId": name},
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "refresh": 2,
        "sort": 1,
        "current": {"text": "All", "value": "$__all"},
    }


def dashboard(histograms):
    return {
        "uid": histograms.uid,
        "title": histograms.title,
        "description": "What streamgauge measures of calls to models. Made from deploy/grafana/panels.py.",
        "tags": ["streamgauge", "llm"],
        "timezone": "browser",
        "editable": True,
        "graphTooltip": 1,
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1},
                variable("upstream", "Upstream", "streamgauge_upstream_failures_total"),
                variable("model", "Model", "llm_requests_total"),
                variable("instance", "Instance", "streamgauge_build_info"),
            ]
        },
        "annotations": {"list": []},
        "panels": laid_out(histograms),
    }


def text(histograms):
    """A dashboard as its file has it."""
    return json.dumps(dashboard(histograms), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for each in (Classic, Native):
        (FOLDER / each.file).write_text(text(each))
