"""The image of docker/Dockerfile, built by buildah, all of it or its last stage, and containers of it, run by runc."""

import contextlib
import functools
import json
import os
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest

from processes import Process, Server

ROOT = Path(__file__).parents[1]

DOCKERFILE = ROOT / "docker" / "Dockerfile"

AUTHORITIES = "etc/ssl/certs/ca-certificates.crt"
"""Where the image has the certificates of public authorities."""

NEEDED = ["buildah", "runc"]


def files_of_the_image(program, folder):
    """What the build stage hands over, made by the script that makes it there."""
    subprocess.run([ROOT / "docker" / "root", program, folder], check=True)
    return folder


class Engine:
    """A buildah with a storage of its own, and with caches of its own for the mounts of a build."""

    def __init__(self, folder):
        if missing := [name for name in NEEDED if not shutil.which(name)]:
            pytest.skip(f"there is no {' and no '.join(missing)} here")
        if os.geteuid() != 0:
            pytest.skip("containers are run here as root only")
        self.folder = folder
        self._temporary = folder / "temporary"
        self._temporary.mkdir()
        self._environment = os.environ | {"TMPDIR": str(self._temporary)}
        self._command = ["buildah", "--root", folder / "storage", "--runroot", folder / "run", "--storage-driver", "vfs"]
        self._base = self._tried("from", "scratch")

    def __call__(self, *arguments):
        command = [*self._command, *arguments]
        return subprocess.run(command, env=self._environment, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def _tried(self, *arguments):
        done = subprocess.run([*self._command, *arguments], env=self._environment, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"buildah cannot work here: {done.stderr.strip()}")
        return done.stdout.strip()

    def build(self, name, file, context, *how, **values):
        """Builds an image from a Dockerfile."""
        given = [f"--build-arg={key}={value}" for key, value in values.items()]
        # Of the formats, only Docker's has a health check.
        always = ["--isolation=chroot", "--format=docker", "--pull-never"]
        self("build", *always, *how, *given, f"--file={file}", f"--tag={name}", context)
        return Image(self, name)

    def build_last_stage(self, files, name, **values):
        """Builds the last stage, with a folder in the place of the first one."""
        context = self.folder / name
        context.mkdir()
        shutil.copytree(files, context / "image", symlinks=True)
        return self.build(name, DOCKERFILE, context, f"--build-context=build={context}", **values)

    def unpacked(self, name):
        """The files of an image, in a working container of buildah's."""
        return Path(self("mount", self("from", "--pull-never", name)))

    def close(self):
        self("rm", "--all")
        self("rmi", "--all", "--force")
        shutil.rmtree(self._temporary)


class Image:
    """A built image: what it says of itself, its files, its compressed size."""

    def __init__(self, engine, name):
        self.engine, self.name = engine, name
        self.config = json.loads(engine("inspect", "--type", "image", name))["Docker"]["config"]

    @functools.cached_property
    def folder(self):
        """Its files, for its containers, which do not write there: roots are read-only."""
        return self.engine.unpacked(self.name)

    def compressed_bytes(self):
        """Of all layers, as a registry has them."""
        pushed = self.engine.folder / f"{self.name}-pushed"
        self.engine("push", self.name, f"dir:{pushed}")
        manifest = json.loads((pushed / "manifest.json").read_text())
        layers = [layer["digest"].removeprefix("sha256:") for layer in manifest["layers"]]
        packed = [subprocess.run(["gzip", "-6", "-c", pushed / layer], check=True, stdout=subprocess.PIPE).stdout for layer in layers]
        return sum(map(len, packed))


class Pod:
    """A container as the strictest of Kubernetes's levels has it, with the loopback interface as its only network.

    Its root is read-only, its user not root, it has no capability and cannot get one.
    """

    def __init__(self, image, folder, arguments=(), variables=None, mounts=None):
        self.image = image
        self.name = f"streamgauge-{uuid.uuid4().hex[:12]}"
        self._state = folder / "runc"
        self.bundle = folder / self.name
        self.bundle.mkdir()
        user, group = image.config["User"].split(":")
        environment = [*image.config["Env"], *(f"{key}={value}" for key, value in (variables or {}).items())]
        files = [
            {"destination": inside, "source": str(outside), "type": "bind", "options": ["rbind", "ro"]}
            for inside, outside in (mounts or {}).items()
        ]
        none = {kind: [] for kind in ("bounding", "effective", "inheritable", "permitted", "ambient")}
        specification = {
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": int(user), "gid": int(group)},
                "args": [*image.config["Entrypoint"], *(arguments or image.config["Cmd"])],
                "env": environment,
                "cwd": "/",
                "capabilities": none,
                "noNewPrivileges": True,
            },
            "root": {"path": str(image.folder), "readonly": True},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}, *files],
            "linux": {"namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network")]},
        }
        (self.bundle / "config.json").write_text(json.dumps(specification))

    def runc(self, *arguments):
        return ["runc", "--root", str(self._state), *arguments]

    @contextlib.contextmanager
    def running(self):
        """Its main program, listening."""
        try:
            with Server(self.runc("run", "--bundle", str(self.bundle), self.name)) as server:
                yield server
        finally:
            subprocess.run(self.runc("delete", "--force", self.name), check=True)

    def state(self):
        done = subprocess.run(self.runc("state", self.name), check=True, stdout=subprocess.PIPE, text=True)
        return json.loads(done.stdout)

    def within(self, *command, **variables):
        """A command line that runs a program inside of it."""
        given = [f"--env={key}={value}" for key, value in variables.items()]
        return self.runc("exec", *given, self.name, *command)

    def ask(self, *command, **variables):
        return subprocess.run(self.within(*command, **variables), capture_output=True, text=True)

    def beside(self, *command, **variables):
        """Another program inside of it, until the end of the block."""
        return Process(self.within(*command, **variables))
