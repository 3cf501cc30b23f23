"""A slow way to a server."""

import socket
import threading
import time


class Delay:
    """Passes bytes on to a server; what comes back is late by `seconds`."""

    def __init__(self, port):
        self.seconds = 0.0
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            client, _ = self._listener.accept()
            server = socket.create_connection(("127.0.0.1", self._to))
            for pair in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source, sink, is_late):
        try:
            while data := source.recv(65536):
                if is_late:
                    time.sleep(self.seconds)
                sink.sendall(data)
        except OSError:
            pass
        for side in (source, sink):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
