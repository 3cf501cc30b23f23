"""An upstream that tells what few do: cached tokens, its own times, what is left of its limits. Its model repeats itself."""

import json

from calls import TOOL, post
from json_server import JsonServer

MODEL = "gpt-4o-mini"
"""Has a price."""

_LIMITS = {"x-ratelimit-remaining-requests": "59", "x-ratelimit-remaining-tokens": "149984"}

_USAGE = {
    "prompt_tokens": 5000,
    "completion_tokens": 20,
    "total_tokens": 5020,
    "prompt_tokens_details": {"cached_tokens": 100},
    # As Groq has them.
    "queue_time": 0.01,
    "prompt_time": 0.02,
    "completion_time": 0.3,
}

_CALL = {"id": "call_1", "type": "function", "function": {"name": TOOL, "arguments": '{"river": "Isère"}'}}

_CHAT = {
    "object": "chat.completion",
    "model": MODEL,
    "choices": [{"index": 0, "message": {"role": "assistant", "tool_calls": [_CALL]}, "finish_reason": "tool_calls"}],
    "usage": _USAGE,
}

_OLLAMA = {
    "model": "llama3.2",
    "message": {"role": "assistant", "content": "3.2 m"},
    "done": True,
    "done_reason": "stop",
    "load_duration": 900_000_000,
    "prompt_eval_count": 9,
    "prompt_eval_duration": 20_000_000,
    "eval_count": 5,
    "eval_duration": 300_000_000,
}


def telling():
    """The upstream, listening."""
    return JsonServer(lambda path, _: (200, _OLLAMA if path == "/api/chat" else _CHAT, _LIMITS))


def converse(proxy, name):
    """An agent that goes round in a loop, whose system prompt changes at last; then a call of Ollama's own API."""
    tools = [{"type": "function", "function": {"name": TOOL, "parameters": {"type": "object"}}}]
    messages = [{"role": "system", "content": f"You read gauges, {name}."}, {"role": "user", "content": "How deep? " * 99}]

    def ask():
        body = {"model": MODEL, "messages": messages, "tools": tools}
        _, answer = post(f"{proxy.base_url}/chat/completions", body, {"x-conversation-id": name, "traceparent": ""})
        messages.append(json.loads(answer)["choices"][0]["message"])
        messages.append({"role": "tool", "tool_call_id": "call_1", "content": "no such river"})

    for _ in range(4):
        ask()
    messages[0]["content"] += " Be brief."
    ask()
    post(f"http://{proxy.proxy}/api/chat", {"model": "llama3.2", "stream": False, "messages": messages[1:2]})
