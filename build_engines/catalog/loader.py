"""Read the catalogue, and make entries for models of timm that it does not list."""

import re
from functools import cache
from pathlib import Path

import yaml

from build_engines.catalog.entry import Entry, HubWeights, TimmSource
from contract.task import Task

TIMM_PREFIX = "timm:"
_FOLDER = Path(__file__).parent


class UnknownEntry(ValueError):
    """A name that stands for nothing in the catalogue."""


@cache
def entries() -> tuple[Entry, ...]:
    """All entries of the catalogue, by name; ValueError for a file that is not one."""
    return tuple(_read(path) for path in sorted(_FOLDER.glob("*.yaml")))


def find(name: str) -> Entry:
    """The entry of this name, or one made for ``timm:NAME``; UnknownEntry where there is neither."""
    if name.startswith(TIMM_PREFIX):
        return _timm_entry(name.removeprefix(TIMM_PREFIX))
    for entry in entries():
        if entry.name == name:
            return entry
    known = ", ".join(entry.name for entry in entries())
    raise UnknownEntry(f"the catalogue has no {name!r}; it has {known}; any classifier of timm is 'timm:NAME'")


def defaults() -> tuple[Entry, ...]:
    """The models of a fresh installation."""
    return tuple(entry for entry in entries() if entry.default)


def _read(path: Path) -> Entry:
    entry = Entry.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    if entry.name != path.stem:
        raise ValueError(f"{path.name} describes {entry.name!r}; an entry's file bears its name")
    return entry


def _timm_entry(model: str) -> Entry:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", model):
        raise UnknownEntry(f"{model!r} is not the name of a timm model")
    return Entry(
        name=model.lower(),
        task=Task.CLASSIFY,
        description=f"{model} of timm",
        source=TimmSource(model=model),
        weights=HubWeights(),
        labels="imagenet",
        licence="see the weights' origin",
        reference="https://github.com/huggingface/pytorch-image-models",
    )
