"""An OTLP/HTTP receiver on the published protobuf definitions that keeps the spans and the metrics it is sent."""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from processes import DEADLINE


class Collector:
    """A running receiver; stopped at the end of the `with` block."""

    def __init__(self):
        self._spans = []
        self._metrics = {}
        self.resources = []
        """The resource of each export of spans or metrics, as attributes."""
        self.sizes = []
        """The path of each export, its bytes as they were sent, and uncompressed."""
        self._changed = threading.Condition()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self._chunks() if self.headers["transfer-encoding"] else self.rfile.read(int(self.headers["content-length"]))
                sent = len(body)
                if self.headers["content-encoding"] == "gzip":
                    body = gzip.decompress(body)
                collector.sizes.append((self.path, sent, len(body)))
                if self.path == "/v1/traces":
                    collector._take(ExportTraceServiceRequest.FromString(body))
                elif self.path == "/v1/metrics":
                    collector._take_metrics(ExportMetricsServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def _chunks(self):
                parts = []
                while size := int(self.rfile.readline(), 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            # Connections that wait; with the library's 5 some of several exporters' are refused on a busy machine.
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def _take(self, request):
        with self._changed:
            for resource in request.resource_spans:
                self.resources.append(attributes(resource.resource))
                for scope in resource.scope_spans:
                    self._spans.extend(scope.spans)
            self._changed.notify_all()

    def _take_metrics(self, request):
        with self._changed:
            for resource in request.resource_metrics:
                self.resources.append(attributes(resource.resource))
                instance = self.resources[-1].get("service.instance.id")
                for scope in resource.scope_metrics:
                    self._metrics |= {(metric.name, instance): metric for metric in scope.metrics}
            self._changed.notify_all()

    def metrics(self, name):
        """Waits for a metric of this name, and returns the newest of each metric that came from each process."""
        with self._changed:
            came = self._changed.wait_for(lambda: any(name == known for known, _ in self._metrics), DEADLINE)
            assert came, f"waited {DEADLINE:.0f} s in vain for {name}; {sorted({known for known, _ in self._metrics})} came"
            return list(self._metrics.values())

    def forget(self):
        """From now on it is as if no span had come so far."""
        with self._changed:
            self._spans.clear()

    def wait_for(self, what, wanted, count):
        """Waits for so many spans that are `wanted`, which gets a span and its attributes; returns both of each."""

        with self._changed:
            self._changed.wait_for(lambda: len(self.seen(wanted)) >= count, DEADLINE)
            if len(spans := self.seen(wanted)) >= count:
                return spans
        raise AssertionError(f"waited {DEADLINE:.0f} s in vain for {what}")

    def wait_for_count(self, count):
        """Waits for so many spans of any kind."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self._spans) >= count, DEADLINE)
        assert came, f"waited {DEADLINE:.0f} s in vain for {count} spans; {len(self._spans)} came"

    def seen(self, wanted):
        """The spans that have come so far and are `wanted`, with the attributes of each."""
        with self._changed:
            spans = [(span, attributes(span)) for span in self._spans]
        return [both for both in spans if wanted(*both)]

    def inference(self, trace_id):
        """Waits for the inference span of a trace, and returns its attributes."""
        return self.inferences(trace_id, 1)[0]

    def inferences(self, trace_id, count):
        """Waits for so many inference spans of a trace, and returns the attributes of each."""

        def found():
            spans = [span for span in self._spans if span.trace_id.hex() == trace_id]
            return [each for each in map(attributes, spans) if "gen_ai.operation.name" in each]

        with self._changed:
            self._changed.wait_for(lambda: len(found()) >= count, DEADLINE)
            names = [span.name for span in self._spans if span.trace_id.hex() == trace_id]
            if len(inferences := found()) >= count:
                return inferences
        raise AssertionError(f"no {count} inference spans came for trace {trace_id}; it has {names}")


def attributes(of):
    """The attributes of a span, a point of a metric or a resource."""
    return {item.key: _value(item.value) for item in of.attributes}


def _value(value):
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind)
