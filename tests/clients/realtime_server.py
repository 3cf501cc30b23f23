"""A small stand-in for an upstream with sessions, of the Realtime API or of the Responses API by the path: one answer to each
`response.create`, in the API's own events."""

import json
import threading

from websockets.sync.server import serve

MODEL = "gpt-realtime-2025-08-28"

USAGE = {
    "total_tokens": 150,
    "input_tokens": 120,
    "output_tokens": 30,
    "input_token_details": {"text_tokens": 20, "audio_tokens": 100, "image_tokens": 0, "cached_tokens": 64},
    "output_token_details": {"text_tokens": 6, "audio_tokens": 24},
}


class RealtimeServer:
    """A running server; stopped at the end of the `with` block. It compresses where the client offers that."""

    def __init__(self):
        self._server = serve(_session, "127.0.0.1", 0)
        self.base_url = f"http://127.0.0.1:{self._server.socket.getsockname()[1]}/v1"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()


def _session(connection):
    if connection.request.path.split("?")[0].endswith("/responses"):
        return _responses(connection)
    session = {"type": "realtime", "id": "sess_1", "model": MODEL, "output_modalities": ["audio"]}
    _send(connection, "session.created", session=session)
    count = 0
    for message in connection:
        event = json.loads(message)
        if event["type"] == "session.update":
            session |= event["session"]
            _send(connection, "session.updated", session=session)
        elif event["type"] == "response.create":
            count += 1
            _answer(connection, f"resp_{count}")


def _answer(connection, response_id):
    def send(kind, **members):
        _send(connection, kind, response_id=response_id, output_index=0, **members)

    response = {"object": "realtime.response", "id": response_id, "output": []}
    _send(connection, "response.created", response=response | {"status": "in_progress"})
    part = {"item_id": "item_1", "content_index": 0}
    for text in ("The river ", "is 2.31 m deep."):
        send("response.output_audio_transcript.delta", delta=text, **part)
        send("response.output_audio.delta", delta="AAAA" * 2000, **part)
    call = {"type": "function_call", "id": "item_2", "call_id": "call_1", "name": "gauge"}
    send("response.output_item.added", item=call | {"arguments": ""})
    send("response.function_call_arguments.delta", item_id="item_2", call_id="call_1", delta='{"station":7}')
    done = {"status": "completed", "output": [call | {"arguments": '{"station":7}'}], "usage": USAGE}
    _send(connection, "response.done", response=response | done)


def _responses(connection):
    for number, message in enumerate(connection, start=1):
        model = json.loads(message)["model"]
        response = {"object": "response", "id": f"resp_{number}", "model": model, "output": []}
        _send(connection, "response.created", response=response | {"status": "in_progress"})
        for text in ("2.31", " m"):
            _send(connection, "response.output_text.delta", item_id="msg_1", output_index=0, content_index=0, delta=text)
        usage = {"input_tokens": 12, "output_tokens": 4, "total_tokens": 16}
        _send(connection, "response.completed", response=response | {"status": "completed", "usage": usage})


def _send(connection, kind, **members):
    connection.send(json.dumps({"type": kind, "event_id": "event_1", **members}))
