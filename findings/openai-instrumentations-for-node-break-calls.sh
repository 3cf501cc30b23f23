#!/usr/bin/env bash
# Three instrumentations of OpenAI's SDK for Node: which calls work as before once tracing is on?
#
# Guess: all of them, and each is one span. An instrumentation watches; what the SDK gives the application is the application's.
# Without one (`none`) every call here works.
#
# Found: OpenTelemetry's own makes `parse()`, the way to structured output, fail: `Body is unusable`. It asks for the result
# itself, and the SDK then reads the body a second time for the application (known: open-telemetry/opentelemetry-js-contrib#3586).
# Traceloop's returns a bare generator in place of the SDK's stream, so `stream()` fails, and `tee()`,
# `toReadableStream()` and `withResponse()` are missing. Spans do not show it: that of the failed `parse()` and that of the failed
# `stream()` are without an error. OpenInference's leaves the SDK whole. Traceloop's and OpenInference's spans of streams have no
# tokens, although the stream does.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

npm install --silent --no-save --prefix "$work" openai@6.49.0 \
  @opentelemetry/api@1.9.1 @opentelemetry/sdk-node@0.223.0 @opentelemetry/sdk-trace-node@2.12.0 \
  @opentelemetry/instrumentation-openai@0.21.0 @traceloop/instrumentation-openai@0.27.0 \
  @arizeai/openinference-instrumentation-openai@4.2.7

cat > "$work/finding.cjs" <<'NODE'
const { createServer } = require('node:http');
const { NodeSDK } = require('@opentelemetry/sdk-node');
const { InMemorySpanExporter, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-node');

const packages = {
  'OpenTelemetry': '@opentelemetry/instrumentation-openai',
  'Traceloop': '@traceloop/instrumentation-openai',
  'OpenInference': '@arizeai/openinference-instrumentation-openai',
};
const [name] = process.argv.slice(2);
const spans = new InMemorySpanExporter();
const instrumentations = name in packages ? [new (require(packages[name]).OpenAIInstrumentation)()] : [];
new NodeSDK({ spanProcessors: [new SimpleSpanProcessor(spans)], instrumentations }).start();
const { OpenAI } = require('openai');

const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 };
const base = { id: '1', created: 1, model: 'm' };
const content = '{"city": "Paris"}';
const chunk = (choices, rest) => ({ ...base, object: 'chat.completion.chunk', choices, ...rest });
const stream = [
  chunk([{ index: 0, delta: { role: 'assistant', content }, finish_reason: null }]),
  chunk([{ index: 0, delta: {}, finish_reason: 'stop' }]),
  chunk([], { usage }),
];
const message = { role: 'assistant', content };
const whole = { ...base, object: 'chat.completion', choices: [{ index: 0, message, finish_reason: 'stop' }], usage };

const server = createServer(async (request, response) => {
  let body = '';
  for await (const part of request) body += part;
  const streamed = JSON.parse(body).stream;
  response.writeHead(200, { 'content-type': streamed ? 'text/event-stream' : 'application/json' });
  const events = [...stream.map((event) => JSON.stringify(event)), '[DONE]'];
  response.end(streamed ? events.map((event) => `data: ${event}\n\n`).join('') : JSON.stringify(whole));
});

const ask = { model: 'm', messages: [{ role: 'user', content: 'Where?' }] };
const asStream = { ...ask, stream: true, stream_options: { include_usage: true } };
const read = async (parts) => {
  for await (const _ of parts);
};
const calls = {
  'create': (chat) => chat.create(ask),
  'create, streamed': async (chat) => read(await chat.create(asStream)),
  'parse': (chat) => chat.parse({ ...ask, response_format: { type: 'json_object' } }),
  'stream': (chat) => chat.stream({ ...ask, stream_options: { include_usage: true } }).finalChatCompletion(),
  'create, streamed, withResponse': async (chat) => read((await chat.create(asStream).withResponse()).data),
  'create, streamed, tee': async (chat) => Promise.all((await chat.create(asStream)).tee().map(read)),
  'create, streamed, toReadableStream': async (chat) => read((await chat.create(asStream)).toReadableStream()),
};

function show(span) {
  const attributes = span.attributes;
  const tokens = attributes['gen_ai.usage.input_tokens'] ?? attributes['llm.token_count.prompt'];
  return `${tokens ?? 'no'} tokens of input${span.status.code === 2 ? ', an error' : ''}`;
}

server.listen(0, '127.0.0.1', async () => {
  const client = new OpenAI({ apiKey: 'key', baseURL: `http://127.0.0.1:${server.address().port}/v1`, maxRetries: 0 });
  for (const [call, run] of Object.entries(calls)) {
    spans.reset();
    const end = await run(client.chat.completions).then(() => 'works', (error) => `${error.name}: ${error.message}`);
    await new Promise((resolve) => setTimeout(resolve, 50)); // a span can end after its call
    const seen = spans.getFinishedSpans().map(show).join('; ');
    console.log(`${name}, ${call}: ${end}${name in packages ? ` | span: ${seen || 'none'}` : ''}`);
  }
  process.exit();
});
NODE

npm ls --prefix "$work" --depth 0 | grep -oE '(@[a-z]+/[a-z-]*instrumentation-openai|\bopenai)@[0-9.]+'
export OTEL_LOGS_EXPORTER=none OTEL_METRICS_EXPORTER=none
seen=$(cd "$work"; for name in none OpenTelemetry Traceloop OpenInference; do node finding.cjs "$name" || exit 1; done)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
none, create: works
none, create, streamed: works
none, parse: works
none, stream: works
none, create, streamed, withResponse: works
none, create, streamed, tee: works
none, create, streamed, toReadableStream: works
OpenTelemetry, create: works | span: 10 tokens of input
OpenTelemetry, create, streamed: works | span: 10 tokens of input
OpenTelemetry, parse: TypeError: Body is unusable: Body has already been read | span: 10 tokens of input
OpenTelemetry, stream: works | span: 10 tokens of input
OpenTelemetry, create, streamed, withResponse: works | span: 10 tokens of input
OpenTelemetry, create, streamed, tee: works | span: 10 tokens of input
OpenTelemetry, create, streamed, toReadableStream: works | span: 10 tokens of input
Traceloop, create: works | span: 10 tokens of input
Traceloop, create, streamed: works | span: no tokens of input
Traceloop, parse: works | span: 10 tokens of input
Traceloop, stream: Error: Cannot read properties of undefined (reading 'signal') | span: no tokens of input
Traceloop, create, streamed, withResponse: TypeError: chat.create(...).withResponse is not a function | span: none
Traceloop, create, streamed, tee: TypeError: (intermediate value).tee is not a function | span: none
Traceloop, create, streamed, toReadableStream: TypeError: (intermediate value).toReadableStream is not a function | span: none
OpenInference, create: works | span: 10 tokens of input
OpenInference, create, streamed: works | span: no tokens of input
OpenInference, parse: works | span: 10 tokens of input
OpenInference, stream: works | span: no tokens of input
OpenInference, create, streamed, withResponse: works | span: no tokens of input
OpenInference, create, streamed, tee: works | span: no tokens of input
OpenInference, create, streamed, toReadableStream: works | span: no tokens of input
SEEN
