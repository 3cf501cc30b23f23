#!/usr/bin/env bash
# Mastra: what does an agent do with a whole answer whose finish reason is none of OpenAI's?
#
# Guess: it takes the answer. There is text, there is no tool call, and so nothing to go on with. Other servers end with reasons of
# their own (`eos`, `abort`, DeepSeek's `insufficient_system_resource`), and some send none.
#
# Found: it sends the request again, with the answer so far behind it, until its five steps are used up: five calls of the model for
# one, five times the tokens, and a text that has the answer five times. No error says so. An answer that was cut off (`length`) is
# taken as it is. `maxSteps: 1` prevents it, but then no tool's result is used; a `stopWhen` that ends after a step without tool
# calls does too. Known upstream for a stream without any output: mastra-ai/mastra#21897.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init --yes > /dev/null
npm install --silent --no-fund --no-audit @mastra/core@1.71.0

cat > finding.mjs <<'NODE'
import http from 'node:http';
import { Agent } from '@mastra/core/agent';

const REASONS = ['stop', 'length', 'eos', 'abort', 'insufficient_system_resource', '', null];
const bodies = [];

// The model's name is the number of the finish reason to answer with.
const server = http.createServer(async (request, response) => {
  let body = '';
  for await (const part of request) body += part;
  bodies.push(JSON.parse(body));
  const { model } = bodies.at(-1);
  const usage = { prompt_tokens: 100, completion_tokens: 20, total_tokens: 120 };
  const chunks = [
    { choices: [{ index: 0, delta: { role: 'assistant', content: 'Hello.' }, finish_reason: null }] },
    { choices: [{ index: 0, delta: {}, finish_reason: REASONS[model] }], usage },
  ].map((chunk) => JSON.stringify({ id: '1', object: 'chat.completion.chunk', created: 1, model, ...chunk }));
  response.setHeader('content-type', 'text/event-stream');
  response.end([...chunks, '[DONE]'].map((event) => `data: ${event}\n\n`).join(''));
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const url = `http://127.0.0.1:${server.address().port}/v1`;

async function ask(number, kind = '', options = {}) {
  bodies.length = 0;
  const agent = new Agent({ id: 'a', name: 'a', instructions: 'Be kind.', model: { id: `local/${number}`, url, apiKey: 'key' } });
  const answer = await agent.stream('Hi', options);
  let text = '';
  for await (const part of answer.textStream) text += part;
  const { inputTokens } = await answer.totalUsage;
  const roles = bodies.at(-1).messages.map(({ role }) => role[0]).join('');
  console.log(`${JSON.stringify(REASONS[number])}${kind}: ${bodies.length} calls, ${inputTokens} tokens in, ${text}, last request ${roles}`);
}

for (const number of REASONS.keys()) await ask(number);
await ask(REASONS.indexOf('eos'), ', maxSteps', { maxSteps: 1 });
await ask(REASONS.indexOf('eos'), ', stopWhen', { stopWhen: ({ steps }) => steps.at(-1).toolCalls.length === 0 });
process.exit();
NODE

npm ls --depth 0 | grep mastra
seen=$(MASTRA_TELEMETRY_DISABLED=1 node finding.mjs)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
"stop": 1 calls, 100 tokens in, Hello., last request su
"length": 1 calls, 100 tokens in, Hello., last request su
"eos": 5 calls, 500 tokens in, Hello.Hello.Hello.Hello.Hello., last request sua
"abort": 5 calls, 500 tokens in, Hello.Hello.Hello.Hello.Hello., last request sua
"insufficient_system_resource": 5 calls, 500 tokens in, Hello.Hello.Hello.Hello.Hello., last request sua
"": 5 calls, 500 tokens in, Hello.Hello.Hello.Hello.Hello., last request sua
null: 5 calls, 500 tokens in, Hello.Hello.Hello.Hello.Hello., last request sua
"eos", maxSteps: 1 calls, 100 tokens in, Hello., last request su
"eos", stopWhen: 1 calls, 100 tokens in, Hello., last request su
SEEN
