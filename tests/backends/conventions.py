"""Compares exported telemetry with the facts of OpenTelemetry's conventions that stand in tests/conventions.

Only names in a namespace of OpenTelemetry's registry are looked at: what is not in it is nobody's but ours.
"""

import json
from pathlib import Path

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from collector import attributes

FACTS = Path(__file__).parents[1] / "conventions"

DOCUMENT = {} | json.loads((FACTS / "genai.json").read_text()) | json.loads((FACTS / "opentelemetry.json").read_text())

RESERVED = set(DOCUMENT["reserved"])

TEMPLATES = {
    "http.request.header.": "string[]",
    "http.response.header.": "string[]",
    "gen_ai.prompt.variable.": "string",
}
"""Attributes whose names go on with a word of the user's."""

REQUIRED = {
    "HTTP SERVER span": ["http.request.method", "url.path", "url.scheme"],
    "HTTP CLIENT span": ["http.request.method", "server.address", "server.port", "url.full"],
    "GenAI CLIENT span": ["gen_ai.operation.name", "gen_ai.provider.name"],
    "GenAI CLIENT span of 2024": ["gen_ai.operation.name", "gen_ai.system"],
    "GenAI INTERNAL span": ["gen_ai.operation.name", "gen_ai.tool.name"],
}
"""What the conventions require of spans. What a GenAI one is about, a model as a rule, they require if it is known."""


class Registry:
    """The core conventions and some generations of the GenAI ones, the last of which has the word."""

    def __init__(self, *generations):
        self.attributes, self.metrics = {}, {}
        for generation in ("core", *generations):
            self.attributes |= DOCUMENT[generation]["attributes"]
            self.metrics |= DOCUMENT[generation]["metrics"]
        self._client = "GenAI CLIENT span of 2024" if generations == ("gen_ai_2024",) else "GenAI CLIENT span"

    def faults_of_span(self, span, found):
        """What is wrong with a span that has these attributes, its events and its links."""
        faults = self.faults_of_attributes(found)
        for other in [*span.events, *span.links]:
            faults |= self.faults_of_attributes(attributes(other))
        if kind := self._kind(span, found):
            faults |= {f"{kind}: no {name}" for name in REQUIRED[kind] if name not in found}
        if kind == self._client:
            operation = found["gen_ai.operation.name"]
            about = "gen_ai.data_source.id" if operation == "retrieval" else "gen_ai.request.model"
            faults |= {f"{kind}: no {about}"} if about not in found else set()
            faults |= {f"{kind}: its name is {span.name}"} if span.name != f"{operation} {found.get(about)}" else set()
        if "server.port" not in found and "server.address" in found and span.kind == Span.SPAN_KIND_CLIENT:
            faults |= {f"{kind}: server.address and no server.port"}
        # An answer of status 4xx is an error to its client, who gets its type, and none of the server.
        if (span.status.code == Status.STATUS_CODE_ERROR) != ("error.type" in found):
            faults |= {f"{kind}: status and error.type differ"}
        return faults

    def _kind(self, span, found):
        if span.kind == Span.SPAN_KIND_SERVER:
            return "HTTP SERVER span"
        if span.kind == Span.SPAN_KIND_CLIENT and "gen_ai.operation.name" in found:
            return self._client
        if span.kind == Span.SPAN_KIND_CLIENT and "http.request.method" in found:
            return "HTTP CLIENT span"
        return "GenAI INTERNAL span" if "gen_ai.operation.name" in found else None

    def faults_of_attributes(self, found):
        """What is wrong with attributes by themselves: the name, the type, the value."""
        faults = set()
        for name, value in found.items():
            known = self.attributes.get(name) or next(
                ({"type": kind} for prefix, kind in TEMPLATES.items() if name.startswith(prefix)), None
            )
            if known is None:
                faults |= {f"attribute {name}: unknown"} if _reserved(name) else set()
            elif known["type"] not in ("any", _type(value)):
                faults |= {f"attribute {name}: {_type(value)}, not {known['type']}"}
            elif value not in known.get("members", [value]):
                faults |= {f"attribute {name}: no member {value}"}
        return faults

    def faults_of_metric(self, metric):
        """What is wrong with a metric and its points."""
        known, kind = self.metrics.get(metric.name), metric.WhichOneof("data")
        points = [attributes(point) for point in getattr(metric, kind).data_points]
        faults = set().union(*map(self.faults_of_attributes, points))
        if known is None:
            return faults | ({f"metric {metric.name}: unknown"} if _reserved(metric.name) else set())
        if _instrument(metric) != known["instrument"]:
            faults |= {f"metric {metric.name}: {_instrument(metric)}, not {known['instrument']}"}
        if metric.unit != known["unit"]:
            faults |= {f"metric {metric.name}: in {metric.unit}, not {known['unit']}"}
        required = known.get("required", [])
        return faults | {f"metric {metric.name}: no {name}" for name in required for point in points if name not in point}


def _reserved(name):
    return name.split(".")[0] in RESERVED and "." in name


def _type(value):
    if isinstance(value, list):
        return f"{_type(value[0])}[]" if value else "string[]"
    return {str: "string", bool: "boolean", int: "int", float: "double"}[type(value)]


def _instrument(metric):
    kind = metric.WhichOneof("data")
    if kind == "sum":
        return "counter" if metric.sum.is_monotonic else "updowncounter"
    return "histogram" if kind == "exponential_histogram" else kind
