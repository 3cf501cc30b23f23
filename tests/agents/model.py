"""A scripted OpenAI-compatible model: each request of a run gets the next answer of its script, streamed if it asks for that.

The path begins with the run's name. What arrived and when is kept, and when the last argument of each call was sent.
"""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from script import REASONING, answers


class Model:
    """A running model; stopped at the end of the `with` block."""

    def __init__(self):
        self.requests = {}
        """By run and way, those that came: headers, body, when."""
        self.sent = {}
        """By run, way and id of a call, when its last argument was sent."""
        self._lock = threading.Lock()
        model = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 0
            disable_nagle_algorithm = True

            def do_POST(self):
                arrived = time.monotonic_ns()
                body = self.rfile.read(int(self.headers["content-length"]))
                model._answer(self, arrived, body)

            def do_GET(self):
                self.send_error(404)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.origin = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler, arrived, body):
        way, run, path = handler.path.lstrip("/").split("/", 2)
        request = json.loads(body)
        with self._lock:
            seen = self.requests.setdefault((way, run), [])
            seen.append({"headers": dict(handler.headers), "body": body, "at": arrived})
            script = answers(run, ends_by_tool=run.startswith("smolagents"))
        if path != "v1/chat/completions" or len(seen) > len(script):
            # More than the script has: the test shows what came.
            handler.send_error(400, "off the script")
            return
        said = _named(script[len(seen) - 1], request)
        identity = f"chatcmpl-{run}-{len(seen)}"
        if request.get("stream"):
            usage = (request.get("stream_options") or {}).get("include_usage")
            self._stream(handler, (way, run), identity, said, usage)
        else:
            self._whole(handler, (way, run), identity, said)

    def _whole(self, handler, key, identity, said):
        message = {"role": "assistant", "content": said.get("text"), "reasoning_content": REASONING}
        if wanted := said.get("calls"):
            message["tool_calls"] = [
                {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}} for id, name, arguments in wanted
            ]
        choice = {"index": 0, "message": message, "finish_reason": _finish(said)}
        body = {**_head(identity, "chat.completion"), "choices": [choice], "usage": USAGE}
        data = json.dumps(body, ensure_ascii=False).encode()
        handler.send_response(200)
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(len(data)))
        handler.end_headers()
        for id, *_ in said.get("calls", ()):
            self.sent[(*key, id)] = time.monotonic_ns()
        handler.wfile.write(data)

    def _stream(self, handler, key, identity, said, usage):
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()

        def send(data):
            event = f"data: {data}\n\n".encode()
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))

        def chunk(delta, finish=None):
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            send(json.dumps({**_head(identity, "chat.completion.chunk"), "choices": [choice]}, ensure_ascii=False))

        chunk({"role": "assistant", "content": ""})
        chunk({"reasoning_content": REASONING})
        for place, (id, name, arguments) in enumerate(said.get("calls", ())):
            chunk({"tool_calls": [{"index": place, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}]})
            for start in range(0, len(arguments), 9):
                self.sent[(*key, id)] = time.monotonic_ns()
                chunk({"tool_calls": [{"index": place, "function": {"arguments": arguments[start : start + 9]}}]})
        text = said.get("text", "")
        for start in range(0, len(text), 7):
            chunk({"content": text[start : start + 7]})
        chunk({}, _finish(said))
        if usage:
            send(json.dumps({**_head(identity, "chat.completion.chunk"), "choices": [], "usage": USAGE}))
        send("[DONE]")
        handler.wfile.write(b"0\r\n\r\n")


def _named(said, request):
    """The same with the names that the request gives its tools: some put another before a tool's own."""
    if "calls" not in said:
        return said
    names = [tool["function"]["name"] for tool in request["tools"]]

    def asked_for(name):
        return next(known for known in names if known.endswith(name))

    return {"calls": [(id, asked_for(name), arguments) for id, name, arguments in said["calls"]]}


USAGE = {"prompt_tokens": 60, "completion_tokens": 20, "total_tokens": 80}


def _head(identity, kind):
    return {"id": identity, "object": kind, "created": 1700000000, "model": "scripted-1"}


def _finish(said):
    return "tool_calls" if "calls" in said else "stop"
