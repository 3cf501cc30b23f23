"""A RAG service: retrieval, prompt assembly, inference, streamed to whoever asks. uvicorn rag_service:app

GET /ask?question=… answers at once. POST /summaries?question=… puts the work into a queue, for rag_worker.py, with the
context of the trace in the message. Each step is a span; that of each call to a model is the proxy's.
"""

import json
import operator
import os
from contextlib import asynccontextmanager

import openai
import redis.asyncio
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from opentelemetry import propagate
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

from telemetry import tracer

MODEL = os.environ.get("MODEL", "gpt-4o-mini")
DOCUMENTS = [
    "The Rhine is 3.2 m deep at Kaub today.",
    "The Elbe carries 320 m³ a second at Dresden.",
    "A stream gauge measures the height of the water.",
]

client = openai.AsyncOpenAI()
queue = redis.asyncio.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379"))


async def embed(texts):
    answer = await client.embeddings.create(model="text-embedding-3-small", input=texts)
    return [item.embedding for item in answer.data]


@asynccontextmanager
async def lifespan(app):
    app.state.index = await embed(DOCUMENTS)
    yield


app = FastAPI(lifespan=lifespan)
FastAPIInstrumentor.instrument_app(app, exclude_spans=["receive", "send"])


async def retrieve(question):
    with tracer.start_as_current_span("llm.pipeline.retrieval"):
        (asked,) = await embed([question])
        return max(zip(app.state.index, DOCUMENTS), key=lambda entry: sum(map(operator.mul, asked, entry[0])))[1]


def assemble(question, document):
    with tracer.start_as_current_span("llm.pipeline.prompt-assembly"):
        return [
            {"role": "system", "content": f"Answer from this text only: {document}"},
            {"role": "user", "content": question},
        ]


@app.get("/ask")
async def ask(question: str):
    async def answer():
        with tracer.start_as_current_span("llm.pipeline.full"):
            messages = assemble(question, await retrieve(question))
            with tracer.start_as_current_span("llm.pipeline.inference"):
                chunks = await client.chat.completions.create(
                    # The proxy puts the template's name on the call's span.
                    model=MODEL, messages=messages, stream=True, extra_headers={"x-prompt-template": "answer-from-text"}
                )
                async for chunk in chunks:
                    if chunk.choices:
                        yield chunk.choices[0].delta.content or ""

    return StreamingResponse(answer(), media_type="text/plain")


@app.post("/summaries", status_code=202)
async def summarise(question: str):
    with tracer.start_as_current_span("llm.pipeline.full"):
        message = {"messages": assemble(question, await retrieve(question)), "_trace_ctx": {}}
        # What the headers of a request would carry: traceparent and tracestate.
        propagate.inject(message["_trace_ctx"])
        await queue.rpush("summaries", json.dumps(message))
    return {"queued": 1}
