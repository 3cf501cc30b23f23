#!/usr/bin/env bash
# MLflow's server, which takes spans by OTLP and prices the calls in them: what does a long prompt cost, and does it matter how the
# provider is called?
#
# Guess: what the list of prices in the package says, which has a second price for long prompts (`long_context`) and one file for each
# provider. `mistral_ai`, as OpenTelemetry's conventions call Mistral, is Mistral.
#
# Found: the price for long prompts is in the list and not used, so that 300,000 tokens cost half of what they do. A provider that has
# another name in the list is no provider: the first one by the alphabet that has a model of this name gives the price, here Azure, at
# 16 times Mistral's. A model that is in the list without a price is free. Where LiteLLM is installed beside MLflow, for whatever
# reason, its prices count: then long prompts have theirs, and `mistral_ai` has none.
set -euo pipefail

work=$(mktemp -d)
trap '[ -z "${server:-}" ] || kill -- "-$server"; rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip install --quiet mlflow==3.17.2

cat > finding.py <<'PYTHON'
import os
import secrets
import sys
import time
import urllib.request

import mlflow
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

url, prices = sys.argv[1:]
mlflow.set_tracking_uri(url)


def cost(provider, model, tokens):
    trace = secrets.token_bytes(16)
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": provider, "gen_ai.request.model": model,
                  "gen_ai.response.model": model, "gen_ai.usage.input_tokens": tokens, "gen_ai.usage.output_tokens": 0}
    values = [KeyValue(key=key, value=AnyValue(**{"int_value" if isinstance(value, int) else "string_value": value}))
              for key, value in attributes.items()]
    now = time.time_ns()
    span = Span(trace_id=trace, span_id=secrets.token_bytes(8), name=f"chat {model}", kind=Span.SPAN_KIND_CLIENT, attributes=values,
                start_time_unix_nano=now, end_time_unix_nano=now + 10**9)
    body = ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=[span])])]).SerializeToString()
    headers = {"content-type": "application/x-protobuf", "x-mlflow-experiment-id": "0"}
    urllib.request.urlopen(urllib.request.Request(f"{url}/v1/traces", body, headers)).close()
    said = mlflow.get_trace(f"tr-{trace.hex()}").info.cost
    return "no price for" if said is None else f"${said['total_cost'] / tokens * 1e6:.4g}"


for provider, model, tokens in [("openai", "gpt-5.4", 100_000), ("openai", "gpt-5.4", 300_000), ("gcp.gemini", "gemini-2.5-pro", 100_000),
                                ("gcp.gemini", "gemini-2.5-pro", 300_000), ("mistral", "mistral-large-latest", 100_000),
                                ("mistral_ai", "mistral-large-latest", 100_000), ("anthropic", "claude-sonnet-4.5", 100_000)]:
    print(f"{prices}: {provider}, {model}, {tokens:,} tokens of input: {cost(provider, model, tokens)} a million", flush=True)
# Without waiting for exporters.
os._exit(0)
PYTHON

# The lists of the packages, not today's from the network; no telemetry, and no processes for jobs.
export MLFLOW_MODEL_CATALOG_URI="" LITELLM_LOCAL_MODEL_COST_MAP=True
export MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
price() {
  local port
  port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
  setsid venv/bin/mlflow server --backend-store-uri "sqlite:///$work/$port.db" --host 127.0.0.1 --port "$port" --workers 1 > log 2>&1 &
  server=$!
  for _ in $(seq 240); do (: > "/dev/tcp/127.0.0.1/$port") 2> /dev/null && break; sleep 1; done
  venv/bin/python finding.py "http://127.0.0.1:$port" "$1" 2> /dev/null >> seen
  kill -- "-$server"
  server=
}
price "MLflow alone"
venv/bin/pip install --quiet litellm==1.110.2
price "with LiteLLM"
venv/bin/pip list --format freeze | grep -E '^(mlflow|litellm)='
cat seen

diff seen - <<'SEEN'
MLflow alone: openai, gpt-5.4, 100,000 tokens of input: $2.5 a million
MLflow alone: openai, gpt-5.4, 300,000 tokens of input: $2.5 a million
MLflow alone: gcp.gemini, gemini-2.5-pro, 100,000 tokens of input: $1.25 a million
MLflow alone: gcp.gemini, gemini-2.5-pro, 300,000 tokens of input: $1.25 a million
MLflow alone: mistral, mistral-large-latest, 100,000 tokens of input: $0.5 a million
MLflow alone: mistral_ai, mistral-large-latest, 100,000 tokens of input: $8 a million
MLflow alone: anthropic, claude-sonnet-4.5, 100,000 tokens of input: $0 a million
with LiteLLM: openai, gpt-5.4, 100,000 tokens of input: $2.5 a million
with LiteLLM: openai, gpt-5.4, 300,000 tokens of input: $5 a million
with LiteLLM: gcp.gemini, gemini-2.5-pro, 100,000 tokens of input: $1.25 a million
with LiteLLM: gcp.gemini, gemini-2.5-pro, 300,000 tokens of input: $2.5 a million
with LiteLLM: mistral, mistral-large-latest, 100,000 tokens of input: $0.5 a million
with LiteLLM: mistral_ai, mistral-large-latest, 100,000 tokens of input: no price for a million
with LiteLLM: anthropic, claude-sonnet-4.5, 100,000 tokens of input: $0 a million
SEEN
