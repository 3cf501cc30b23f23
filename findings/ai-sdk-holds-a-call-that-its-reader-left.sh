#!/usr/bin/env bash
# Vercel's AI SDK: what becomes of the call when the reader of a stream leaves it (`break`, a cancelled response)?
#
# Guess: the request is given up, as the OpenAI SDK does at a `break`, so that the provider stops and no more tokens are billed;
# `onAbort` is called, and the spans of the run end.
#
# Found: the SDK neither reads on nor closes, by whichever way the reader leaves: `break`, an error thrown in the loop, a
# `Response` whose body is cancelled (a browser that was closed), and where nobody reads at all. An answer that fits into the
# buffers on the way is made and billed in full; of a longer one the connection stays open, and the provider waits. Neither
# `onAbort` nor `onEnd` is called, and no span of the run ends, so that the trace has none. Only an `abortSignal` stops the
# call; `consumeStream()` reads it to its end.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

npm install --silent --no-save --prefix "$work" ai@7.0.173 @ai-sdk/otel@1.0.173 @ai-sdk/openai-compatible@3.0.92 openai@7.59.0 \
  @opentelemetry/sdk-trace-node@2.12.1

cat > "$work/finding.mjs" <<'NODE'
import http from 'node:http';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { OpenTelemetry } from '@ai-sdk/otel';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';
import { registerTelemetry, streamText } from 'ai';
import OpenAI from 'openai';

const WORDS = { short: 'word '.repeat(20), long: 'word '.repeat(20_000) };
const chunk = (delta, finish) => `data: ${JSON.stringify({
  id: '1', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason: finish }],
})}\n\n`;

// A provider that takes two seconds for a short answer, and notes how each call ended. A long one is 20 MB.
let ended;
const server = http.createServer(async (request, response) => {
  let end;
  ended = new Promise((resolve) => { end = resolve; });
  let body = '';
  for await (const part of request) body += part;
  const { model } = JSON.parse(body);
  let over = false;
  response.setMaxListeners(0);
  response.on('close', () => { over = true; end(response.writableFinished ? 'answered in full' : 'given up'); });
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (let sent = 0; sent < 200 && !over; sent++) {
    if (!response.write(chunk({ content: WORDS[model] }, null))) {
      const drained = once(response, 'drain').then(() => true, () => true);
      if (!await Promise.race([drained, sleep(3000, false)])) over || end('held open');
    }
    await sleep(model === 'short' ? 10 : 0);
  }
  response.end(chunk({}, 'stop') + 'data: [DONE]\n\n');
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const baseURL = `http://127.0.0.1:${server.address().port}/v1`;

const leave = {
  'OpenAI SDK, break': async (run, model) => {
    const client = new OpenAI({ apiKey: 'key', baseURL });
    const messages = [{ role: 'user', content: 'Hi' }];
    for await (const _ of await client.chat.completions.create({ model, messages, stream: true })) break;
  },
  'AI SDK, break': async (run) => { for await (const _ of run().textStream) break; },
  'AI SDK, an error in the loop': async (run) => {
    try {
      for await (const _ of run().textStream) throw new Error('not today');
    } catch { /* the application's own */ }
  },
  'AI SDK, a cancelled response': async (run) => {
    const reader = run().toTextStreamResponse().body.getReader();
    await reader.read();
    await reader.cancel();
  },
  'AI SDK, nothing read': async (run) => { run(); await sleep(500); },
  'AI SDK, abortSignal': async (run) => {
    const abort = new AbortController();
    for await (const _ of run(abort.signal).textStream) abort.abort();
  },
  'AI SDK, read to its end': async (run) => { for await (const _ of run().textStream); },
};

const exporter = new InMemorySpanExporter();
new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register();
registerTelemetry(new OpenTelemetry());
const provider = createOpenAICompatible({ name: 'other', baseURL, apiKey: 'key' });
for (const [name, way] of Object.entries(leave)) {
  for (const model of ['short', 'long']) {
    const called = [];
    exporter.reset();
    await way((abortSignal) => streamText({
      model: provider(model), prompt: 'Hi', abortSignal,
      onAbort: () => { called.push('onAbort'); }, onEnd: () => { called.push('onEnd'); },
    }), model);
    const end = await ended;
    await sleep(500);
    const spans = exporter.getFinishedSpans().map((span) => span.name.split(' ')[0]).join(', ');
    const traced = name.startsWith('AI') ? `; called ${called.join(', ') || 'nothing'}; spans: ${spans || 'none'}` : '';
    console.log(`${name}, ${model}: ${end}${traced}`);
  }
}
process.exit(0);
NODE

npm ls --prefix "$work" --depth 0 | grep -oE '(@ai-sdk/(otel|openai-compatible)|\bai|openai)@[0-9.]+'
seen=$(cd "$work"; node finding.mjs)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
OpenAI SDK, break, short: given up
OpenAI SDK, break, long: given up
AI SDK, break, short: answered in full; called nothing; spans: none
AI SDK, break, long: held open; called nothing; spans: none
AI SDK, an error in the loop, short: answered in full; called nothing; spans: none
AI SDK, an error in the loop, long: held open; called nothing; spans: none
AI SDK, a cancelled response, short: answered in full; called nothing; spans: none
AI SDK, a cancelled response, long: held open; called nothing; spans: none
AI SDK, nothing read, short: answered in full; called nothing; spans: none
AI SDK, nothing read, long: held open; called nothing; spans: none
AI SDK, abortSignal, short: given up; called onAbort; spans: chat, step, invoke_agent
AI SDK, abortSignal, long: given up; called onAbort; spans: chat, step, invoke_agent
AI SDK, read to its end, short: answered in full; called onEnd; spans: chat, step, invoke_agent
AI SDK, read to its end, long: answered in full; called onEnd; spans: chat, step, invoke_agent
SEEN
