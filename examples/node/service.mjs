// A service that streams a model's answer to whoever asks: node service.mjs, then curl 'http://127.0.0.1:3000/ask?question=…'
import "./telemetry.mjs";

import { createServer } from "node:http";

import { context, propagation, SpanKind, trace } from "@opentelemetry/api";
import OpenAI from "openai";

const client = new OpenAI();
const tracer = trace.getTracer("examples");

async function answer(request, response) {
  const question = new URL(request.url, "http://service").searchParams.get("question");
  response.setHeader("content-type", "text/plain; charset=utf-8");
  const stream = await client.chat.completions.create({
    model: process.env.MODEL ?? "gpt-4o-mini",
    messages: [{ role: "user", content: question }],
    stream: true,
  });
  for await (const chunk of stream) response.write(chunk.choices[0]?.delta?.content ?? "");
  response.end();
}

// The caller's trace goes on, so its spans, those of this service and the proxy's are one tree.
function traced(request, response) {
  const caller = propagation.extract(context.active(), request.headers);
  tracer.startActiveSpan("GET /ask", { kind: SpanKind.SERVER }, caller, async (span) => {
    await answer(request, response).catch((error) => {
      span.recordException(error);
      response.destroy(error);
    });
    span.end();
  });
}

const server = createServer(traced).listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () =>
  console.log(`listening on 127.0.0.1:${server.address().port}`),
);
