"""Makes one call with the OpenAI Python SDK and says what the SDK showed."""

import time

import openai


def see(base_url, case, traceparent):
    """Everything the SDK lets its caller see of a call, and the time to the first chunk with output, in ms."""
    client = openai.OpenAI(base_url=base_url, api_key="sk-test", max_retries=0, timeout=60)
    apis = {
        "chat": client.chat.completions.with_raw_response,
        "completions": client.completions.with_raw_response,
    }
    seen = {"chunks": []}
    start = time.perf_counter()
    first = None
    try:
        raw = apis[case["api"]].create(**case["body"], extra_headers=case["headers"] | {"traceparent": traceparent})
        seen |= {"status": raw.status_code, "headers": _headers(raw)}
        answer = raw.parse()
        if not case["body"].get("stream"):
            return seen | {"answer": answer.model_dump(exclude_unset=True)}, None
        for chunk in answer:
            if first is None and _has_output(chunk):
                first = (time.perf_counter() - start) * 1000
            seen["chunks"].append(chunk.model_dump(exclude_unset=True))
            if len(seen["chunks"]) == case["stop_after"]:
                answer.close()
                break
    except openai.APIError as error:
        seen["error"] = _error(error)
    except Exception as error:  # The transport's own errors reach the caller of a stream.
        seen["error"] = {"class": type(error).__name__, "text": str(error)}
    return seen, first


def _headers(response):
    return sorted([name.lower(), value] for name, value in response.headers.items() if name.lower() != "date")


def _error(error):
    seen = {"class": type(error).__name__, "text": str(error), "code": error.code, "type": error.type, "body": error.body}
    if isinstance(error, openai.APIStatusError):
        seen |= {"status": error.status_code, "headers": _headers(error.response)}
    return seen


def _has_output(chunk):
    return any(
        getattr(choice, "text", "") or any(value for key, value in choice.delta.model_dump().items() if key != "role")
        for choice in chunk.choices
    )
