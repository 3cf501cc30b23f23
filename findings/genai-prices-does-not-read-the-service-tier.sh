#!/usr/bin/env bash
# genai-prices: what does a response cost that says it was served as `flex` or `priority`?
#
# Guess: half and twice of the standard price for gpt-5, as OpenAI lists them. `extract_usage` is given the whole response,
# takes the model and the tokens out of it, and the package has the prices of both tiers.
#
# Found: the standard price for all three. `calc_price` knows a tier only if the caller reads it and passes it as
# `price_context`, also the `calc_price` of what `extract_usage` returns; without it the cost of `flex` is twice the bill, that
# of `priority` half of it, and nothing says so. Pydantic AI, of the same makers, passes it, so that two ways to one price list
# differ.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet genai-prices==0.2.3 'pydantic-ai-slim[openai]==2.68.0' openai==3.57.0

cat > "$work/finding.py" <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai
from genai_prices import calc_price, extract_usage
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

answer = {
    "id": "1", "object": "chat.completion", "created": 1, "model": "gpt-5",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 100_000, "completion_tokens": 1000, "total_tokens": 101_000},
}


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/v1"
client = openai.OpenAI(api_key="key", base_url=url)
agent = Agent(OpenAIChatModel("gpt-5", provider=OpenAIProvider(api_key="key", base_url=url)))
for tier in ["default", "flex", "priority"]:
    answer["service_tier"] = tier
    response = client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "Hi"}])
    extracted = extract_usage(response.model_dump(), provider_id="openai", api_flavor="chat")
    told = calc_price(extracted.usage, "gpt-5", provider_id="openai", price_context={"service_tier": tier})
    agent_says = agent.run_sync("Hi").all_messages()[-1].cost()
    print(f"{tier}: extract_usage {extracted.calc_price().total_price}, told of the tier {told.total_price}, "
          f"Pydantic AI {agent_says.total_price}")
server.shutdown()
PYTHON

"$work/venv/bin/pip" list --format freeze | grep -E '^(genai-prices|pydantic-ai-slim|openai)='
seen=$("$work/venv/bin/python" "$work/finding.py")
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
default: extract_usage 0.135, told of the tier 0.135, Pydantic AI 0.135
flex: extract_usage 0.135, told of the tier 0.0675, Pydantic AI 0.0675
priority: extract_usage 0.135, told of the tier 0.27, Pydantic AI 0.27
SEEN
