#!/usr/bin/env bash
# LiteLLM's proxy and @musistudio/llms (the server that Claude Code Router was made on): what does a client get of a chat stream that
# ends in the middle?
#
# Guess: what the model's server sent, and then an error or a broken connection; above all no finish reason, since none came.
#
# Found: both put in what a whole answer has at its end. LiteLLM's proxy adds a finish reason `stop` and `[DONE]`, the other one
# `end_turn` and `message_stop`, and does so after an error in the stream too. LiteLLM as a library, at a newer version, has the
# opposite fault: it raises, and so it does for a whole answer with its usage and `[DONE]` whose server gives no finish reason.
set -euo pipefail

work=$(mktemp -d)
started=()
trap '[ -z "${started[*]}" ] || kill "${started[@]}" || true; rm -rf "$work"' EXIT
cd "$work"

# The extra `proxy` of 1.110.2 could not be installed: one of its packages was not to be had.
python3 -m venv proxy
proxy/bin/pip install --quiet 'litellm[proxy]==1.106.12'
python3 -m venv library
library/bin/pip install --quiet litellm==1.110.2
npm install --silent --no-audit --no-fund @musistudio/llms@1.0.53

cat > provider.py <<'PYTHON'
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def chunk(*choices, **members):
    return json.dumps({"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, **members})


def delta(text, finish=None, **members):
    return chunk({"index": 0, "delta": {"content": text, **members}, "finish_reason": finish})


HALF = [delta("one", role="assistant"), delta(" two")]
USAGE = chunk(usage={"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12})
ERROR = json.dumps({"error": {"message": "The engine is overloaded", "type": "server_error", "code": 503}})
STREAMS = {
    "whole": [*HALF, delta("", "stop"), USAGE, "[DONE]"],
    "cut": HALF,
    "error": [*HALF, ERROR],
    "no-finish-reason": [*HALF, USAGE, "[DONE]"],
}


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        body = "".join(f"data: {data}\n\n" for data in STREAMS[request["model"]]).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
print(f"http://127.0.0.1:{server.server_port}/v1", flush=True)
server.serve_forever()
PYTHON

cat > llms.cjs <<'JS'
const { default: Server } = require("@musistudio/llms");

const [url, port, ...models] = process.argv.slice(2);
const providers = [{ name: "p", api_base_url: `${url}/chat/completions`, api_key: "key", models }];
const initialConfig = { providers, HOST: "127.0.0.1", PORT: port };
new Server({ logger: false, useJsonFile: false, useEnvFile: false, initialConfig }).start();
JS

cat > ask.py <<'PYTHON'
import json
import sys
import urllib.request

name, url, model, stream, key = sys.argv[1:]
body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "stream": True, "max_tokens": 100}
headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers), timeout=120) as answer:
    lines = answer.read().decode().splitlines()
seen = []
for data in [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]:
    if data == "[DONE]":
        seen.append(data)
        continue
    event = json.loads(data)
    if event.get("type") == "message_stop":
        seen.append("message_stop")
    if "error" in event or event.get("type") == "error":
        seen.append("error")
    for choice in event.get("choices", []):
        seen += [text for text in (choice["delta"].get("content"), choice.get("finish_reason")) if text]
    delta = event.get("delta", {})
    seen += [delta[member] for member in ("text", "stop_reason") if member in delta]
print(f"{name}, {stream}: {', '.join(text.strip() for text in seen)}")
PYTHON

cat > library.py <<'PYTHON'
import sys

import litellm

litellm.suppress_debug_info = True
url, *streams = sys.argv[1:]
for stream in streams:
    seen = []
    try:
        for chunk in litellm.completion(f"openai/{stream}", [{"role": "user", "content": "Hi"}], stream=True, api_base=url, api_key="key",
                                        stream_options={"include_usage": True}, max_retries=0):
            for choice in chunk.choices:
                seen += [text for text in (choice.delta.content, choice.finish_reason) if text]
    except Exception as error:
        seen.append(type(error).__name__)
    print(f"LiteLLM 1.110.2, {stream}: {', '.join(text.strip() for text in seen)}")
PYTHON

free() { python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
wait_for() { for _ in $(seq 180); do (: > "/dev/tcp/127.0.0.1/$1") 2> /dev/null && return; sleep 1; done; return 1; }

for venv in proxy library; do "$venv/bin/pip" list --format freeze | grep '^litellm='; done
npm list --depth 0 | grep -o '@musistudio.*'

mkfifo said
python3 provider.py > said &
started+=($!)
read -r url < said
streams="whole cut error no-finish-reason"
key="sk-$(python3 -c 'import secrets; print(secrets.token_hex(32))')"
for stream in $streams; do
  printf '  - model_name: %s\n    litellm_params: {model: openai/%s, api_base: "%s", api_key: key}\n' "$stream" "$stream" "$url"
done | { echo model_list:; cat; printf 'general_settings: {master_key: %s}\n' "$key"; } > config.yaml
export LITELLM_LOCAL_MODEL_COST_MAP=True # the map of the package, not today's from the network
litellm=$(free)
proxy/bin/litellm --config config.yaml --host 127.0.0.1 --port "$litellm" > proxy.log 2>&1 &
started+=($!)
llms=$(free)
# shellcheck disable=SC2086
node llms.cjs "$url" "$llms" $streams > llms.log 2>&1 &
started+=($!)
wait_for "$litellm"
wait_for "$llms"

seen=$(
  set -e
  for stream in $streams; do
    python3 ask.py "LiteLLM's proxy 1.106.12" "http://127.0.0.1:$litellm/v1/chat/completions" "$stream" "$stream" "$key"
  done
  for stream in $streams; do python3 ask.py "@musistudio/llms" "http://127.0.0.1:$llms/v1/messages" "p,$stream" "$stream" key; done
  # shellcheck disable=SC2086
  library/bin/python library.py "$url" $streams 2> /dev/null
)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
LiteLLM's proxy 1.106.12, whole: one, two, stop, [DONE]
LiteLLM's proxy 1.106.12, cut: one, two, stop, [DONE]
LiteLLM's proxy 1.106.12, error: one, two, error
LiteLLM's proxy 1.106.12, no-finish-reason: one, two, stop, [DONE]
@musistudio/llms, whole: one, two, end_turn, message_stop
@musistudio/llms, cut: one, two, end_turn, message_stop
@musistudio/llms, error: one, two, error, end_turn, message_stop
@musistudio/llms, no-finish-reason: one, two, end_turn, message_stop
LiteLLM 1.110.2, whole: one, two, stop
LiteLLM 1.110.2, cut: one, two, MidStreamFallbackError
LiteLLM 1.110.2, error: one, two, MidStreamFallbackError
LiteLLM 1.110.2, no-finish-reason: one, two, MidStreamFallbackError
SEEN
