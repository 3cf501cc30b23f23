"""An engine, the image of docker/Dockerfile with the program under test, and the schemas of manifests."""

import subprocess

import pytest

from container import AUTHORITIES, Engine, files_of_the_image
from schemas import write_schemas


@pytest.fixture(scope="session")
def engine(tmp_path_factory):
    engine = Engine(tmp_path_factory.mktemp("engine"))
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def files(binary, tmp_path_factory):
    return files_of_the_image(binary, tmp_path_factory.mktemp("files"))


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


@pytest.fixture(scope="session")
def image(engine, files, certificate):
    """The image, on a machine that trusts one more authority."""
    authorities = files / AUTHORITIES
    authorities.write_text(authorities.read_text() + (certificate / "ca.crt").read_text())
    return engine.build(files, "streamgauge")


@pytest.fixture(scope="session")
def schemas(tmp_path_factory):
    return write_schemas(tmp_path_factory.mktemp("schemas"))
