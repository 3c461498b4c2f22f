"""Which version a caller means: pure functions over names."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from contract.card import ModelCard, Supervision
from contract.task import Task
from service.errors import invalid_parameters

STABLE = "stable"
"""The alias that a bare name means: the newest version that is ready."""

_SELECTOR = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9_.-]{0,127})(?:@(?P<alias>[a-z][a-z0-9_-]{0,63})|:(?P<version>[1-9][0-9]{0,8}))?"
)


@dataclass(frozen=True, slots=True)
class Selector:
    """What a caller wrote after ``model=``: a name, and a version or an alias."""

    name: str
    alias: str | None
    version: int | None


def parse_selector(text: str) -> Selector:
    """Read ``name``, ``name@alias`` or ``name:version``; ServiceError (invalid_parameters) for anything else."""
    found = _SELECTOR.fullmatch(text)
    if found is None:
        raise invalid_parameters("model must be name, name@alias or name:version")
    version = found["version"]
    alias = found["alias"] or (None if version else STABLE)
    return Selector(found["name"], alias, int(version) if version else None)


def default_model(task: Task, cards: Iterable[ModelCard]) -> str | None:
    """The model that answers a task when none is named.

    Trained models come before untrained ones, fully supervised before weakly supervised ones, then the first by name.
    """
    ranked = sorted(
        (not card.provenance.trained, card.provenance.supervision is not Supervision.FULL, card.name)
        for card in cards
        if card.task is task
    )
    return ranked[0][2] if ranked else None
