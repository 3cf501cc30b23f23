#!/usr/bin/env bash
# OpenTelemetry Collector, processors transform and redaction: does a pattern find personal data in a prompt?
#
# Guess: what it finds in one text it finds in a prompt. The conventions for GenAI write a prompt as JSON in one attribute of a span, or
# structured in an attribute of an event, and both processors look through all attributes.
#
# Found: a number after a line feed stays. In JSON that line feed is a backslash and an n, so for the pattern `\b\d{3}-…` the number
# stands in the middle of a word. An address after a line feed goes, and takes the n with it: a lone backslash stays, and the text
# is no JSON any more. In a structured attribute neither processor looks at anything, unless redaction has `redact_all_types`.
set -euo pipefail

work=$(mktemp -d)
trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT
cd "$work"

cat > go.mod <<'MOD'
module finding

go 1.25.0

require (
	github.com/open-telemetry/opentelemetry-collector-contrib/processor/redactionprocessor v0.161.0
	github.com/open-telemetry/opentelemetry-collector-contrib/processor/transformprocessor v0.161.0
	go.opentelemetry.io/collector/consumer/consumertest v0.161.0
	go.opentelemetry.io/collector/processor/processortest v0.161.0
)
MOD

cat > main.go <<'GO'
package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/redactionprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/transformprocessor"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processortest"
)

const (
	number  = `\b\d{3}-\d{2}-\d{4}\b`
	address = `[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+`
)

// The patterns as a processor of each kind is told them.
func settings(kind string, all bool) (processor.Factory, map[string]any) {
	if kind == "redaction" {
		return redactionprocessor.NewFactory(), map[string]any{
			"allow_all_keys": true, "redact_all_types": all, "blocked_values": []any{number, address},
		}
	}
	statement := func(pattern string) any {
		return fmt.Sprintf("replace_all_patterns(log.attributes, \"value\", %q, \"****\")", pattern)
	}
	return transformprocessor.NewFactory(), map[string]any{"log_statements": []any{statement(number), statement(address)}}
}

// What a processor makes of one attribute.
func through(kind string, all bool, put func(plog.LogRecord)) string {
	factory, given := settings(kind, all)
	config := factory.CreateDefaultConfig()
	must(confmap.NewFromStringMap(given).Unmarshal(config))
	sink := new(consumertest.LogsSink)
	running, err := factory.CreateLogs(context.Background(), processortest.NewNopSettings(factory.Type()), config, sink)
	must(err)
	must(running.Start(context.Background(), componenttest.NewNopHost()))
	logs := plog.NewLogs()
	put(logs.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty())
	must(running.ConsumeLogs(context.Background(), logs))
	record := sink.AllLogs()[0].ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0)
	value, _ := record.Attributes().Get("gen_ai.input.messages")
	return value.AsString()
}

func asText(content string) func(plog.LogRecord) {
	text, err := json.Marshal([]map[string]string{{"role": "user", "content": content}})
	must(err)
	return func(record plog.LogRecord) { record.Attributes().PutStr("gen_ai.input.messages", string(text)) }
}

func structured(content string) func(plog.LogRecord) {
	return func(record plog.LogRecord) {
		message := record.Attributes().PutEmptySlice("gen_ai.input.messages").AppendEmpty().SetEmptyMap()
		message.PutStr("content", content)
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	for _, kind := range []string{"transform", "redaction"} {
		fmt.Println(kind, "a number after a space:    ", through(kind, false, asText("it is 078-05-1120")))
		fmt.Println(kind, "a number after a line feed:", through(kind, false, asText("it is\n078-05-1120")))
		broken := through(kind, false, asText("it is\nann@example.com"))
		fmt.Println(kind, "an address after it:       ", broken, "JSON:", json.Valid([]byte(broken)))
		fmt.Println(kind, "structured:                ", through(kind, false, structured("it is 078-05-1120")))
	}
	fmt.Println("redaction, all types, structured:", through("redaction", true, structured("it is 078-05-1120")))
}
GO

GOFLAGS=-mod=mod go mod tidy > tidy 2>&1 || { cat tidy; exit 1; }
grep -E '(transform|redaction)processor v' go.mod | sed 's/.*processor\//processor /'
seen=$(GOFLAGS=-mod=mod go run .)
echo "$seen"
diff <(echo "$seen") - <<'SEEN'
transform a number after a space:     [{"content":"it is ****","role":"user"}]
transform a number after a line feed: [{"content":"it is\n078-05-1120","role":"user"}]
transform an address after it:        [{"content":"it is\****","role":"user"}] JSON: false
transform structured:                 [{"content":"it is 078-05-1120"}]
redaction a number after a space:     [{"content":"it is ****","role":"user"}]
redaction a number after a line feed: [{"content":"it is\n078-05-1120","role":"user"}]
redaction an address after it:        [{"content":"it is\****","role":"user"}] JSON: false
redaction structured:                 [{"content":"it is 078-05-1120"}]
redaction, all types, structured: [{"content":"it is ****"}]
SEEN
