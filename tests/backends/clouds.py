"""Emulators of Azure's blobs and of Google Cloud Storage as stores of prompts: Azurite, and fake-gcs-server."""

import base64
import hashlib
import hmac
import http.client
import json
import re
import threading
import urllib.error
import urllib.parse
import urllib.request
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from processes import DEADLINE, Process, eventually, fetch, free_port

ROOT = Path(__file__).parents[2]

BUCKET = "prompts"


class Azure:
    """Azurite on a port of its own, with one empty container; what it keeps outlives its process."""

    scheme = "az"
    gone = "ContainerNotFound"
    account = "devstoreaccount1"
    key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    """What every Azurite knows."""

    secrets = {"AZURE_STORAGE_ACCOUNT_KEY": key}

    def __init__(self, folder):
        self.folder, self.port, self.process = folder, free_port(), None
        self.url = f"http://127.0.0.1:{self.port}"
        self.asked = self.port
        """Where the program asks."""

    def start(self):
        program = Path(__file__).parent / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
        if not program.exists():
            raise AssertionError(f"there is no {program}: run scripts/test backends")
        at = ["--blobHost", "127.0.0.1", "--blobPort", str(self.port), "--location", str(self.folder)]
        self.process = Process(["node", str(program), *at, "--disableTelemetry", "--silent"])
        eventually("the container", self._make)

    def stop(self):
        """Ends it; what it keeps stays."""
        self.process.terminate()

    def _make(self):
        return self._ask("PUT", "restype=container") or self.process.still_runs()

    def remove(self):
        self._ask("DELETE", "restype=container")

    def _ask(self, method, query, path=""):
        """Asks about the container, or about a blob in it, with a signature of the account; None while nothing answers."""
        resource = f"/{self.account}/{BUCKET}{path}"
        headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2023-11-03"}
        named = "\n".join(f"{name}:{value}" for name, value in headers.items())
        queried = "".join(f"\n{name}:{value}" for name, value in sorted(part.split("=") for part in query.split("&") if part))
        signed = f"{method}{12 * chr(10)}{named}\n/{self.account}{resource}{queried}"
        digest = hmac.new(base64.b64decode(self.key), signed.encode(), hashlib.sha256).digest()
        headers["authorization"] = f"SharedKey {self.account}:{base64.b64encode(digest).decode()}"
        request = urllib.request.Request(f"{self.url}{resource}?{query}", None, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE) as response:
                return response.read().decode() or "done"
        except urllib.error.HTTPError as error:
            # Made before it was stopped.
            if error.code == 409:
                return "there"
            raise
        except OSError:
            return None

    def objects(self):
        """The names of all objects, each with what changes when it is written."""
        listed = self._ask("GET", "comp=list&restype=container")
        return dict(re.findall("<Name>([^<]+)</Name>.*?<Etag>([^<]+)</Etag>", listed))


class Google:
    """fake-gcs-server with one empty bucket, and the XML API before it; what it keeps outlives its process."""

    scheme = "gs"
    gone = "404 Not Found"
    secrets = {}

    def __init__(self, folder):
        self.folder, self.port, self.process = folder, free_port(), None
        self.url = f"http://127.0.0.1:{self.port}"
        self.asked = _Front(self.port).port

    def start(self):
        program = ROOT / ".stack" / "bin" / "fake-gcs-server"
        if not program.exists():
            raise AssertionError(f"there is no {program}: run scripts/test backends")
        at = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(self.port), "-public-host", f"127.0.0.1:{self.port}"]
        self.process = Process([str(program), *at, "-backend", "filesystem", "-filesystem-root", str(self.folder)])
        eventually("the bucket", self._make)

    def stop(self):
        """Ends it; what it keeps stays."""
        self.process.terminate()

    def _make(self):
        url = f"{self.url}/storage/v1/b"
        if not (buckets := fetch(url)):
            return self.process.still_runs()
        if not json.loads(buckets).get("items"):
            fetch(url, json.dumps({"name": BUCKET}).encode(), {"content-type": "application/json"})
        return True

    def remove(self):
        request = urllib.request.Request(f"{self.url}/storage/v1/b/{BUCKET}", method="DELETE")
        urllib.request.urlopen(request, timeout=DEADLINE).close()

    def objects(self):
        """The names of all objects, each with what changes when it is written."""
        listed = json.loads(fetch(f"{self.url}/storage/v1/b/{BUCKET}/o"))
        return {each["name"]: each["generation"] for each in listed.get("items", [])}


class _Front:
    """The XML API before fake-gcs-server, which has of it what reads, but takes no writing without a signature in its URL.

    What writes becomes the same request of the JSON API, which honours the condition, that there is no such object. The answer
    has what the XML API documents: https://docs.cloud.google.com/storage/docs/xml-api/put-object-upload
    """

    def __init__(self, port):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self._answer(*self._of(self.command, self.path))

            do_HEAD = do_GET

            def do_PUT(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                _, bucket, name = self.path.split("/", 2)
                path = f"/upload/storage/v1/b/{bucket}/o?uploadType=multipart"
                if condition := self.headers.get("x-goog-if-generation-match"):
                    path += f"&ifGenerationMatch={condition}"
                about = json.dumps({"name": urllib.parse.unquote(name)}).encode()
                parts = b"".join(b"--part\r\ncontent-type: application/json\r\n\r\n%s\r\n" % part for part in (about, body))
                status, headers, body = self._of("POST", path, parts + b"--part--\r\n", "multipart/related; boundary=part")
                if status == 200:
                    written = json.loads(body)
                    headers = {"etag": f'"{written["etag"]}"', "x-goog-generation": written["generation"]}
                    body = b""
                self._answer(status, headers, body)

            def _of(self, method, path, body=None, kind="application/json"):
                server = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
                try:
                    server.request(method, path, body, {"content-type": kind})
                    with server.getresponse() as response:
                        return response.status, dict(response.getheaders()), response.read()
                except OSError:
                    # As nobody listens there, nobody answers here.
                    return None, {}, b""
                finally:
                    server.close()

            def _answer(self, status, headers, body):
                if status is None:
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                        self.send_header(name, value)
                lengths = [value for name, value in headers.items() if name.lower() == "content-length"]
                self.send_header("content-length", lengths[0] if self.command == "HEAD" and lengths else str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
