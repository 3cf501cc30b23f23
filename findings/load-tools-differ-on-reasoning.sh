#!/usr/bin/env bash
# EvalScope and LLMeter, load tools: how fast is a model that reasons before it answers?
#
# Guess: both give one stream the same figures, that is the first token of reasoning as the first token, and the time from there
# to the last, by the number of tokens that the server reports. A stream of one token per chunk and one of several tokens per
# chunk differ in the time between chunks only.
#
# Found: LLMeter sees no reasoning: its time to the first token is that of the answer, three seconds for one, and its time per
# token is a third of EvalScope's, since the tokens of the reasoning count and their time does not. Reasoning that a server
# keeps to itself does the same to both. EvalScope sees speculative decoding wherever there are fewer chunks than tokens, which
# a server that packs tokens, a hop that joins them and reasoning that is not shown all have: it reports a share of accepted
# drafts, with no draft anywhere.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/evalscope"
"$work/evalscope/bin/pip" install --quiet 'evalscope[perf]==1.14.1'
# The versions behind LLMeter spare pip a long search for ones that go together.
python3 -m venv "$work/llmeter"
"$work/llmeter/bin/pip" install --quiet 'llmeter[openai]==0.2.0' openai==3.57.0 httpx==0.28.1 boto3==1.44.8 s3fs==0.4.2 \
  fsspec==2026.1.0 universal-pathlib==0.3.10

cat > "$work/provider.py" <<'PYTHON'
import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# What comes at each second; the role comes at once, and so does the usage after the last one.
STREAMS = {
    "answer": [{"content": "a"}] * 4,
    "reasoning": [{"reasoning_content": "r"}] * 2 + [{"content": "a"}] * 2,
    "reasoning-unseen": [None] * 2 + [{"content": "a"}] * 2,
    "a-token-a-chunk": [{"content": "a"}] * 4,
}


def chunk(delta, finish=None, usage=None):
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    said = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}
    return json.dumps({**said, "usage": usage} if usage else said)


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        model = json.loads(self.rfile.read(int(self.headers["content-length"])))["model"]
        tokens = 4 if model == "a-token-a-chunk" else 100
        usage = {"prompt_tokens": 10, "completion_tokens": tokens, "total_tokens": 10 + tokens}
        usage["completion_tokens_details"] = {"reasoning_tokens": 50 if model.startswith("reasoning") else 0}
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.event(chunk({"role": "assistant", "content": ""}))
        for delta in STREAMS[model]:
            time.sleep(1)
            if delta:
                self.event(chunk(delta))
        for last in [chunk({}, "stop"), chunk(None, usage=usage), "[DONE]"]:
            self.event(last)
        self.wfile.write(b"0\r\n\r\n")

    def event(self, data):
        event = f"data: {data}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
print(f"http://127.0.0.1:{server.server_port}/v1", flush=True)
server.serve_forever()
PYTHON

cat > "$work/llmeter.py" <<'PYTHON'
import asyncio
import sys

# The folder of this file has the name of the package.
sys.path.pop(0)

from llmeter.endpoints.openai import OpenAICompletionStreamEndpoint
from llmeter.runner import Runner

endpoint = OpenAICompletionStreamEndpoint(model_id=sys.argv[2], api_key="key", base_url=sys.argv[1], max_retries=0)
payload = endpoint.create_payload("Hi")
quiet = {"disable_per_client_progress_bar": True, "disable_clients_progress_bar": True}
result = asyncio.run(Runner(endpoint).run(payload=payload, n_requests=1, clients=1, **quiet))
[response] = result.responses
print(f"LLMeter, {sys.argv[2]}: first token {response.time_to_first_token:.0f} s, "
      f"per token {float(f'{response.time_per_output_token * 1000:.1g}'):.0f} ms")
PYTHON

cat > "$work/summary.py" <<'PYTHON'
import json
import pathlib
import sys

[summary] = pathlib.Path(sys.argv[1]).rglob("*summary.json")
said = json.loads(summary.read_text())
drafts = f", accepted drafts {said['Spec. Accept Rate']:.0%}" if "Spec. Accept Rate" in said else ""
first, each = said["Avg TTFT (ms)"] / 1000, said["Avg TPOT (ms)"]
print(f"EvalScope, {sys.argv[1]}: first token {first:.0f} s, per token {float(f'{each:.1g}'):.0f} ms{drafts}")
PYTHON

for tool in evalscope llmeter; do "$work/$tool/bin/pip" list --format freeze | grep "^$tool="; done
mkfifo "$work/said"
python3 "$work/provider.py" > "$work/said" &
server=$!
trap 'kill "$server"; rm -rf "$work"' EXIT
read -r url < "$work/said"
echo 'Hi there' > "$work/prompts"
seen=$(
  set -e
  cd "$work"
  for model in answer reasoning reasoning-unseen a-token-a-chunk; do
    evalscope/bin/evalscope perf --url "$url/chat/completions" --model "$model" --api openai --dataset line_by_line \
      --dataset-path prompts --number 1 --parallel 1 --stream --min-prompt-length 0 --no-test-connection \
      --outputs-dir "$model" > log 2>&1
    evalscope/bin/python summary.py "$model"
    llmeter/bin/python llmeter.py "$url" "$model" 2> /dev/null | grep -o 'LLMeter, .*'
  done
)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
EvalScope, answer: first token 1 s, per token 30 ms, accepted drafts 96%
LLMeter, answer: first token 1 s, per token 30 ms
EvalScope, reasoning: first token 1 s, per token 30 ms, accepted drafts 96%
LLMeter, reasoning: first token 3 s, per token 10 ms
EvalScope, reasoning-unseen: first token 3 s, per token 10 ms, accepted drafts 98%
LLMeter, reasoning-unseen: first token 3 s, per token 10 ms
EvalScope, a-token-a-chunk: first token 1 s, per token 1000 ms
LLMeter, a-token-a-chunk: first token 1 s, per token 1000 ms
SEEN
