#!/usr/bin/env bash
# LiteLLM: what does a call cost to a model that its cost map does not have?
#
# Guess: unknown, so `response_cost` is None, as that of a call to a model of one's own is, and somebody is told. genai-prices, the
# other catalogue in wide use, raises LookupError for what it does not have, and is the yardstick for what a call costs. The
# call goes through LiteLLM to a server here, that answers with a million tokens of input and a thousand of output.
#
# Found: None for `my-model`, and 0.0, the price of a free model, for what is named like a model of a known family. Rules by name
# (`fallback_generalizations`) give it the abilities of the family without prices, and a missing price is then read as 0. So it
# goes for models that are newer or older than the map, and for a name that gateways give to a model of the map. Nothing is
# logged. Seen before by onyx-dot-app/onyx#14947.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet litellm==1.110.2 genai-prices==0.2.3

cat > "$work/finding.py" <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import litellm
from genai_prices import Usage, calc_price

INPUT, OUTPUT = 1_000_000, 1_000
# (name for LiteLLM, provider, model)
MODELS = [
    ("openai/gpt-5.4", "openai", "gpt-5.4"),
    ("openai/gpt-5.3", "openai", "gpt-5.3"),
    ("openai/o1-mini", "openai", "o1-mini"),
    ("openai/my-model", "openai", "my-model"),
    ("anthropic/claude-fable-5-1", "anthropic", "claude-fable-5-1"),
    ("anthropic/claude-fable-5-2", "anthropic", "claude-fable-5-2"),
    ("anthropic/claude-opus-4-1", "anthropic", "claude-opus-4-1"),
    ("openai/anthropic/claude-sonnet-4.5", "anthropic", "claude-sonnet-4-5"),
]


def chat(model):
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": INPUT, "completion_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT}
    return {"id": "1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": usage}


def message(model):
    usage = {"input_tokens": INPUT, "output_tokens": OUTPUT}
    content = [{"type": "text", "text": "Hi"}]
    return {"id": "1", "type": "message", "role": "assistant", "model": model, "content": content,
            "stop_reason": "end_turn", "stop_sequence": None, "usage": usage}


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        model = json.loads(self.rfile.read(int(self.headers["content-length"])))["model"]
        body = json.dumps((message if self.path == "/v1/messages" else chat)(model)).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def by_genai_prices(provider, model):
    try:
        price = calc_price(Usage(input_tokens=INPUT, output_tokens=OUTPUT), model, provider_id=provider)
        return round(float(price.total_price), 2)
    except LookupError:
        return "LookupError"


litellm.suppress_debug_info = True  # no hints on standard output
server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
root = f"http://127.0.0.1:{server.server_port}"
for name, provider, model in MODELS:
    bare = name.split("/", 1)[1]
    base = root if name.startswith("anthropic/") else f"{root}/v1"
    call = {"model": name, "api_base": base, "api_key": "key", "messages": [{"role": "user", "content": "Hi"}]}
    cost = litellm.completion(**call)._hidden_params["response_cost"]
    listed = "in its map" if {name, bare} & set(litellm.model_cost) else "not in its map"
    print(f"{name}: LiteLLM {cost and round(cost, 2)} ({listed}), genai-prices {by_genai_prices(provider, model)}")
server.shutdown()
PYTHON

export LITELLM_LOCAL_MODEL_COST_MAP=True # the map of the package, not today's from the network
"$work/venv/bin/pip" list --format freeze | grep -E '^(litellm|genai-prices)='
seen=$("$work/venv/bin/python" "$work/finding.py" 2> "$work/said")
echo "$seen"
echo "lines on standard error about a cost or a price: $(grep -ciE 'cost|price' "$work/said" || true)"

diff <(echo "$seen") - <<'SEEN'
openai/gpt-5.4: LiteLLM 5.02 (in its map), genai-prices 5.02
openai/gpt-5.3: LiteLLM 0.0 (not in its map), genai-prices 1.76
openai/o1-mini: LiteLLM 0.0 (not in its map), genai-prices 1.1
openai/my-model: LiteLLM None (not in its map), genai-prices LookupError
anthropic/claude-fable-5-1: LiteLLM 10.05 (in its map), genai-prices 10.05
anthropic/claude-fable-5-2: LiteLLM 0.0 (not in its map), genai-prices 8.04
anthropic/claude-opus-4-1: LiteLLM 0.0 (not in its map), genai-prices 15.07
openai/anthropic/claude-sonnet-4.5: LiteLLM 0.0 (not in its map), genai-prices 6.02
SEEN
