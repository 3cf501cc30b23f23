"""What holds of the image of docker/Dockerfile however it was built; a module of tests takes it all in, and has an `image` and its `files`."""

import ssl
import subprocess
import tomllib
from pathlib import Path

import pytest

from container import AUTHORITIES, ROOT, Pod

MOST_BYTES = 15_000_000
"""Of the compressed image."""

MOST_BYTES_BESIDE = 2_500_000
"""Of all that is in it but the program, compressed."""

PROGRAM = "/usr/local/bin/streamgauge"

REVISION = "org.opencontainers.image.revision"
"""The label that says what it was built from."""


@pytest.fixture(scope="module")
def pod(image, certificate, tmp_path_factory):
    """A container before an upstream that runs inside of it."""
    mounts = {"/certificates": certificate, "/etc/hosts": certificate / "hosts"}
    variables = {"STREAMGAUGE_UPSTREAM": "http://127.0.0.1:8000/v1", "STREAMGAUGE_LOG_FORMAT": "json"}
    pod = Pod(image, tmp_path_factory.mktemp("pod"), variables=variables, mounts=mounts)
    with pod.running() as server:
        pod.server = server
        with pod.beside(PROGRAM, "simulate") as simulator:
            simulator.address()
            yield pod


def test_the_image_has_what_it_runs_and_nothing_else(files):
    found = {str(path.relative_to(files)) for path in files.rglob("*") if path.is_file()}
    libraries = {path for path in found if ".so." in path}
    linked = {Path(library).name.partition(".so.")[0] for library in libraries}
    assert {name for name in linked if not name.startswith("ld-linux")} == {"libc", "libgcc_s", "libm"}
    assert found - libraries == {
        PROGRAM.removeprefix("/"),
        AUTHORITIES,
        "etc/passwd",
        "etc/group",
        "etc/nsswitch.conf",
    }


def test_the_authorities_are_those_of_the_public(files):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(files / AUTHORITIES)
    assert context.cert_store_stats()["x509_ca"] > 100


def test_the_image_says_what_it_is(image):
    package = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]
    labels = {key.rpartition(".")[2]: value for key, value in image.config["Labels"].items() if "opencontainers" in key}
    assert (labels["title"], labels["version"], labels["licenses"]) == (package["name"], package["version"], package["license"])
    assert image.config["User"] == "65532:65532"
    assert image.config["ExposedPorts"].keys() == {"8080/tcp", "9464/tcp"}


def test_it_runs_without_a_right_that_the_strictest_level_takes(pod):
    status = Path(f"/proc/{pod.state()['pid']}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == ["65532"] * 4
    assert int(fields["CapBnd"], 16) == int(fields["CapEff"], 16) == 0
    assert fields["NoNewPrivs"] == "1"
    mounts = Path(f"/proc/{pod.state()['pid']}/mounts").read_text().splitlines()
    (root,) = [mount.split()[3].split(",") for mount in mounts if mount.split()[1] == "/"]
    assert "ro" in root


def test_it_listens_where_other_containers_reach_it(pod):
    assert (pod.server.proxy, pod.server.admin) == ("0.0.0.0:8080", "0.0.0.0:9464")


def test_its_health_check_says_that_it_is_well(pod, image):
    kind, *command = image.config["Healthcheck"]["Test"]
    assert kind == "CMD"
    done = pod.ask(*command)
    assert (done.returncode, done.stdout) == (0, "http://127.0.0.1:9464/healthz: 200\n")


def test_its_health_check_says_that_nothing_listens(pod, image):
    done = pod.ask(*image.config["Healthcheck"]["Test"][1:], STREAMGAUGE_ADMIN="127.0.0.1:9")
    assert done.returncode == 1 and "Connection refused" in done.stderr


def test_a_call_goes_through_it(pod):
    done = pod.ask(PROGRAM, "check", "--probe", "--upstream", "http://127.0.0.1:8080/v1")
    assert "upstream default: GET http://127.0.0.1:8080/v1/models was answered with status 200" in done.stderr
    assert done.returncode == 0


def test_it_finds_hosts_by_name_and_trusts_the_authorities_of_the_image(pod):
    tls = {"STREAMGAUGE_TLS_CERTIFICATE": "/certificates/tls.crt", "STREAMGAUGE_TLS_KEY": "/certificates/tls.key"}
    listen = ["--listen", "127.0.0.1:8443", "--admin", "127.0.0.1:0", "--upstream", "http://127.0.0.1:8000/v1"]
    with pod.beside(PROGRAM, "serve", *listen, STREAMGAUGE_LOG_FORMAT="json", **tls) as server:
        server.message("listening")
        probe = [PROGRAM, "check", "--probe", "--upstream", "https://gauge.example:8443/v1"]
        trusted = pod.ask(*probe)
        distrusted = pod.ask(*probe, SSL_CERT_FILE="/certificates/another.crt")
    assert "GET https://gauge.example:8443/v1/models was answered with status 200" in trusted.stderr
    assert "its certificate was issued by an authority that is not trusted" in distrusted.stderr


def test_it_ends_by_the_signal_that_engines_send(image, tmp_path):
    assert image.config["StopSignal"] == "SIGTERM"
    with Pod(image, tmp_path, variables={"STREAMGAUGE_LOG_FORMAT": "json"}).running() as server:
        assert server.terminate() == 0


def test_what_is_beside_the_program_is_small(files):
    beside = ["tar", "-C", files, "--exclude", f".{PROGRAM}", "-cz", "."]
    assert len(subprocess.run(beside, check=True, stdout=subprocess.PIPE).stdout) < MOST_BYTES_BESIDE
