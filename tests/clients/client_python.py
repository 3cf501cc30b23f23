"""Makes one call with the OpenAI Python SDK and says what the SDK showed."""

import time

import openai


def see(base_url, case, traceparent):
    """Everything the SDK lets its caller see of a call, and the time to the first chunk with output, in ms."""
    client = openai.OpenAI(base_url=base_url, api_key="sk-test", max_retries=0, timeout=60)
    seen = {"chunks": []}
    start = time.perf_counter()
    first = None
    try:
        headers = case["headers"] | {"traceparent": traceparent}
        raw = _call(client, case["api"])(**case["body"], **_upload(case), extra_headers=headers)
        seen |= {"status": raw.status_code, "headers": _headers(raw)}
        answer = raw.parse()
        if not case["body"].get("stream"):
            return seen | {"answer": _shown(answer)}, None
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


def _call(client, api):
    """The method of that name, with the response's head shown."""
    *resources, method = api.split(".")
    resource = client
    for name in resources:
        resource = getattr(resource, name)
    return getattr(resource.with_raw_response, method)


def _upload(case):
    if case["file"] is None:
        return {}
    name = "image" if case["api"].startswith("images") else "file"
    return {name: ("upload.bin", case["file"].encode(), "application/octet-stream")}


def _shown(answer):
    """An answer as plain data, whether it is an object, text or sound."""
    if isinstance(answer, str):
        return answer
    if hasattr(answer, "model_dump"):
        return answer.model_dump(exclude_unset=True)
    return answer.content.hex()


def _headers(response):
    return sorted([name.lower(), value] for name, value in response.headers.items() if name.lower() != "date")


def _error(error):
    seen = {"class": type(error).__name__, "text": str(error), "code": error.code, "type": error.type, "body": error.body}
    if isinstance(error, openai.APIStatusError):
        seen |= {"status": error.status_code, "headers": _headers(error.response)}
    return seen


def _has_output(chunk):
    if not hasattr(chunk, "choices"):
        return bool(getattr(chunk, "delta", "") or getattr(chunk, "b64_json", ""))
    return any(
        getattr(choice, "text", "") or any(value for key, value in choice.delta.model_dump().items() if key != "role")
        for choice in chunk.choices
    )
