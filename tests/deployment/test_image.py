"""The gateway's image, built and run for real; `make image-test` does it, in some minutes."""

import importlib.metadata
import json
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.deployment.container import Container, container
from tests.deployment.image import PROJECT, Image, storage, why_not
from tests.service.running import RED
from tests.service.video.clips import every, write_clip
from tests.tiny_models import write_version

pytestmark = [
    pytest.mark.skipif("VITRAIL_IMAGE_TEST" not in os.environ, reason="takes minutes: `make image-test` runs it"),
    pytest.mark.skipif(why_not() is not None, reason=why_not() or ""),
]

LIBRARIES_MB = 620
"""What the environment in the image may weigh: 585 MB when this was written, and a little more."""

STRIPPED = (
    "av",
    "kiwisolver",
    "ml_dtypes",
    "pycocotools.mask",
    "scipy.ndimage",
    "tritonclient.grpc.aio",
    "uvloop",
    "yaml",
)


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """The target `gateway` of the Dockerfile."""
    with storage() as kept:
        yield kept.build("gateway")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one small classifier, which every user may read."""
    # The folders above belong to root alone, which a bind mount does not mind.
    root = tmp_path_factory.mktemp("models")
    root.chmod(0o755)
    write_version(root, "colours")
    return root


@pytest.fixture(scope="module")
def running(image: Image, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """The image's own command, ready."""
    with container(image, models, _free_port(), tmp_path_factory.mktemp("container") / "log") as running:
        yield running


def test_a_picture_is_classified(running: Container) -> None:
    """The service in the container answers as it does outside."""
    answer = httpx.post(f"{running.url}/v1/classify", content=RED, headers={"Content-Type": "image/png"}, timeout=30)
    assert (answer.status_code, answer.json()["results"][0]["classes"][0]["label"]) == (200, "red")


def test_a_picture_is_drawn(running: Container) -> None:
    """The libraries that only drawing needs are there, and do with what they may write."""
    headers = {"Content-Type": "image/png", "Accept": "image/png"}
    answer = httpx.post(f"{running.url}/v1/classify", content=RED, headers=headers, timeout=30)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/png")


def test_a_video_is_worked_through(running: Container, tmp_path: Path) -> None:
    """Videos are read, tracked and drawn by the libraries that are there, within the one volume that is theirs."""
    clip = write_clip(tmp_path / "clip.mp4", every(5)).read_bytes()
    sent = httpx.post(f"{running.url}/v1/videos?task=classify&annotate=true", content=clip, timeout=30)
    links = sent.json()["links"]
    lines = httpx.get(running.url + links["results"], timeout=60).text.splitlines()
    annotated = httpx.get(running.url + links["annotated"], timeout=30)
    assert (sent.status_code, len(lines), annotated.status_code) == (202, 5, 200)
    assert annotated.content[4:8] == b"ftyp"


@pytest.mark.parametrize("name", STRIPPED)
def test_a_library_outlives_its_symbols(name: str, running: Container) -> None:
    """The compiled modules, which the build strips, can be loaded."""
    assert running.run("python", "-c", f"import {name}").stderr == ""


def test_it_runs_without_any_privilege(running: Container) -> None:
    """The first process is not root's, holds no capability, and can gain none."""
    lines = Path(f"/proc/{running.first_pid}/status").read_text().splitlines()
    status = {name: value.split() for name, value in (line.split(":", 1) for line in lines)}
    assert status["Uid"] == status["Gid"] == ["10001"] * 4
    assert (status["CapEff"], status["CapPrm"], status["NoNewPrivs"]) == (["0" * 16], ["0" * 16], ["1"])
    assert status["NSpid"][-1] == "1"


@pytest.mark.parametrize("place", ["/", "/opt/vitrail", "/models"])
def test_it_needs_to_write_nowhere(place: str, running: Container) -> None:
    """The service serves although root and models are read-only."""
    attempt = running.run("python", "-c", f"open('{place}/new', 'w')")
    assert "Read-only file system" in attempt.stderr


def test_it_writes_nothing(running: Container) -> None:
    """After all that it was asked, /tmp is empty: no library keeps a cache, an identifier or a report there."""
    test_a_picture_is_classified(running)
    assert running.run("find", "/tmp", "-mindepth", "1").stdout == ""  # noqa: S108


def test_it_is_found_healthy(running: Container) -> None:
    """The image's own health check says so, without curl."""
    kind, *command = running.image.config["Healthcheck"]["Test"]
    assert (kind, running.run(*command).returncode) == ("CMD", 0)


def test_it_ends_well(image: Image, models: Path, tmp_path: Path) -> None:
    """The stop signal reaches the service although it is the first process, and the exit status is 0."""
    with container(image, models, _free_port(), tmp_path / "log") as running:
        assert running.stop() == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_nothing_of_it_stays(image: Image, models: Path, tmp_path: Path) -> None:
    """A container that nobody stops ends with its test."""
    with container(image, models, _free_port(), tmp_path / "log") as running:
        first = Path(f"/proc/{running.first_pid}")
        assert first.exists()
    assert not first.exists()


def test_what_the_engine_is_told(image: Image) -> None:
    """The configuration names a user by number, the port, the volume, the signal, and listens to all."""
    config = image.config
    assert (image.user, image.entrypoint, config["StopSignal"]) == ("10001:10001", ["vitrail-serve"], "SIGTERM")
    assert (list(config["ExposedPorts"]), list(config["Volumes"])) == (["8000/tcp", "8001/tcp"], ["/models", "/videos"])
    assert image.environment["VITRAIL_HOST"] == "0.0.0.0"  # noqa: S104 - the container's own
    assert image.environment["VITRAIL_REPOSITORY"] == "/models"
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"


@pytest.mark.parametrize("name", ["torch", "onnx", "timm", "transformers", "pip", "setuptools", "build_engines"])
def test_what_a_gateway_has_no_need_of(name: str, running: Container) -> None:
    """No training library, no installer and no builder is in the image."""
    assert "No module named" in running.run("python", "-c", f"import {name}").stderr


@pytest.mark.parametrize("name", ["gcc", "cc", "pip", "pip3", "curl", "vitrail-build"])
def test_no_tool_to_build_with(name: str, running: Container) -> None:
    """No compiler, installer or download tool is in the image."""
    assert running.run("sh", "-c", f"command -v {name}").stdout == ""


def test_only_pinned_versions(image: Image) -> None:
    """Every library in the image has the version that constraints.txt names."""
    lines = (PROJECT / "constraints.txt").read_text().splitlines()
    pinned = {_normal(line.split("==")[0]): line.split("==")[1] for line in lines if not line.startswith("#")}
    found = importlib.metadata.distributions(path=[str(image.site_packages)])
    versions = {_normal(one.metadata["Name"]): one.version for one in found}
    assert versions.pop("vitrail") == "0.1.0"
    assert versions == {name: pinned.get(name) for name in versions}


def test_it_stays_small(image: Image) -> None:
    """The environment does not grow unnoticed."""
    print(json.dumps({"layers_mb": [round(size / 1e6, 1) for size in image.layers]}))  # noqa: T201 - with `pytest -s`
    sizes = (path.lstat().st_size for path in image.root.joinpath("opt/vitrail").rglob("*"))
    assert sum(sizes) < LIBRARIES_MB * 1e6


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
