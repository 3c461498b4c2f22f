"""A container image, really built and run without a container engine: buildah makes it, namespaces confine it.

The base image is made by debootstrap, so no image registry is needed. ``VITRAIL_IMAGE_BASE`` names another base for
buildah to take, such as ``docker.io/library/debian:bookworm-slim``.
"""

import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]

_TOOLS = ("buildah", "debootstrap", "unshare", "nsenter", "setpriv", "chroot")
_SUITE = "bookworm"
# What Debian's own slim images leave out.
_NOT_IN_SLIM = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info")
# A folder of wheels is left out: what lies on this machine is not there in the build.
_PIP_OPTIONS = ("index-url", "cert", "trusted-host", "proxy", "timeout", "default-timeout", "retries")


def why_not() -> str | None:
    """Why no image can be built here; None if one can."""
    if os.geteuid() != 0:
        return "only root can build and confine an image here"
    absent = [tool for tool in _TOOLS if shutil.which(tool) is None]
    return f"not installed: {', '.join(absent)}" if absent else None


@dataclass(frozen=True)
class Image:
    """A built image: the folder that its file system is mounted at, and its configuration."""

    root: Path
    user: str
    entrypoint: list[str]
    environment: dict[str, str]
    config: dict[str, Any]
    layers: list[int]
    """Bytes of each layer, uncompressed, the base's first."""

    @property
    def site_packages(self) -> Path:
        """Where its Python packages lie."""
        (found,) = self.root.glob("opt/vitrail/lib/python3*/site-packages")
        return found


class Storage:
    """Where buildah keeps what it makes; apart from the machine's own, so that all of it can be removed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environment = {"BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "vfs", **os.environ}

    def buildah(self, *arguments: str) -> str:
        """Run a command of buildah, and give what it printed."""
        command = ["buildah", "--root", str(self.folder / "storage"), "--runroot", str(self.folder / "run")]
        return _run([*command, *arguments], env=self._environment)

    def base(self) -> str:
        """The name of the base image: the one that was asked for, or one that is made now (a minute or two)."""
        if asked := os.environ.get("VITRAIL_IMAGE_BASE"):
            return asked
        root = self.folder / "debian"
        _run(["debootstrap", "--variant=minbase", _SUITE, str(root), *_mirror()])
        _run(["chroot", str(root), "apt-get", "clean"])
        for name in (*_NOT_IN_SLIM, "var/lib/apt/lists"):
            shutil.rmtree(root / name)
            (root / name).mkdir()
        excluded = "".join(f"path-exclude /{name}/*\n" for name in _NOT_IN_SLIM)
        (root / "etc/dpkg/dpkg.cfg.d/slim").write_text(excluded)
        container = self.buildah("from", "scratch")
        self.buildah("add", "--quiet", container, str(root), "/")
        self.buildah("commit", "--quiet", "--rm", container, "localhost/debian")
        shutil.rmtree(root)
        return "localhost/debian"

    def build(self, target: str) -> Image:
        """Build a target of the Dockerfile."""
        name = f"localhost/{target}"
        options = ["--target", target, "--tag", name, "--build-arg", f"BASE={self.base()}", *self._secrets()]
        self.buildah("build", "--format", "docker", "--network", "host", *options, str(PROJECT))
        described = json.loads(self.buildah("inspect", "--type", "image", name))
        config = described["Docker"]["config"]
        return Image(
            root=Path(self.buildah("mount", self.buildah("from", name))),
            user=config["User"],
            entrypoint=config["Entrypoint"],
            environment=dict(item.split("=", 1) for item in config["Env"]),
            config=config,
            layers=[layer["size"] for layer in json.loads(described["Manifest"])["layers"]],
        )

    def _secrets(self) -> list[str]:
        """How this machine's pip reaches its index, so that pip in the build does. The image keeps no secret."""
        settings = _pip_settings()
        options = []
        if authority := settings.get("cert"):
            options = ["--secret", f"id=ca.pem,src={authority}"]
            settings["cert"] = "/run/secrets/ca.pem"
        lines = [f"{name} = {settings[name]}\n" for name in _PIP_OPTIONS if name in settings]
        configuration = self.folder / "pip.conf"
        configuration.write_text("[global]\n" + "".join(lines))
        return [*options, "--secret", f"id=pip.conf,src={configuration}"]


@contextmanager
def storage() -> Iterator[Storage]:
    """A storage that leaves nothing behind."""
    # Not /tmp, which may be in memory, or forbid devices.
    folder = Path(tempfile.mkdtemp(prefix="vitrail-image-", dir="/var/tmp"))
    kept = Storage(folder)
    try:
        yield kept
    finally:
        kept.buildah("umount", "--all")
        kept.buildah("rm", "--all")
        kept.buildah("rmi", "--all", "--force")
        shutil.rmtree(folder)


def _pip_settings() -> dict[str, str]:
    """What pip is told by its files and by the environment, by option; the environment wins, as it does for pip."""
    lines = _run([sys.executable, "-m", "pip", "config", "list"]).splitlines()
    pairs = [line.split("=", 1) for line in lines]
    from_files = {key.rsplit(".", 1)[1]: value for key, value in pairs if not key.startswith(":env:")}
    from_environment = {key.rsplit(".", 1)[1]: value for key, value in pairs if key.startswith(":env:")}
    return {key: str(ast.literal_eval(value)) for key, value in (from_files | from_environment).items()}


def _mirror() -> list[str]:
    """The mirror that this machine's own apt reads the suite from; none, and debootstrap takes its default."""
    listed = _run(
        ["apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"]
    )
    found = (line.split() for line in listed.splitlines())
    return [words[2] for words in found if words[:2] == [_SUITE, "main"]][:1]


def _run(command: list[str], env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()
