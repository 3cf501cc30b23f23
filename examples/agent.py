"""An agent with a tool: the model asks for a reading, gets it, and answers. python agent.py "How deep is the Rhine?"

The application has spans of the run and of the tool. The proxy's spans, one for each call of the model and one for the wait
between a tool call and its result, join them in one trace.
"""

import json
import os
import sys

import openai

from telemetry import tracer

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "read_gauge",
            "description": "The depth of a river, in metres.",
            "parameters": {"type": "object", "properties": {"river": {"type": "string"}}, "required": ["river"]},
        },
    }
]


def read_gauge(river=None):
    return {"river": river, "depth_m": 3.2}


def run(question):
    client, messages = openai.OpenAI(), [{"role": "user", "content": question}]
    while True:
        answer = client.chat.completions.create(
            model=os.environ.get("MODEL", "gpt-4o-mini"), messages=messages, tools=TOOLS
        )
        message = answer.choices[0].message
        messages.append(message.model_dump(exclude_none=True))
        if not message.tool_calls:
            return message.content
        for call in message.tool_calls:
            with tracer.start_as_current_span(f"execute_tool {call.function.name}"):
                result = read_gauge(**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": json.dumps(result)})


if __name__ == "__main__":
    with tracer.start_as_current_span("agent"):
        print(run(" ".join(sys.argv[1:]) or "How deep is the Rhine?"))
