// Runs the task with one framework, once for each base URL it is told on standard input, and prints what came of it, as run.py.
// `process.hrtime` reads the clock that all processes of a machine share.

import { readFileSync } from "node:fs";
import { z } from "zod";

let tools;
let ran = [];

async function timed(name, input) {
  const begun = Number(process.hrtime.bigint());
  await new Promise((resolve) => setTimeout(resolve, tools[name].seconds * 1000));
  ran.push({ name, arguments: input, begun, ended: Number(process.hrtime.bigint()) });
  return tools[name].says[input.city];
}

const TOOLS = {
  weather: {
    description: "The temperature in a city.",
    schema: z.object({ city: z.string(), unit: z.string() }),
    execute: (input) => timed("weather", input),
  },
  population: {
    description: "How many people live in a city.",
    schema: z.object({ city: z.string() }),
    execute: (input) => timed("population", input),
  },
};

const orders = JSON.parse(readFileSync(0, "utf8"));
const { run } = await import(`./${process.argv[2]}.mjs`);
const outcome = {};
for (const [name, order] of Object.entries(orders)) {
  ran = [];
  tools = order.tools;
  const answers = await run(order.base_url, order.streamed, order.questions, TOOLS);
  outcome[name] = { answers, tools: ran };
}
console.log(`\n${JSON.stringify(outcome)}`);
