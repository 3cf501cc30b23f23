"""An upstream of a test's own, which says itself what is answered and when."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Call(BaseHTTPRequestHandler):
    """One call, and how it is answered: `begin`, pieces, of which an empty one is the end; or `whole`."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.answer(self, asked)

    def begin(self, status, kind):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()

    def piece(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def whole(self, status, kind, body):
        self.begin(status, kind)
        self.piece(body)
        self.piece(b"")

    def log_message(self, *_):
        pass


class Upstream:
    """Answers each call by `answer(call, asked)`, in a thread of its own."""

    def __init__(self, answer):
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Call)
        self._server.answer = answer
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
