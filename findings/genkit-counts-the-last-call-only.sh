#!/usr/bin/env bash
# Genkit: what does `response.usage` of a `generate()` with a tool count?
#
# Guess: the tokens of the whole of it, as in the other frameworks for agents. One `generate()` with a tool is two calls of the
# model: one that asks for the tool, and one that answers with its result.
#
# Found: those of the last call only, streamed or not. Here 1,400 tokens of input were used and 100 are reported. Nothing else on
# the response has the others: its messages have no usage. With more rounds more is lost. Cached tokens are not reported either.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init --yes > /dev/null
npm install --silent --no-fund --no-audit genkit@1.42.0 @genkit-ai/compat-oai@1.42.0

cat > finding.mjs <<'NODE'
import http from 'node:http';
import { openAICompatible } from '@genkit-ai/compat-oai';
import { genkit, z } from 'genkit';

const CALL = { index: 0, id: 'call_1', type: 'function', function: { name: 'search', arguments: '{"query":"streams"}' } };
// By the number of tool results that the model has been given.
const ANSWERS = [
  [{ role: 'assistant', content: null, tool_calls: [CALL] }, 'tool_calls', [500, 30]],
  [{ role: 'assistant', content: null, tool_calls: [CALL] }, 'tool_calls', [800, 20]],
  [{ role: 'assistant', content: 'Found.' }, 'stop', [100, 10]],
];
let calls = 0;

const server = http.createServer(async (request, response) => {
  let body = '';
  for await (const part of request) body += part;
  const { stream, messages } = JSON.parse(body);
  calls += 1;
  const [message, finish_reason, [prompt_tokens, completion_tokens]] = ANSWERS[messages.filter(({ role }) => role === 'tool').length];
  const details = { prompt_tokens_details: { cached_tokens: 64 } };
  const usage = { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens, ...details };
  const answer = { id: '1', object: stream ? 'chat.completion.chunk' : 'chat.completion', created: 1, model: 'm' };
  const choice = { index: 0, finish_reason: stream ? null : finish_reason, [stream ? 'delta' : 'message']: message };
  response.setHeader('content-type', stream ? 'text/event-stream' : 'application/json');
  if (!stream) return response.end(JSON.stringify({ ...answer, choices: [choice], usage }));
  const end = { index: 0, delta: {}, finish_reason };
  const chunks = [{ ...answer, choices: [choice] }, { ...answer, choices: [end] }, { ...answer, choices: [], usage }];
  response.end([...chunks.map(JSON.stringify), '[DONE]'].map((event) => `data: ${event}\n\n`).join(''));
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));

const baseURL = `http://127.0.0.1:${server.address().port}/v1`;
const ai = genkit({ plugins: [openAICompatible({ name: 'local', apiKey: 'key', baseURL })] });
const inputSchema = z.object({ query: z.string() });
const search = ai.defineTool({ name: 'search', description: 'Searches.', inputSchema }, async () => 'found');
for (const [name, generate] of [
  ['not streamed', (options) => ai.generate(options)],
  ['streamed', (options) => ai.generateStream(options).response],
]) {
  calls = 0;
  const { text, usage, messages } = await generate({ model: 'local/m', prompt: 'Hi', tools: [search] });
  const elsewhere = JSON.stringify(messages).includes('Tokens');
  console.log(`${name}: ${calls} calls of 1400 in, 60 out; ${text} usage`, JSON.stringify(usage), `on messages ${elsewhere}`);
}
process.exit();
NODE

npm ls --depth 0 | grep genkit
seen=$(GENKIT_ENV=prod node finding.mjs)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
not streamed: 3 calls of 1400 in, 60 out; Found. usage {"inputTokens":100,"outputTokens":10,"totalTokens":110} on messages false
streamed: 3 calls of 1400 in, 60 out; Found. usage {"inputTokens":100,"outputTokens":10,"totalTokens":110} on messages false
SEEN
