"""Which alias answers a caller who names none: weights, and callers who stick to their alias. Pure functions."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from contract.task import Task
from service.registry.routing import ALIAS, NAME, STABLE

AliasName = Annotated[str, StringConstraints(pattern=f"^{ALIAS}$")]
ModelName = Annotated[str, StringConstraints(pattern=f"^{NAME}$")]
_HEADER = "header:"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelTraffic(_Strict):
    """One model's aliases, and how callers who name neither alias nor version are divided among them."""

    aliases: dict[AliasName, Annotated[int, Field(ge=1)]] = {}
    """Version by alias. Without ``stable``, that is the newest version that is ready."""
    weights: dict[AliasName, Annotated[float, Field(ge=0, le=1e6)]] = {}
    """Share by alias, in any unit; empty: all to ``stable``."""
    sticky: Annotated[str, StringConstraints(pattern=f"^{_HEADER}[A-Za-z0-9-]{{1,64}}$")] | None = None
    """``header:NAME``: callers with equal values of this header get the same alias."""

    @model_validator(mode="after")
    def _weights_have_aliases(self) -> Self:
        if unknown := self.weights.keys() - self.aliases.keys() - {STABLE}:
            raise ValueError(f"weights name {', '.join(sorted(unknown))}, which aliases do not have")
        if self.weights and not sum(self.weights.values()) > 0:
            raise ValueError("weights must not all be 0; leave them out to send everything to stable")
        return self

    @property
    def header(self) -> str | None:
        """The name of the header that callers stick by, in lower case."""
        return self.sticky.removeprefix(_HEADER).lower() if self.sticky else None


class Routing(_Strict):
    """The content of ``routing.yaml``."""

    models: dict[ModelName, ModelTraffic] = {}
    tasks: dict[Task, Annotated[str, StringConstraints(pattern=f"^{NAME}(@{ALIAS})?$")]] = {}
    """What answers a task when no model is named: ``name`` or ``name@alias``."""


def choose(traffic: ModelTraffic, point: float) -> str:
    """The alias at a point 0…1 of the line on which each alias has its share.

    ``stable`` is last on the line, so that a canary that grows at its cost keeps the callers that it has.
    """
    others = [alias for alias in sorted(traffic.weights) if alias != STABLE]
    position = point * sum(traffic.weights.values())
    for alias in others:
        position -= traffic.weights[alias]
        if position < 0:
            return alias
    if traffic.weights.get(STABLE) or not traffic.weights:
        return STABLE
    return next(alias for alias in reversed(others) if traffic.weights[alias])


def point_of(model: str, key: str) -> float:
    """A caller's place on the line, 0…1: equal for equal keys, whichever gateway asks, another for each model."""
    digest = blake2b(f"{model}\0{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


def sticky_key(traffic: ModelTraffic, metadata: Mapping[str, str]) -> str | None:
    """What the caller sticks by, if the model wants that and the caller states it."""
    return metadata.get(traffic.header) if traffic.header else None
