"""Bills of materials, of this environment."""

import json
from typing import Any

import pytest

from deploy.audit.bill import environment, invalid, of_image, text
from deploy.audit.hosts import HostTold, private_hosts, without_hosts
from deploy.audit.shipped import EXTRAS, Package, normal, shipped


@pytest.fixture(scope="module")
def packages() -> list[Package]:
    """All that is shipped."""
    return shipped()


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    """The bill of this environment."""
    return environment()


@pytest.mark.parametrize("image", EXTRAS)
def test_a_bill_lists_what_an_image_ships(image: str, whole: dict[str, Any], packages: list[Package]) -> None:
    """Every package of the image, in its version, is a component; and no other is."""
    bill = of_image(whole, image, packages)
    listed = {normal(component["name"]): component["version"] for component in bill["components"]}
    assert listed == {package.key: package.version for package in packages if image in package.images}
    assert bill["metadata"]["component"]["name"] == f"vitrail-{image}"


@pytest.mark.parametrize("image", EXTRAS)
def test_a_bill_is_whole(image: str, whole: dict[str, Any], packages: list[Package]) -> None:
    """Nothing depends on what is not in it, and everything has its place among what depends on what."""
    bill = of_image(whole, image, packages)
    known = {component["bom-ref"] for component in bill["components"]} | {bill["metadata"]["component"]["bom-ref"]}
    assert {one for edge in bill["dependencies"] for one in edge.get("dependsOn", [])} <= known
    assert {edge["ref"] for edge in bill["dependencies"]} == known


def test_a_bill_is_valid(whole: dict[str, Any], packages: list[Package]) -> None:
    """A bill keeps to the schema of CycloneDX; three packages of it, for a whole one takes long to check."""
    bill = of_image(whole, "gateway", packages[:3])
    assert invalid(bill) is None
    assert invalid({**bill, "components": [{"name": "a"}]}) is not None


def test_a_bill_says_under_which_licence(whole: dict[str, Any], packages: list[Package]) -> None:
    """Most components carry a licence, as their metadata has it."""
    components = of_image(whole, "gateway", packages)["components"]
    assert sum("licenses" in component for component in components) > 0.9 * len(components)


def test_a_bill_does_not_tell_where_packages_came_from(whole: dict[str, Any], packages: list[Package]) -> None:
    """No file of this machine, no address of a download, and no host of its package index stands in it."""
    written = text(of_image(whole, "builder", packages))
    assert "file://" not in written
    assert without_hosts(written, private_hosts()) == written


def test_a_download_address_is_left_out() -> None:
    """A component that was installed from an address loses it, and keeps its home page."""
    links = [
        {"type": "distribution", "url": "https://mirror.example/a.whl"},
        {"type": "website", "url": "https://a.example"},
    ]
    root = {"bom-ref": "root", "name": "vitrail"}
    whole = {
        "metadata": {"component": root},
        "components": [{"bom-ref": "a", "name": "a", "externalReferences": links}],
        "dependencies": [{"ref": "root", "dependsOn": ["a", "b"]}, {"ref": "a"}, {"ref": "b"}],
    }
    bill = of_image(whole, "gateway", [Package("a", "1", ("gateway",))])
    assert "mirror.example" not in json.dumps(bill)
    assert bill["components"][0]["externalReferences"] == links[1:]
    assert bill["dependencies"] == [{"ref": "root", "dependsOn": ["a"]}, {"ref": "a"}]


def test_hosts_of_package_indexes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hosts that this machine's packages come from are known, also behind a name and password."""
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://me:word@wheels.example:8443/simple")
    monkeypatch.setenv("UV_INDEX_URL", "https://pypi.org/simple")
    hosts = private_hosts()
    assert "wheels.example" in hosts
    assert "pypi.org" not in hosts
    with pytest.raises(HostTold):
        without_hosts("see https://wheels.example/x", hosts)
