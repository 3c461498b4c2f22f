"""What the images ship of Python: the packages that the project needs at run time, and those that these need."""

import importlib.metadata
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

PROJECT = Path(__file__).parents[2]

EXTRAS: dict[str, tuple[str, ...]] = {"gateway": ("cpu", "otel", "jwt"), "builder": ("cpu", "build")}
"""The extras of pyproject.toml that each image takes; the Dockerfile's build argument DEVICE is cpu."""


class NotInstalled(Exception):
    """Packages that are shipped are not in this environment, so nothing can be said of them."""


@dataclass(frozen=True, slots=True)
class Package:
    """One package that is shipped."""

    name: str
    """As its own metadata writes it."""
    version: str
    images: tuple[str, ...]
    """The images that it is in."""

    @property
    def key(self) -> str:
        """The name as all tools compare it."""
        return normal(self.name)


def normal(name: str) -> str:
    """A package's name in the form in which names are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def shipped() -> list[Package]:
    """Every package that an image ships, with the version that is installed here, by name.

    Raises:
        NotInstalled: some of them are not in this environment.
    """
    found = {image: set(_closure(image)) for image in EXTRAS}
    absent: list[str] = []
    packages: list[Package] = []
    for key in sorted(set().union(*found.values())):
        images = tuple(image for image in EXTRAS if key in found[image])
        try:
            distribution = importlib.metadata.distribution(key)
        except importlib.metadata.PackageNotFoundError:
            absent.append(key)
        else:
            packages.append(Package(distribution.name, distribution.version, images))
    if absent:
        raise NotInstalled(f"{', '.join(absent)} are not installed here; `make setup` installs all that is shipped")
    return packages


def _closure(image: str) -> Iterator[str]:
    """The names of all that an image needs, each once, in the form in which names are compared."""
    table = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    ahead = [Requirement(text) for text in table["dependencies"]]
    ahead += [Requirement(text) for extra in EXTRAS[image] for text in table["optional-dependencies"][extra]]
    seen: set[str] = set()
    while ahead:
        requirement = ahead.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        # The same package may be asked for once more, with other extras.
        if (place := str((normal(requirement.name), sorted(requirement.extras)))) in seen:
            continue
        seen.add(place)
        ahead += _needs(requirement)
        yield normal(requirement.name)


def _needs(requirement: Requirement) -> Iterator[Requirement]:
    """What an installed package needs in this environment; nothing where it is not installed."""
    try:
        texts = importlib.metadata.requires(requirement.name) or []
    except importlib.metadata.PackageNotFoundError:
        return
    for need in map(Requirement, texts):
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in {"", *requirement.extras}):
            # Its marker has been looked at, with the extra that it speaks of.
            need.marker = None
            yield need
