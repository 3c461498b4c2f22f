"""Read the catalogue, and make entries for models of timm that it does not list."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from build_engines.catalog.entry import Entry, HubWeights, TimmSource, TransformersSource
from contract.task import Task

TIMM_PREFIX = "timm:"
TRANSFORMERS_PREFIX = "transformers:"
_FOLDER = Path(__file__).parent


class UnknownEntry(ValueError):
    """A name that stands for nothing in the catalogue."""


@cache
def entries() -> tuple[Entry, ...]:
    """All entries of the catalogue, by name; ValueError for a file that is not one, or a name that comes twice."""
    found = [entry for path in sorted(_FOLDER.rglob("*.yaml")) for entry in _read(path)]
    by_name = {entry.name: entry for entry in found}
    if len(by_name) < len(found):
        raise ValueError("two entries of the catalogue bear one name")
    return tuple(by_name[name] for name in sorted(by_name))


def find(name: str) -> Entry:
    """The entry of this name, or one made for ``timm:NAME`` or ``transformers:TYPE``; UnknownEntry if there is none."""
    if name.startswith(TIMM_PREFIX):
        return _timm_entry(name.removeprefix(TIMM_PREFIX))
    if name.startswith(TRANSFORMERS_PREFIX):
        return _transformers_entry(name.removeprefix(TRANSFORMERS_PREFIX))
    for entry in entries():
        if entry.name == name:
            return entry
    close = get_close_matches(name, [entry.name for entry in entries()], n=5)
    hint = f"; near to it are {', '.join(close)}" if close else ""
    raise UnknownEntry(
        f"the catalogue has no {name!r}{hint}; `vitrail-build list` shows all; any classifier of timm is 'timm:NAME', "
        "any vision model of transformers 'transformers:TYPE'"
    )


def defaults() -> tuple[Entry, ...]:
    """The models of a fresh installation."""
    return tuple(entry for entry in entries() if entry.default)


def _read(path: Path) -> Iterator[Entry]:
    """The entries of a file: one, or those of a family under ``entries``, each over the family's ``defaults``."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    family = content.get("entries")
    if family is None:
        entry = Entry.model_validate(content)
        if entry.name != path.stem:
            raise ValueError(f"{path.name} describes {entry.name!r}; an entry's file bears its name")
        yield entry
        return
    for fields in family:
        yield from _for_each_task(content.get("defaults", {}) | fields)


def _for_each_task(fields: dict[str, Any]) -> Iterator[Entry]:
    """One entry, or where the fields have ``tasks`` one for each: ``NAME`` classifies and ``NAME_features`` embeds."""
    tasks = fields.pop("tasks", [fields.get("task")])
    for task in tasks:
        named = fields | {"task": task}
        if len(tasks) > 1 and task == Task.EMBED:
            # What is published holds for the network with its classifier.
            named |= {"name": fields["name"] + "_features", "labels": None, "published": {}}
        yield Entry.model_validate(named)


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


def _transformers_entry(kind: str) -> Entry:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,127}", kind):
        raise UnknownEntry(f"{kind!r} is not a model type of transformers; they look like 'rt_detr_v2'")
    return Entry(
        name=kind.replace("-", "_"),
        task=Task.CLASSIFY,
        description=f"{kind} of transformers",
        source=TransformersSource(type=kind),
        licence="see the weights' origin",
        reference="https://github.com/huggingface/transformers",
    )
