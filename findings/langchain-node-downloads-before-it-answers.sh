#!/usr/bin/env bash
# LangChain for Node: how long does a streamed call take on a machine that has no way out but to its model?
#
# Guess: as long as the model. The server is on 127.0.0.1, answers at once, and reports the usage; there is nothing else to ask
# anybody. `fetch` of the process refuses every other host, as the network of a closed site does.
#
# Found: minutes. `invoke` of a model with `streaming: true` counts tokens itself once the answer is there, for an estimate beside
# the reported usage, and wants a table for that from a public web site. It asks again and again, with growing pauses, and the
# answer waits until it gives up: for 178 s when measured to the end, in two rounds of seven requests. This script looks for ten
# seconds only. Not streamed, and with `stream()`, nobody else is asked. Seen before by freelensapp/freelens-ai-extension#182.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

npm install --silent --no-save --prefix "$work" @langchain/openai@1.5.8 @langchain/core@1.4.0

cat > "$work/finding.mjs" <<'NODE'
import { createServer } from 'node:http';

import { ChatOpenAI } from '@langchain/openai';

const PATIENCE_MS = 10_000;
const head = (object) => ({ id: '1', object, created: 1, model: 'm' });
const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 };
const whole = {
  ...head('chat.completion'), usage,
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' }],
};
const chunks = [
  { choices: [{ index: 0, delta: { role: 'assistant', content: 'Hello' }, finish_reason: null }] },
  { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
  { choices: [], usage },
].map((chunk) => ({ ...head('chat.completion.chunk'), ...chunk }));

const server = createServer(async (request, response) => {
  let body = '';
  for await (const part of request) body += part;
  const { stream } = JSON.parse(body);
  const events = [...chunks.map((chunk) => JSON.stringify(chunk)), '[DONE]'];
  response.writeHead(200, { 'content-type': stream ? 'text/event-stream' : 'application/json' });
  response.end(stream ? events.map((event) => `data: ${event}\n\n`).join('') : JSON.stringify(whole));
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));

const inside = globalThis.fetch;
const outside = [];
globalThis.fetch = async (url, options) => {
  const { hostname } = new URL(url.url ?? url);
  if (hostname === '127.0.0.1') return inside(url, options);
  outside.push(hostname);
  throw new TypeError('fetch failed');
};
console.warn = () => {};

const model = (options) => new ChatOpenAI({
  model: 'm', apiKey: 'key', ...options, configuration: { baseURL: `http://127.0.0.1:${server.address().port}/v1` },
});
const collect = async (stream) => {
  let text = '';
  for await (const chunk of await stream) text += chunk.content;
  return text;
};
const calls = {
  invoke: async () => (await model({}).invoke('Hi')).content,
  stream: () => collect(model({}).stream('Hi')),
  'invoke, streaming: true': async () => (await model({ streaming: true }).invoke('Hi')).content,
};
for (const [name, call] of Object.entries(calls)) {
  outside.length = 0;
  const patience = new Promise((resolve) => { setTimeout(resolve, PATIENCE_MS, 'no answer in ten seconds'); });
  const said = await Promise.race([call(), patience]);
  console.log(`${name}: ${said}, other hosts asked: ${outside.length > 1 ? 'more than once' : outside.length}`);
}
process.exit();
NODE

npm ls --prefix "$work" --depth 0 | grep -o '@langchain/[a-z]*@[0-9.]*'
seen=$(cd "$work"; node finding.mjs)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
invoke: Hello, other hosts asked: 0
stream: Hello, other hosts asked: 0
invoke, streaming: true: no answer in ten seconds, other hosts asked: more than once
SEEN
