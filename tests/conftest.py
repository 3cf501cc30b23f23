"""What the Python tiers stand on: the built binary and, for each test session, a simulated upstream, an engine and a certificate."""

import os
import subprocess

import pytest

from container import Engine
from processes import Process, built

# The clients under test must not be led to a proxy of the machine's.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"

# Tests that more than one tier has.
pytest.register_assert_rewrite("image_promises")


@pytest.fixture(scope="session")
def binary():
    """Path of the binary: STREAMGAUGE_BIN, or what cargo builds."""
    return built()


@pytest.fixture(scope="session")
def simulator(binary):
    """Base URL of a simulated upstream."""
    with Process([binary, "simulate", "--listen", "127.0.0.1:0"]) as process:
        yield f"http://{process.address()}/v1"


@pytest.fixture(scope="session")
def engine(tmp_path_factory):
    engine = Engine(tmp_path_factory.mktemp("engine"))
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A folder with an authority, and with a certificate of it for gauge.example."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for name in ["ca", "another"]:
        openssl(*new, "-x509", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.crt")
    openssl(*new, "-subj", "/CN=gauge.example", "-keyout", "tls.key", "-out", "tls.csr")
    (folder / "names").write_text("subjectAltName=DNS:gauge.example\nbasicConstraints=CA:FALSE\n")
    openssl(*"x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile names -out tls.crt".split())
    folder.chmod(0o755)
    (folder / "tls.key").chmod(0o644)
    (folder / "hosts").write_text("127.0.0.1 localhost\n127.0.0.1 gauge.example\n")
    return folder
