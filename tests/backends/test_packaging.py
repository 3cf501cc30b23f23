"""The systemd unit, the Debian package and the list of what the program is built from."""

import configparser
import json
import os
import re
import shlex
import signal
import subprocess
import tomllib
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from processes import Server, fetch

ROOT = Path(__file__).parents[2]

UNIT = ROOT / "deploy" / "systemd" / "streamgauge.service"

SAMPLE = ROOT / "config" / "streamgauge.toml"

PROGRAM, CONFIGURATION = "/usr/bin/streamgauge", "/etc/streamgauge/streamgauge.toml"
"""Where the unit expects them."""

EXPOSED = 20
"""Tenths of what `systemd-analyze security` may find a service exposed; without any of the unit's limits it is 96."""

LAST_EXPORT = 5
"""Seconds that the last telemetry may take after the drain."""


def output(*command, **more):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **more).stdout


def service():
    """The unit's [Service], of keys that are there once."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(UNIT)
    return unit["Service"]


@pytest.fixture
def unit(binary, tmp_path):
    """The unit for the program and the configuration where they are here."""
    file = tmp_path / UNIT.name
    file.write_text(UNIT.read_text().replace(PROGRAM, str(binary)).replace(CONFIGURATION, str(SAMPLE)))
    return file


def test_systemd_finds_no_fault_in_the_unit(unit):
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_service_is_confined(unit):
    output("systemd-analyze", "security", "--no-pager", "--offline=true", f"--threshold={EXPOSED}", unit)


def test_the_program_starts_reloads_and_stops_as_the_unit_says(binary, unit):
    start, reload = shlex.split(service()["ExecStart"]), service()["ExecReload"]
    assert (start[0], reload) == (PROGRAM, "/bin/kill -HUP $MAINPID")
    arguments = [str(SAMPLE) if word == CONFIGURATION else word for word in start[1:]]
    with Server([binary, *arguments, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]) as server:
        assert fetch(f"http://{server.admin}/healthz")
        server.send(signal.SIGHUP)
        server.first("that it took the signal", lambda line: "read at start only" in line)
        assert fetch(f"http://{server.admin}/healthz")
        assert server.terminate() == 0


def test_systemd_kills_nothing_before_its_streams_have_drained(binary):
    drain = re.search(r'^drain = "(\d+)m"$', output(binary, "check", "--config", SAMPLE), re.MULTILINE)
    assert int(service()["TimeoutStopSec"]) >= 60 * int(drain.group(1)) + LAST_EXPORT


@pytest.fixture(scope="module")
def package(binary, tmp_path_factory):
    """A package of the binary without its symbols, hardly compressed: a tenth of the time."""
    folder = tmp_path_factory.mktemp("package")
    output("strip", "-o", folder / "streamgauge", binary)
    output(ROOT / "scripts" / "package", folder / "streamgauge", folder, env=os.environ | {"DPKG_DEB_COMPRESSOR_LEVEL": "0"})
    (made,) = folder.glob("*.deb")
    return made


@pytest.fixture
def dpkg(tmp_path):
    """Runs dpkg on a system of its own, below a folder; what is installed there."""
    system = tmp_path / "system"
    for name in ("info", "updates", "triggers"):
        (system / "var/lib/dpkg" / name).mkdir(parents=True)
    (system / "var/lib/dpkg/status").touch()
    # That system has no shell and no library of its own.
    options = ["--force-script-chrootless", "--force-depends", "--log=/dev/null"]

    def run(*arguments):
        output("dpkg", f"--root={system}", *options, *arguments)
        return {f"/{file.relative_to(system)}" for file in system.rglob("*") if file.is_file() and "dpkg" not in file.parts}

    run.system = system
    return run


def test_the_package_installs_upgrades_and_goes_without_a_trace(package, dpkg, binary):
    installed = dpkg("--install", package)
    assert {PROGRAM, CONFIGURATION, f"/usr/lib/systemd/system/{UNIT.name}"} <= installed
    program, configuration = (dpkg.system / name.lstrip("/") for name in (PROGRAM, CONFIGURATION))
    assert output(program, "--version") == output(binary, "--version")
    assert output(program, "check", "--config", configuration)
    # What an administrator has changed stays, over an upgrade and when the package is removed.
    configuration.write_text('listen = "127.0.0.1:8088"\n')
    dpkg("--install", package)
    assert configuration.read_text() == 'listen = "127.0.0.1:8088"\n'
    assert dpkg("--remove", "streamgauge") == {CONFIGURATION, "/etc/streamgauge/environment"}
    assert dpkg("--purge", "streamgauge") == set()


def test_only_root_reads_the_variables(package):
    (line,) = [line for line in output("dpkg-deb", "-c", package).splitlines() if line.endswith("/environment")]
    assert line.startswith("-rw-r----- root/root")


def test_the_package_has_the_manual_and_the_completions_that_the_program_writes(package, binary, dpkg):
    installed = dpkg("--install", package)
    pages = {
        ("man",): "/usr/share/man/man1/streamgauge.1.gz",
        ("completions", "bash"): "/usr/share/bash-completion/completions/streamgauge",
        ("completions", "zsh"): "/usr/share/zsh/vendor-completions/_streamgauge",
        ("completions", "fish"): "/usr/share/fish/vendor_completions.d/streamgauge.fish",
    }
    for arguments, page in pages.items():
        known = subprocess.run([binary, *arguments], capture_output=True).returncode == 0
        assert (page in installed) == known


def test_the_same_program_makes_the_same_package(tmp_path):
    made = []
    for name in ("one", "two"):
        output(ROOT / "scripts" / "package", "/bin/true", tmp_path / name)
        (package,) = (tmp_path / name).glob("*.deb")
        made.append(package.read_bytes())
    assert made[0] == made[1]


@pytest.fixture(scope="module")
def bill():
    return output(ROOT / "scripts" / "sbom")


def test_the_list_of_crates_is_valid_cyclonedx(bill):
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill) is None


def test_every_crate_whose_code_is_in_the_program_is_in_the_list(bill, binary):
    listed = json.loads(bill)["components"]
    # Messages of panics name the files that they come from.
    places = re.findall(rb"registry/src/[^/]{1,80}/([\w+.-]+)/", Path(binary).read_bytes())
    linked = {place.decode() for place in places}
    assert len(linked) > 50
    assert linked - {f"{crate['name']}-{crate['version']}" for crate in listed} == set()


def test_crates_of_tests_are_not_in_the_list_and_each_has_a_licence_and_a_checksum(bill):
    listed = json.loads(bill)["components"]
    only_tests = tomllib.loads((ROOT / "Cargo.toml").read_text())
    only_tests = only_tests["dev-dependencies"].keys() - only_tests["dependencies"].keys()
    assert {"proptest"} <= only_tests
    assert "proptest" not in {crate["name"] for crate in listed}
    assert [crate["name"] for crate in listed if not crate["licenses"] or not crate["hashes"]] == []
