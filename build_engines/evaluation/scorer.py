"""What every way of scoring offers to the loop that asks the model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from contract.tasks.definition import Parameters


class UnusableTruth(Exception):
    """What the data set says about one picture cannot be used; the message says why."""


class Scorer(Protocol):
    """Compares answers with one data set."""

    @property
    def paths(self) -> Sequence[Path]:
        """The pictures."""

    @property
    def notes(self) -> Sequence[str]:
        """What the reader of the figures should know of how the data set was matched with the model."""

    @property
    def parameters(self) -> Parameters:
        """What the model is asked for."""

    def add(self, index: int, answer: Any) -> None:
        """Take the answer to ``paths[index]`` into account; UnusableTruth leaves it out."""

    def metrics(self) -> dict[str, float]:
        """The figures over all answers so far, each by the name that it has in the card."""
