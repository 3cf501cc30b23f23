#!/usr/bin/env bash
# @musistudio/llms, which gives Claude Code the models of OpenAI-compatible servers (Messages in front, chat completions behind): how
# many tokens did a streamed answer take?
#
# Guess: those that the server reported, 1,000 of input with 900 of them from a cache, and 20 of output, however the stream is cut
# into reads.
#
# Found: none where the usage comes in the same read as the finish reason, as it does where a server writes both at once: what stands
# behind the finish reason in that read is dropped, and the message says 0 of each. A moment later, or beside the finish reason, they
# are all there: the counts of one call depend on how the network cuts the stream, and the client has no others.
set -euo pipefail

work=$(mktemp -d)
started=()
trap '[ -z "${started[*]}" ] || kill "${started[@]}"; rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund @musistudio/llms@1.0.53

cat > provider.py <<'PYTHON'
import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

USAGE = {"prompt_tokens": 1000, "completion_tokens": 20, "total_tokens": 1020, "prompt_tokens_details": {"cached_tokens": 900}}


def chunk(*choices, **members):
    said = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, **members}
    return f"data: {json.dumps(said)}\n\n"


TEXT = chunk({"index": 0, "delta": {"role": "assistant", "content": "Hello"}, "finish_reason": None})
FINISH = {"index": 0, "delta": {}, "finish_reason": "stop"}
DONE = "data: [DONE]\n\n"
WRITES = {
    "beside the finish reason": [TEXT, chunk(FINISH, usage=USAGE) + DONE],
    "alone, in one read with it": [TEXT, chunk(FINISH) + chunk(usage=USAGE) + DONE],
    "alone, in the next read": [TEXT, chunk(FINISH), chunk(usage=USAGE) + DONE],
}


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for write in WRITES[request["messages"][0]["content"]]:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(write), write.encode()))
            time.sleep(1)
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
print(f"http://127.0.0.1:{server.server_port}/v1", flush=True)
server.serve_forever()
PYTHON

cat > llms.cjs <<'JS'
const { default: Server } = require("@musistudio/llms");

const [url, port] = process.argv.slice(2);
const providers = [{ name: "p", api_base_url: `${url}/chat/completions`, api_key: "key", models: ["m"] }];
const initialConfig = { providers, HOST: "127.0.0.1", PORT: port };
new Server({ logger: false, useJsonFile: false, useEnvFile: false, initialConfig }).start();
JS

cat > ask.py <<'PYTHON'
import json
import sys
import urllib.request

url, where = sys.argv[1:]
body = {"model": "p,m", "messages": [{"role": "user", "content": where}], "stream": True, "max_tokens": 100}
request = urllib.request.Request(f"{url}/v1/messages", json.dumps(body).encode(), {"content-type": "application/json"})
with urllib.request.urlopen(request, timeout=60) as answer:
    lines = answer.read().decode().splitlines()
events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]
[usage] = [event["usage"] for event in events if event["type"] == "message_delta"]
counts = f"{usage['input_tokens']} new in, {usage['cache_read_input_tokens']} from the cache, {usage['output_tokens']} out"
print(f"usage {where}: {counts}")
PYTHON

npm list --depth 0 | grep -o '@musistudio.*'
mkfifo said
python3 provider.py > said &
started+=($!)
read -r url < said
port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
node llms.cjs "$url" "$port" > log 2>&1 &
started+=($!)
for _ in $(seq 180); do (: > "/dev/tcp/127.0.0.1/$port") 2> /dev/null && break; sleep 1; done
seen=$(
  for where in "beside the finish reason" "alone, in one read with it" "alone, in the next read"; do
    python3 ask.py "http://127.0.0.1:$port" "$where" || exit
  done
)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
usage beside the finish reason: 100 new in, 900 from the cache, 20 out
usage alone, in one read with it: 0 new in, 0 from the cache, 0 out
usage alone, in the next read: 100 new in, 900 from the cache, 20 out
SEEN
