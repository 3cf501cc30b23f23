"""What must hold for every call, whichever SDK made it."""

from cases import CASES, THINK_MS, comparable


OPERATIONS = {
    "responses.create": "chat",
    "responses.retrieve": "fetch_response",
    "images.generate": "image_generation",
    "images.edit": "image_generation",
    "audio.speech.create": "speech",
    "audio.transcriptions.create": "transcription",
    "audio.translations.create": "translation",
}


def _usage(seen):
    """Tokens as the newer APIs show them, in an answer or in the last event."""
    last = seen["chunks"][-1] if seen["chunks"] else seen.get("answer")
    usage = (last.get("response") or last).get("usage") if isinstance(last, dict) else None
    return usage if usage and "input_tokens" in usage else None


def check_equal(direct, proxied):
    """A client saw through the proxy what it sees without one."""
    assert comparable(proxied) == comparable(direct)


def check_measured(name, seen, first_ms, attributes):
    """What was exported for a call agrees with what its client saw.

    The proxy stands between the two: it sees the first token after the model has thought and before the client does.
    """
    case = CASES[name]
    assert attributes.get("gen_ai.request.model") == case["body"].get("model")
    if operation := OPERATIONS.get(case["api"]):
        assert attributes["gen_ai.operation.name"] == operation
    if case["api"] == "responses.retrieve":
        # What is fetched was generated before, and counted then.
        assert attributes["gen_ai.response.status"] == "completed"
        assert not [key for key in attributes if "usage" in key or "first_token" in key]
        return
    if usage := _usage(seen):
        assert attributes["gen_ai.usage.input_tokens"] == usage["input_tokens"]
        assert attributes["gen_ai.usage.output_tokens"] == usage["output_tokens"]
    end = attributes["streamgauge.end"]
    if case["stop_after"]:
        assert end == "client_left"
    else:
        assert end != "client_left"
    if "cut" in name:
        assert end == "cut"
    status = seen.get("error", {}).get("status")
    if status:
        assert attributes["error.type"]
        assert first_ms is None
    if first_ms is not None:
        exported_ms = attributes["llm.response.first_token_latency_ms"]
        assert THINK_MS <= exported_ms <= first_ms
