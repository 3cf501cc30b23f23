#!/usr/bin/env bash
# LangChain for Go (langchaingo): what does the application get of a chat stream that fails in the middle, and of one long event?
#
# Guess: an error of the call for the first, with the server's message. The second is read: the specification of server-sent events
# has no limit, and a picture in an answer, or the arguments of a tool call that a server sends in one piece, are long.
#
# Found: the other way round. The error is lost: the event passes for a chunk that has nothing to say. The
# application has half an answer, no error and an empty stop reason, which is also all that it has of a stream that is cut off. An
# event of more than 64 KiB is an error (`token too long`), and the text before it is lost too. The stop reason tells the first
# case from a whole answer. The same error in place of a stream, with its HTTP status, is an error of the call.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat > "$work/main.go" <<'GO'
package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/tmc/langchaingo/llms"
	"github.com/tmc/langchaingo/llms/openai"
)

const (
	failure = `{"error":{"message":"overloaded","type":"server_error","code":"server_error"}}`
	format  = `{"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":%q}%s}]}`
)

func chunk(text string) string { return fmt.Sprintf(format, text, "") }

func event(data string) string { return "data: " + data + "\n\n" }

func ask(status int, body string, options ...llms.CallOption) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		kind := "text/event-stream"
		if status != http.StatusOK {
			kind = "application/json"
		}
		w.Header().Set("content-type", kind)
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	defer server.Close()
	model, err := openai.New(openai.WithBaseURL(server.URL+"/v1"), openai.WithToken("key"), openai.WithModel("m"))
	if err != nil {
		return err.Error()
	}
	prompt := []llms.MessageContent{llms.TextParts(llms.ChatMessageTypeHuman, "Hi")}
	answer, err := model.GenerateContent(context.Background(), prompt, options...)
	if err != nil {
		return "error: " + err.Error()
	}
	text := answer.Choices[0].Content
	if len(text) > 20 {
		text = fmt.Sprintf("%d characters", len(text))
	}
	return fmt.Sprintf("%q, stop reason %q, no error", text, answer.Choices[0].StopReason)
}

func main() {
	stream := llms.WithStreamingFunc(func(context.Context, []byte) error { return nil })
	half := event(chunk("Half of"))
	end := event(fmt.Sprintf(format, " it", `,"finish_reason":"stop"`)) + event("[DONE]")
	fmt.Println("whole:", ask(200, half+end, stream))
	fmt.Println("an error in the middle:", ask(200, half+event(failure), stream))
	fmt.Println("cut off:", ask(200, half, stream))
	fmt.Println("the error as an answer of its own:", ask(503, failure, stream))
	fmt.Println("an event of 60,000 characters:", ask(200, half+event(chunk(strings.Repeat("x", 60_000)))+end, stream))
	fmt.Println("an event of 70,000 characters:", ask(200, half+event(chunk(strings.Repeat("x", 70_000)))+end, stream))
}
GO

cd "$work"
go mod init finding 2> /dev/null
go get github.com/tmc/langchaingo@v0.1.14 2> /dev/null
go mod tidy 2> /dev/null
grep langchaingo go.mod
seen=$(go run .)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
whole: "Half of it", stop reason "stop", no error
an error in the middle: "Half of", stop reason "", no error
cut off: "Half of", stop reason "", no error
the error as an answer of its own: error: API returned unexpected status code: 503: overloaded
an event of 60,000 characters: "60010 characters", stop reason "stop", no error
an event of 70,000 characters: error: error reading streaming response: bufio.Scanner: token too long
SEEN
