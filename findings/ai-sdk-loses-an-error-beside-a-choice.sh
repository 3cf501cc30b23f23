#!/usr/bin/env bash
# Vercel's AI SDK: what does it make of an error in the middle of a chat stream?
#
# Guess: an error for the application, whichever of its two providers for this API is used: `@ai-sdk/openai` (`chat()`) or
# `@ai-sdk/openai-compatible`; and whether the error comes alone, as OpenAI sends it, or in a chunk with a choice whose finish
# reason is `error`, as OpenRouter documents it.
#
# Found: `@ai-sdk/openai` loses the second. It tries the chunk's schema before that of an error, and the chunk's schema takes the
# event without its `error`: no `onError`, no word of what happened, half an answer with the finish reason `other`. The other
# provider reports it. `@ai-sdk/openai` is written for OpenAI itself, and has a base URL that is often set to other servers.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

npm install --silent --no-save --prefix "$work" ai@6.0.326 @ai-sdk/openai@3.0.141 @ai-sdk/openai-compatible@2.0.92

cat > "$work/finding.mjs" <<'NODE'
import { createServer } from 'node:http';

import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { streamText } from 'ai';

const chunk = (delta, finish_reason, rest) => ({
  id: '1', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason }], ...rest,
});
const error = { message: 'overloaded', type: 'server_error', code: 'server_error' };
const begin = chunk({ role: 'assistant', content: 'Half of' }, null);
const streams = {
  alone: [begin, { error }],
  'beside a choice': [begin, chunk({ content: '' }, 'error', { error })],
};

const server = createServer(async (request, response) => {
  let body = '';
  for await (const part of request) body += part;
  const events = [...streams[JSON.parse(body).model].map((event) => JSON.stringify(event)), '[DONE]'];
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.end(events.map((event) => `data: ${event}\n\n`).join(''));
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const baseURL = `http://127.0.0.1:${server.address().port}/v1`;

const openai = createOpenAI({ baseURL, apiKey: 'key' });
const compatible = createOpenAICompatible({ name: 'other', baseURL, apiKey: 'key' });
for (const [name, provider] of [['openai', openai.chat], ['openai-compatible', compatible]]) {
  for (const model of Object.keys(streams)) {
    let told = 'no error';
    const result = streamText({
      model: provider(model), prompt: 'Hi', maxRetries: 0,
      onError: ({ error }) => { told = `error "${error.message ?? error}"`; },
    });
    let text = '';
    for await (const part of result.textStream) text += part;
    console.log(`${name}, ${model}: "${text}", finish reason ${await result.finishReason}, ${told}`);
  }
}
server.closeAllConnections();
server.close();
NODE

npm ls --prefix "$work" --depth 0 | grep -oE '(@ai-sdk/[a-z-]+|\bai)@[0-9.]+'
seen=$(cd "$work"; node finding.mjs)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
openai, alone: "Half of", finish reason error, error "overloaded"
openai, beside a choice: "Half of", finish reason other, no error
openai-compatible, alone: "Half of", finish reason error, error "overloaded"
openai-compatible, beside a choice: "Half of", finish reason error, error "overloaded"
SEEN
