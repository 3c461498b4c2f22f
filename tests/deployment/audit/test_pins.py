"""The gateway's packages with the hashes of their files."""

import re

import pytest

from deploy.audit.pins import FILE, pinned, unhashed
from deploy.audit.shipped import PROJECT, normal, shipped


@pytest.fixture(scope="module")
def text() -> str:
    """The file as it is in the tree."""
    return FILE.read_text()


def test_every_package_of_the_gateway_is_pinned(text: str) -> None:
    """What the gateway ships here stands in the file; `make pins` writes it anew."""
    names = {normal(name) for name in pinned(text)}
    assert {package.key for package in shipped() if "gateway" in package.images} <= names


def test_versions_are_those_of_the_constraints(text: str) -> None:
    """The file names the versions of constraints.txt, and no others."""
    lines = (PROJECT / "constraints.txt").read_text().splitlines()
    constraints = {normal(name): version for name, _, version in (line.partition("==") for line in lines)}
    found = {normal(name): version for name, version in pinned(text).items()}
    assert found == {name: constraints.get(name) for name in found}


def test_every_pin_has_a_hash(text: str) -> None:
    """Each package has at least one hash: pip refuses the whole file for one without."""
    assert unhashed(text) == []
    assert unhashed("a==1 \\\n    --hash=sha256:00\nb==2\n") == ["b"]


def test_no_address_stands_in_it(text: str) -> None:
    """The file says which files, never where they are."""
    assert re.findall("://|--index|--find-links|--extra-index", text) == []
