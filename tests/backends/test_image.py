"""docker/Dockerfile: its last stage is built by a real engine, and what comes of it runs as a sidecar does.

The program is the one under test; the files beside it are those that the build stage would have made, by the same script.
"""

import os
import shutil
from pathlib import Path

import pytest

from container import DOCKERFILE, ROOT, files_of_the_image
from image_promises import *  # noqa: F403
from image_promises import MOST_BYTES, REVISION


def test_a_build_can_say_its_revision(engine, files):
    image = engine.build_last_stage(files, "of-a-revision", REVISION="0123abc")
    assert image.config["Labels"][REVISION] == "0123abc"


def test_a_build_that_is_told_no_revision_names_none(image):
    assert image.config["Labels"][REVISION] == "unknown"


def test_the_engine_sees_what_the_build_needs_and_nothing_else(engine, tmp_path):
    """By the file beside the Dockerfile."""
    file = tmp_path / "Dockerfile"
    file.write_text("FROM scratch\nCOPY . /\n")
    shutil.copy(f"{DOCKERFILE}.dockerignore", f"{file}.dockerignore")
    seen = engine.build("of-the-context", file, ROOT).folder
    needed = ["Cargo.toml", "Cargo.lock", "build.rs", "docker/root", *ROOT.glob("docker/*.profdata")]
    needed += [path for folder in (".cargo", "src", "config") for path in (ROOT / folder).rglob("*") if path.is_file()]
    assert {path.relative_to(seen) for path in seen.rglob("*") if path.is_file()} == {(ROOT / path).relative_to(ROOT) for path in needed}


def test_the_image_of_a_release_is_small(engine, tmp_path):
    built = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "streamgauge"
    if not built.exists():
        pytest.skip("there is no release build: scripts/test counts makes one")
    files = files_of_the_image(built, tmp_path / "files")
    assert engine.build_last_stage(files, "release").compressed_bytes() < MOST_BYTES
