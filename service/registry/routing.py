"""Which version a caller means: pure functions over names."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from contract.card import ModelCard, Supervision
from contract.task import Task
from contract.tasks.explain import can_explain
from service.errors import invalid_parameters

STABLE = "stable"
"""The alias that a bare name means where traffic is not divided."""

NAME, ALIAS = r"[a-z0-9][a-z0-9_.-]{0,127}", r"[a-z][a-z0-9_-]{0,63}"
"""Regular expressions for the names of models and aliases."""

_SELECTOR = re.compile(rf"(?P<name>{NAME})(?:@(?P<alias>{ALIAS})|:(?P<version>[1-9][0-9]{{0,8}}))?")


@dataclass(frozen=True, slots=True)
class Selector:
    """What a caller wrote after ``model=``: a name, and a version, an alias, or neither."""

    name: str
    alias: str | None
    version: int | None


def parse_selector(text: str) -> Selector:
    """Read ``name``, ``name@alias`` or ``name:version``; ServiceError (invalid_parameters) for anything else."""
    found = _SELECTOR.fullmatch(text)
    if found is None:
        raise invalid_parameters("model must be name, name@alias or name:version")
    version = found["version"]
    return Selector(found["name"], found["alias"], int(version) if version else None)


def answers(card: ModelCard, task: Task) -> bool:
    """Whether a model answers a task: its own, or that of explaining its answers."""
    return can_explain(card) if task is Task.EXPLAIN else card.task is task


def default_model(task: Task, cards: Iterable[ModelCard]) -> str | None:
    """The model that answers a task when none is named.

    Trained models come before untrained ones, fully supervised before weakly supervised ones, then the first by name.
    """
    ranked = sorted(
        (not card.provenance.trained, card.provenance.supervision is not Supervision.FULL, card.name)
        for card in cards
        if answers(card, task)
    )
    return ranked[0][2] if ranked else None
