#!/usr/bin/env bash
# OpenAI's SDK for Go: what is left of a chat stream whose chunks do not all have the same id, or have an `error` that is null?
#
# Guess: the text, the finish reason and the usage, as in the SDKs for Python and Node. An id is for looking a call up. Routers
# and several local servers give each chunk an id of its own, others send a keep-alive chunk or the usage under another one, and
# some serialise all members of their type, `"error": null` too.
#
# Found: `ChatCompletionAccumulator` takes the id of the first chunk and refuses every other: a message without text and 0
# tokens, or all of the text and 0 tokens where only the usage has another id. No error says so, only the result of `AddChunk`.
# `"error": null` on the first chunk ends the stream with an error that has no message. The helper of the SDK for Python reads
# all of them. The first is openai/openai-go#322.
set -euo pipefail

work=$(mktemp -d)
trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT

cat > "$work/provider.py" <<'PYTHON'
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DELTAS = [{"role": "assistant", "content": ""}, {"content": "Hel"}, {"content": "lo"}, {}, None]
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
# The ids of the five chunks, and what else each of them has.
STREAMS = {
    "one-id": (["a", "a", "a", "a", "a"], {}),
    "an-id-each": (["a", "b", "c", "d", "e"], {}),
    "keep-alive-first": (["keep-alive", "a", "a", "a", "a"], {}),
    "usage-apart": (["a", "a", "a", "a", ""], {}),
    "error-null": (["a", "a", "a", "a", "a"], {"error": None}),
}


def chunk(id, delta, other):
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}]
    said = {"id": id, "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, **other}
    return json.dumps({**said, "usage": USAGE} if delta is None else said)


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        ids, other = STREAMS[json.loads(self.rfile.read(int(self.headers["content-length"])))["model"]]
        events = [chunk(id, delta, other) for id, delta in zip(ids, DELTAS)] + ["[DONE]"]
        body = "".join(f"data: {event}\n\n" for event in events).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
print(f"http://127.0.0.1:{server.server_port}/v1", flush=True)
server.serve_forever()
PYTHON

cat > "$work/main.go" <<'GO'
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

func main() {
	client := openai.NewClient(option.WithBaseURL(os.Args[1]), option.WithAPIKey("key"), option.WithMaxRetries(0))
	for _, model := range os.Args[2:] {
		messages := []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Hi")}
		stream := client.Chat.Completions.NewStreaming(context.Background(),
			openai.ChatCompletionNewParams{Model: model, Messages: messages})
		answer := openai.ChatCompletionAccumulator{}
		refused := 0
		for stream.Next() {
			if !answer.AddChunk(stream.Current()) {
				refused++
			}
		}
		text, reason := "", ""
		if len(answer.Choices) > 0 {
			text, reason = answer.Choices[0].Message.Content, answer.Choices[0].FinishReason
		}
		said := "no error"
		if err := stream.Err(); err != nil {
			said = fmt.Sprintf("error %q", err)
		}
		fmt.Printf("Go, %s: %q, finish %q, %d in, %d out, %d refused, %s\n", model, text, reason,
			answer.Usage.PromptTokens, answer.Usage.CompletionTokens, refused, said)
	}
}
GO

cat > "$work/finding.py" <<'PYTHON'
import sys

import openai

client = openai.OpenAI(api_key="key", base_url=sys.argv[1], max_retries=0)
for model in sys.argv[2:]:
    with client.chat.completions.stream(model=model, messages=[{"role": "user", "content": "Hi"}]) as stream:
        answer = stream.get_final_completion()
    usage, choice = answer.usage, answer.choices[0]
    print(f'Python, {model}: "{choice.message.content}", finish "{choice.finish_reason}", '
          f"{usage.prompt_tokens} in, {usage.completion_tokens} out")
PYTHON

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet openai==3.57.0
cd "$work"
go mod init finding 2> /dev/null
go get github.com/openai/openai-go/v3@v3.98.0 2> /dev/null
go mod tidy 2> /dev/null
grep openai-go go.mod
venv/bin/pip list --format freeze | grep '^openai='
mkfifo said
python3 provider.py > said &
server=$!
trap 'kill "$server"; chmod -R u+w "$work" && rm -rf "$work"' EXIT
read -r url < said
streams=(one-id an-id-each keep-alive-first usage-apart error-null)
seen=$(go run . "$url" "${streams[@]}"; venv/bin/python finding.py "$url" "${streams[@]}")
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
Go, one-id: "Hello", finish "stop", 10 in, 5 out, 0 refused, no error
Go, an-id-each: "", finish "", 0 in, 0 out, 4 refused, no error
Go, keep-alive-first: "", finish "", 0 in, 0 out, 4 refused, no error
Go, usage-apart: "Hello", finish "stop", 0 in, 0 out, 1 refused, no error
Go, error-null: "", finish "", 0 in, 0 out, 0 refused, error "received error while streaming: "
Python, one-id: "Hello", finish "stop", 10 in, 5 out
Python, an-id-each: "Hello", finish "stop", 10 in, 5 out
Python, keep-alive-first: "Hello", finish "stop", 10 in, 5 out
Python, usage-apart: "Hello", finish "stop", 10 in, 5 out
Python, error-null: "Hello", finish "stop", 10 in, 5 out
SEEN
