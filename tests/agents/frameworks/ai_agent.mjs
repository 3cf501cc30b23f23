// Vercel AI SDK, over chat completions.

import { createOpenAI } from "@ai-sdk/openai";
import { generateText, stepCountIs, streamText, tool } from "ai";

export async function run(base_url, streamed, questions, tools) {
  const openai = createOpenAI({ baseURL: base_url, apiKey: "sk-test" });
  const known = {};
  for (const [name, { description, schema, execute }] of Object.entries(tools)) {
    known[name] = tool({ description, inputSchema: schema, execute });
  }
  const options = { model: openai.chat("scripted"), system: "Help.", tools: known, stopWhen: stepCountIs(5), maxRetries: 0 };
  const messages = [];
  const said = [];
  for (const question of questions) {
    messages.push({ role: "user", content: question });
    const result = streamed ? streamText({ ...options, messages }) : await generateText({ ...options, messages });
    said.push(await result.text);
    messages.push(...(await result.response).messages);
  }
  return said;
}
