#!/usr/bin/env bash
# go-openai, the client for Go that was there before OpenAI's own: how many keep-alives may a stream have before its next event?
#
# Guess: any number. A comment (`: keep-alive`) is nothing to a reader of server-sent events; DeepSeek and OpenRouter document that
# they send them for as long as the model has nothing to say, and that clients ignore them.
#
# Found: 149. The client counts the lines between two events that are not `data:`, two for each comment with its blank line, and at
# 300 gives up with `stream has sent too many empty messages`, on a stream that is alive. A line without a blank line counts too.
# Events with nothing to say (`{}`, chunks without choices) are not counted. `EmptyMessagesLimit` in the client's configuration
# raises it (sashabaranov/go-openai#70); it says nothing of comments.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat > "$work/main.go" <<'GO'
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	openai "github.com/sashabaranov/go-openai"
)

const event = `data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[%s]}` + "\n\n"

// stream asks a server that says "a", sends the filling, says "b" and is done.
func stream(filling string, limit uint) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("content-type", "text/event-stream")
		fmt.Fprintf(w, event, `{"index":0,"delta":{"role":"assistant","content":"a"}}`)
		fmt.Fprint(w, filling)
		fmt.Fprintf(w, event, `{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}`)
		fmt.Fprint(w, "data: [DONE]\n\n")
	}))
	defer server.Close()
	config := openai.DefaultConfig("key")
	config.BaseURL = server.URL + "/v1"
	if limit > 0 {
		config.EmptyMessagesLimit = limit
	}
	answer, err := openai.NewClientWithConfig(config).CreateChatCompletionStream(
		context.Background(), openai.ChatCompletionRequest{Model: "m", Stream: true})
	if err != nil {
		return err.Error()
	}
	defer answer.Close()
	text := ""
	for {
		chunk, err := answer.Recv()
		if errors.Is(err, io.EOF) {
			return fmt.Sprintf("%q", text)
		}
		if err != nil {
			return fmt.Sprintf("%q, then %v", text, err)
		}
		for _, choice := range chunk.Choices {
			text += choice.Delta.Content
		}
	}
}

func main() {
	comments := func(n int) string { return strings.Repeat(": keep-alive\n\n", n) }
	fmt.Println("no comment:", stream("", 0))
	fmt.Println("149 comments:", stream(comments(149), 0))
	fmt.Println("150 comments:", stream(comments(150), 0))
	fmt.Println("149 comments twice, an event between them:", stream(comments(149)+fmt.Sprintf(event, "")+comments(149), 0))
	fmt.Println("299 comments without a blank line:", stream(strings.Repeat(": keep-alive\n", 299), 0))
	fmt.Println("1000 chunks without choices:", stream(strings.Repeat(fmt.Sprintf(event, ""), 1000), 0))
	fmt.Println("1000 comments, limit 100000:", stream(comments(1000), 100_000))
}
GO

cd "$work"
go mod init finding 2> /dev/null
go get github.com/sashabaranov/go-openai@v1.43.0 2> /dev/null
grep go-openai go.mod
seen=$(go run .)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
no comment: "ab"
149 comments: "ab"
150 comments: "a", then stream has sent too many empty messages
149 comments twice, an event between them: "ab"
299 comments without a blank line: "ab"
1000 chunks without choices: "ab"
1000 comments, limit 100000: "ab"
SEEN
