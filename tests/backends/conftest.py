"""The image of docker/Dockerfile with the program under test, and the schemas of manifests."""

import pytest

from container import AUTHORITIES, files_of_the_image
from schemas import write_schemas


@pytest.fixture(scope="session")
def files(binary, tmp_path_factory):
    return files_of_the_image(binary, tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="session")
def image(engine, files, certificate):
    """The image, on a machine that trusts one more authority."""
    authorities = files / AUTHORITIES
    authorities.write_text(authorities.read_text() + (certificate / "ca.crt").read_text())
    return engine.build_last_stage(files, "streamgauge")


@pytest.fixture(scope="session")
def schemas(tmp_path_factory):
    return write_schemas(tmp_path_factory.mktemp("schemas"))
