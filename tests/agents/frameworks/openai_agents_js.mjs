// OpenAI Agents SDK for JavaScript, over chat completions.

import { Agent, OpenAIChatCompletionsModel, run as runAgent, setTracingDisabled, tool, user } from "@openai/agents";
import OpenAI from "openai";

setTracingDisabled(true);

export async function run(base_url, streamed, questions, tools) {
  const client = new OpenAI({ baseURL: base_url, apiKey: "sk-test", maxRetries: 0 });
  const known = Object.entries(tools).map(([name, { description, schema, execute }]) =>
    tool({ name, description, parameters: schema, execute }),
  );
  const model = new OpenAIChatCompletionsModel(client, "scripted");
  const agent = new Agent({ name: "guide", instructions: "Help.", model, tools: known });
  let history = [];
  const said = [];
  for (const question of questions) {
    history = [...history, user(question)];
    const result = await runAgent(agent, history, { stream: streamed });
    if (streamed) {
      await result.completed;
    }
    history = result.history;
    said.push(result.finalOutput);
  }
  return said;
}
