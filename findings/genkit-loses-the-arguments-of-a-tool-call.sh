#!/usr/bin/env bash
# Genkit's plugin for OpenAI-compatible servers: with what arguments does a tool run if the finish reason is `stop`?
#
# Guess: with those of the model. They are whole, and what a call is depends on nothing else. Ollama ends streams of tool calls with
# `stop`, and so does the compatible API of Gemini (googleapis/python-genai#2868), whose maker Genkit's is.
#
# Found: with the empty string, streamed or not. The arguments are read only beside the finish reason `tool_calls`. With any other,
# a tool that has no schema for its input runs with `""`; for one that has, `generate()` fails with `must be object`, which puts the
# blame on the model, whose arguments were right.
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

// The model's name is the finish reason to answer with, until it is given a tool's result.
const server = http.createServer(async (request, response) => {
  let body = '';
  for await (const part of request) body += part;
  const { model, stream, messages, tools } = JSON.parse(body);
  const { name } = tools[0].function;
  const call = { index: 0, id: 'call_1', type: 'function', function: { name, arguments: '{"query":"streams"}' } };
  const done = messages.some(({ role }) => role === 'tool');
  const message = { role: 'assistant', ...(done ? { content: 'Done.' } : { content: null, tool_calls: [call] }) };
  const finish_reason = done ? 'stop' : model;
  const answer = { id: '1', object: stream ? 'chat.completion.chunk' : 'chat.completion', created: 1, model };
  response.setHeader('content-type', stream ? 'text/event-stream' : 'application/json');
  if (!stream) return response.end(JSON.stringify({ ...answer, choices: [{ index: 0, message, finish_reason }] }));
  const choices = [{ index: 0, delta: message, finish_reason: null }, { index: 0, delta: {}, finish_reason }];
  const events = choices.map((choice) => JSON.stringify({ ...answer, choices: [choice] }));
  response.end([...events, '[DONE]'].map((event) => `data: ${event}\n\n`).join(''));
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));

const baseURL = `http://127.0.0.1:${server.address().port}/v1`;
const ai = genkit({ plugins: [openAICompatible({ name: 'local', apiKey: 'key', baseURL })] });
let ran;
const run = async (input) => {
  ran = JSON.stringify(input);
  return 'found';
};
const description = 'Searches.';
const tools = {
  'without a schema': ai.defineTool({ name: 'free', description }, run),
  'with a schema': ai.defineTool({ name: 'strict', description, inputSchema: z.object({ query: z.string() }) }, run),
};
for (const [kind, tool] of Object.entries(tools)) {
  for (const reason of ['tool_calls', 'stop']) {
    for (const streamed of [false, true]) {
      ran = 'not';
      const options = { model: `local/${reason}`, prompt: 'Hi', tools: [tool] };
      const answer = streamed ? ai.generateStream(options).response : ai.generate(options);
      const end = await answer.then(({ text }) => text, (error) => error.message.match(/must be \w+/)?.[0] ?? error.message);
      console.log(`${kind}, ${reason}, ${streamed ? '' : 'not '}streamed: ran ${ran}, ${end}`);
    }
  }
}
process.exit();
NODE

npm ls --depth 0 | grep genkit
seen=$(GENKIT_ENV=prod node finding.mjs)
echo "$seen"

diff <(echo "$seen") - <<'SEEN'
without a schema, tool_calls, not streamed: ran {"query":"streams"}, Done.
without a schema, tool_calls, streamed: ran {"query":"streams"}, Done.
without a schema, stop, not streamed: ran "", Done.
without a schema, stop, streamed: ran "", Done.
with a schema, tool_calls, not streamed: ran {"query":"streams"}, Done.
with a schema, tool_calls, streamed: ran {"query":"streams"}, Done.
with a schema, stop, not streamed: ran not, must be object
with a schema, stop, streamed: ran not, must be object
SEEN
