"""The calls that both SDKs make, direct and through the proxy.

Each case asks a simulated model for an answer that a seed and fixed times determine; what each model does stands in
`src/simulate/model.rs`.
"""

THINK_MS = 150
"""Time until a simulated model's first event."""

KNOBS = {"x-sim-seed": "7", "x-sim-chunks": "12", "x-sim-interval-ms": "5", "x-sim-think-ms": str(THINK_MS)}

QUESTION = [{"role": "user", "content": "How deep is the river at the bridge? \u6df1\u3055\u306f\uff1f"}]

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "gauge",
            "description": "Reads a stream gauge",
            "parameters": {"type": "object", "properties": {"station": {"type": "string"}}},
        },
    }
]

FUNCTIONS = [{"type": "function", "strict": False, **TOOLS[0]["function"]}]
"""The same tools as the Responses API has them."""

TOOL_RESULT = [
    *QUESTION,
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "gauge", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "2.31 m"},
]


SOUND = "RIFF" * 50_000
"""A file to upload; the simulated upstream does not listen to it."""


def _case(api, model, *, stop_after=None, headers=None, file=None, **body):
    return {
        "api": api,
        "body": {"model": model, **body},
        "file": file,
        "headers": {**KNOBS, **(headers or {})},
        "stop_after": stop_after,
    }


def _chat(model, **options):
    return _case("chat.completions.create", model, **{"messages": QUESTION, **options})


def _response(model, **options):
    return _case("responses.create", model, **{"input": QUESTION, **options})


def _both(name, make=_chat, **options):
    """A case as one answer, and as a stream."""
    return {name: make(**options), f"{name}-streamed": make(**options, stream=True)}


def _retrieval(**query):
    """The fetch of a response that exists."""
    body = {"response_id": "resp_7", **query}
    return {"api": "responses.retrieve", "body": body, "file": None, "headers": {}, "stop_after": None}


CASES = {
    **_both("chat", model="sim-chat"),
    **_both("three-choices", model="sim-chat", n=3),
    **_both("reasoning", model="sim-reasoning"),
    **_both("refusal", model="sim-refuse"),
    **_both("tools", model="sim-tools", tools=TOOLS),
    **_both("tool-result", model="sim-tools", tools=TOOLS, messages=TOOL_RESULT),
    **_both("error-400", model="sim-error-400"),
    **_both("error-429", model="sim-error-429"),
    **_both("error-500", model="sim-error-500"),
    # The upstream breaks after half of its events; with 13 tokens one more, the usage, moves the half by nothing.
    **_both("cut", model="sim-cut", headers={"x-sim-chunks": "13"}),
    "usage-streamed": _chat("sim-chat", stream=True, stream_options={"include_usage": True}),
    "no-usage-streamed": _chat("sim-no-usage", stream=True),
    "no-stream-options-streamed": _chat("sim-no-stream-options", stream=True),
    "no-done-streamed": _chat("sim-no-done", stream=True),
    "error-midstream": _chat("sim-error-midstream", stream=True),
    "cancelled": _chat("sim-chat", stream=True, stop_after=3, headers={"x-sim-chunks": "4000"}),
    "completion": _case("completions.create", "sim-chat", prompt="The river"),
    "completion-streamed": _case("completions.create", "sim-chat", prompt="The river", stream=True),
    "image": _case("images.generate", "gpt-image-1", prompt="a river", n=2),
    "image-streamed": _case("images.generate", "gpt-image-1", prompt="a river", stream=True),
    "image-error-400": _case("images.generate", "sim-error-400", prompt="a river"),
    "image-edit": _case("images.edit", "gpt-image-1", prompt="a bridge", file=SOUND),
    "speech": _case("audio.speech.create", "tts-1", input="How deep?", voice="alloy"),
    "transcription": _case("audio.transcriptions.create", "whisper-1", file=SOUND),
    "transcription-text": _case("audio.transcriptions.create", "whisper-1", file=SOUND, response_format="text"),
    "transcription-streamed": _case("audio.transcriptions.create", "whisper-1", file=SOUND, stream=True),
    "translation": _case("audio.translations.create", "whisper-1", file=SOUND),
    **_both("response", _response, model="sim-chat"),
    **_both("response-reasoning", _response, model="sim-reasoning"),
    **_both("response-refusal", _response, model="sim-refuse"),
    **_both("response-tools", _response, model="sim-tools", tools=FUNCTIONS),
    **_both("response-incomplete", _response, model="sim-chat", max_output_tokens=3),
    **_both("response-error-429", _response, model="sim-error-429"),
    **_both("response-cut", _response, model="sim-cut"),
    "response-error-midstream": _response("sim-error-midstream", stream=True),
    "response-cancelled": _response("sim-chat", stream=True, stop_after=6, headers={"x-sim-chunks": "4000"}),
    "retrieve": _retrieval(),
    "retrieve-streamed": _retrieval(stream=True),
    "retrieve-resumed": _retrieval(stream=True, starting_after=6),
}
"""Every case by name: which API, the body, a file to upload, extra headers, and after how many chunks the client leaves."""


def trace_context(sdk, name):
    """The trace that an SDK (a number) makes a case's call in, and the `traceparent` that says so."""
    trace_id = f"{sdk:016x}{list(CASES).index(name) + 1:016x}"
    return trace_id, f"00-{trace_id}-00f067aa0ba902b7-01"


def comparable(seen):
    """What a client saw, less what two calls at different times may differ in.

    `created`, `created_at` and the `date` header are times. A `usage` of null is what an upstream adds to the other chunks of a
    stream that is asked for usage, and stays where the proxy asked.
    """
    if isinstance(seen, list):
        return [comparable(item) for item in seen]
    if not isinstance(seen, dict):
        return seen
    times = {key: type(value).__name__ for key, value in seen.items() if key in ("created", "created_at", "date")}
    kept = {k: comparable(v) for k, v in seen.items() if k not in times and not (k == "usage" and v is None)}
    return kept | times
