"""What the images ship."""

import re

import pytest

from deploy.audit.shipped import PROJECT, Package, shipped


@pytest.fixture(scope="module")
def packages() -> dict[str, Package]:
    """All that is shipped, by name."""
    return {package.key: package for package in shipped()}


def test_both_images_ship_what_the_service_needs(packages: dict[str, Package]) -> None:
    """The packages of the service are in both images, those of the builder in one, and tools of the tests in none."""
    assert packages["pydantic"].images == ("gateway", "builder")
    assert packages["torch"].images == ("builder",)
    assert packages["opentelemetry-sdk"].images == ("gateway",)
    assert not {"pytest", "mypy", "pip-audit", "nvidia-pytriton", "vitrail"} & packages.keys()


def test_what_packages_need_is_shipped(packages: dict[str, Package]) -> None:
    """What is needed by what is needed is found, through the extras that are asked for."""
    assert {"starlette", "pillow", "grpcio", "cryptography", "requests"} <= packages.keys()


def test_versions_are_those_that_are_pinned(packages: dict[str, Package]) -> None:
    """Every package that is shipped stands in constraints.txt, but for setuptools, which `pip freeze` leaves out."""
    lines = (PROJECT / "constraints.txt").read_text().splitlines()
    pinned = {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in lines if "==" in line}
    assert {name for name in packages if not name.startswith("nvidia-")} <= pinned | {"setuptools"}
