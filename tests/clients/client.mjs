// Makes calls with the OpenAI npm SDK and prints what the SDK showed.
//
// Standard input: {"base_url", "calls": {name: {"api", "body", "file", "headers", "stop_after"}}}.
// Standard output: {name: {"seen", "first_ms"}}, `first_ms` being the time to the first chunk with output.

import OpenAI, { toFile } from "openai";
import { text } from "node:stream/consumers";

const { base_url, calls } = JSON.parse(await text(process.stdin));
const client = new OpenAI({ baseURL: base_url, apiKey: "sk-test", maxRetries: 0, timeout: 60_000 });

// Calls the method of that name; what is fetched stands before the body, which is a query then.
function call(api, { response_id, ...body }, options) {
  const id = response_id === undefined ? [] : [response_id];
  const names = api.split(".");
  const method = names.pop();
  return names.reduce((resource, name) => resource[name], client)[method](...id, body, options);
}

async function upload(api, file) {
  if (file === null) return {};
  const name = api.startsWith("images") ? "image" : "file";
  return { [name]: await toFile(Buffer.from(file), "upload.bin", { type: "application/octet-stream" }) };
}

// An answer as plain data, whether it is an object, text or sound.
async function shown(answer) {
  return answer instanceof Response ? Buffer.from(await answer.arrayBuffer()).toString("hex") : answer;
}

function headersOf(headers) {
  return [...headers].filter(([name]) => name !== "date").sort();
}

function hasOutput(chunk) {
  if (!chunk.choices) return Boolean(chunk.delta || chunk.b64_json);
  return chunk.choices.some(
    (choice) => choice.text || Object.entries(choice.delta ?? {}).some(([key, value]) => key !== "role" && value),
  );
}

async function see({ api, body, file, headers, stop_after }) {
  const seen = { chunks: [] };
  const start = performance.now();
  let first_ms = null;
  try {
    const { data, response } = await call(api, { ...body, ...(await upload(api, file)) }, { headers }).withResponse();
    Object.assign(seen, { status: response.status, headers: headersOf(response.headers) });
    if (!body.stream) {
      seen.answer = await shown(data);
      return { seen, first_ms };
    }
    for await (const chunk of data) {
      if (first_ms === null && hasOutput(chunk)) first_ms = performance.now() - start;
      seen.chunks.push(chunk);
      if (seen.chunks.length === stop_after) break;
    }
  } catch (error) {
    seen.error = { class: error.constructor.name, text: String(error), cause: String(error.cause ?? "") };
    if (error instanceof OpenAI.APIError) {
      const { status, code, type, error: body } = error;
      Object.assign(seen.error, { status, code, type, body, headers: headersOf(error.headers ?? []) });
    }
  }
  return { seen, first_ms };
}

const results = {};
for (const [name, order] of Object.entries(calls)) results[name] = await see(order);
console.log(JSON.stringify(results));
