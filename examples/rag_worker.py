"""The worker behind the queue of rag_service.py: one call for each message. python rag_worker.py [MESSAGES]

It knows nothing of tracing. It passes the message's `_trace_ctx` on in the request; the proxy takes it out, and puts the span
of the call below that of whoever queued the message.
"""

import json
import os
import sys

import openai
import redis

client = openai.OpenAI()
queue = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379"))

# A number of messages, or for ever.
for _ in range(int(sys.argv[1])) if len(sys.argv) > 1 else iter(int, 1):
    _, message = queue.blpop(["summaries"])
    message = json.loads(message)
    answer = client.chat.completions.create(
        model=os.environ.get("MODEL", "gpt-4o-mini"),
        messages=message["messages"],
        extra_body={"_trace_ctx": message["_trace_ctx"]},
    )
    print(answer.choices[0].message.content, flush=True)
