"""A server on loopback that answers JSON with JSON."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class JsonServer:
    """Listens until it is stopped, or until the end of the `with` block; each connection is for one request.

    `answer` is given the path and the body of each POST, and returns the status, the body, and further header fields of the response.
    """

    def __init__(self, answer):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                status, body, fields = answer(self.path, json.loads(self.rfile.read(int(self.headers["content-length"]))))
                body = json.dumps(body).encode()
                self.send_response(status)
                for field in fields.items():
                    self.send_header(*field)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """From now on connections are refused."""
        self._server.shutdown()
        self._server.server_close()
