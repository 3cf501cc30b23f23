"""The part of a Kubernetes cluster that answers for what is stored in it: an API server with an etcd of its own, and nothing else.

No controller and no kubelet is here: what is stored stays as it is.
"""

import contextlib
import json
import ssl
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from processes import DEADLINE, Process, eventually, fetch, free_port
from programs import optional_program

TOKEN = "a-token-of-an-administrator"

FIELD_MANAGER = "test"


class ApiServer:
    """A running API server, asked as an administrator."""

    def __init__(self, port, certificate):
        self._url, self._certificate = f"https://127.0.0.1:{port}", certificate

    def ask(self, method, path, body=None, **parameters):
        """The status of an answer, what it says, and what the server warns of."""
        # JSON is YAML.
        kind = "application/apply-patch+yaml" if method == "PATCH" else "application/json"
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": kind}
        url = f"{self._url}{path}?{urllib.parse.urlencode(parameters)}"
        request = urllib.request.Request(url, body and json.dumps(body).encode(), headers, method=method)
        try:
            answer = urllib.request.urlopen(request, timeout=DEADLINE, context=ssl.create_default_context(cafile=self._certificate))
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            said = json.load(answer) if answer.headers.get_content_type() == "application/json" else {}
            return answer.status, said, answer.headers.get_all("warning", [])

    def is_ready(self):
        """Whether it serves what a new cluster has."""
        # It makes its certificate when it starts.
        with contextlib.suppress(OSError):
            status, _, _ = self.ask("GET", "/api/v1/namespaces/default")
            return status == 200

    def resource(self, version, kind):
        """What the server says of a kind; None where it does not know it."""
        _, known, _ = self.ask("GET", _root(version))
        return next((one for one in known.get("resources", []) if one["kind"] == kind and "/" not in one["name"]), None)

    def path(self, document, namespace):
        """Where an object is."""
        version, kind = document["apiVersion"], document["kind"]
        found = self.resource(version, kind)
        assert found, f"the server knows no {kind} of {version}"
        within = f"/namespaces/{namespace}" if found["namespaced"] else ""
        return f"{_root(version)}{within}/{found['name']}/{document['metadata']['name']}"

    def apply(self, document, namespace=None, dry_run=True):
        """Has an object made, or changed, as `kubectl apply --server-side` does; the status, what is said of it, and the warnings.

        A dry run goes through all that a change does, but for being stored.
        """
        dry = {"dryRun": "All"} if dry_run else {}
        path = self.path(document, namespace)
        status, answer, warnings = self.ask("PATCH", path, document, fieldManager=FIELD_MANAGER, fieldValidation="Strict", **dry)
        return status, answer.get("message"), warnings


def _root(version):
    """Where the kinds of a version are."""
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


@contextlib.contextmanager
def api_server(folder):
    """An API server, ready."""
    binary = optional_program("kube-apiserver", "only scripts/test stack --all builds it")
    store = optional_program("etcd", "scripts/test stack --all installs Debian's etcd-server")
    keys, certificates = folder / "accounts.key", folder / "certificates"
    subprocess.run(["openssl", "genrsa", "-out", keys, "2048"], check=True, capture_output=True)
    tokens = folder / "tokens.csv"
    tokens.write_text(f'{TOKEN},administrator,1,"system:masters"\n')
    clients, peers, port = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}", free_port()
    etcd = [
        store,
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={clients}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
    ]
    server = [
        binary,
        f"--etcd-servers={clients}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={certificates}",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={keys}",
        f"--service-account-signing-key-file={keys}",
        f"--token-auth-file={tokens}",
        "--authorization-mode=RBAC",
        # An address of the loopback is none for the endpoints of the service `kubernetes`.
        "--endpoint-reconciler-type=none",
    ]
    with Process(etcd) as process:
        eventually("etcd to be ready", lambda: fetch(f"{clients}/health") or process.still_runs())
        with Process(server) as process:
            running = ApiServer(port, certificates / "apiserver.crt")
            eventually("the API server to be ready", lambda: running.is_ready() or process.still_runs())
            yield running
