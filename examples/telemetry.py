"""OpenTelemetry in an application: spans go to OTEL_EXPORTER_OTLP_ENDPOINT, and every call of the OpenAI SDK carries their context.

The proxy needs no more than that header to put its own spans below the application's.
"""

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
# The HTTP library of openai since version 3; HTTPXClientInstrumentor is for the versions before.
HTTPX2ClientInstrumentor().instrument()

tracer = trace.get_tracer("examples")
