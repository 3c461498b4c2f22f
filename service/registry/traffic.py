"""Which alias answers a caller who names none: weights, and callers who stick to their alias. Pure functions."""

from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from contract.task import Task
from service.registry.routing import ALIAS, NAME, STABLE

AliasName = Annotated[str, StringConstraints(pattern=f"^{ALIAS}$")]
ModelName = Annotated[str, StringConstraints(pattern=f"^{NAME}$")]
_HEADER = "header:"
RESERVED = frozenset({"shadow", "sample", "sticky", "rollback", "pinned"})
"""Words that stand beside the aliases' shares where traffic is set, and so are no aliases."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RollbackRules(_Strict):
    """When the shares of an alias go back to ``stable``: one rule that is broken within the window is enough."""

    window_s: Annotated[float, Field(ge=1, le=3600)] = 60.0
    """Seconds over which is counted."""
    min_requests: Annotated[int, Field(ge=1)] = 20
    """Requests that the alias must have answered within the window, and compared answers, before a rule is asked."""
    max_error_rate: Annotated[float, Field(ge=0, le=1)] | None = 0.02
    """Share of requests that failed by the service's fault, above that of ``stable``."""
    max_p99_ratio: Annotated[float, Field(gt=1)] | None = 3.0
    """p99 of the time in the engine, queue included, divided by that of ``stable``."""
    max_disagreement: Annotated[float, Field(gt=0, le=1)] | None = 0.2
    """Mean share of an answer in which the alias and ``stable`` differ on the same image."""


class RolledBack(_Strict):
    """What was taken back, and why."""

    alias: AliasName
    version: int
    weights: dict[AliasName, float]
    """The shares as they were."""
    rule: str
    reason: str
    at: datetime


class ModelTraffic(_Strict):
    """One model's aliases, and how callers who name neither alias nor version are divided among them."""

    aliases: dict[AliasName, Annotated[int, Field(ge=1)]] = {}
    """Version by alias. Without ``stable``, that is the newest version that is ready."""
    weights: dict[AliasName, Annotated[float, Field(ge=0, le=1e6)]] = {}
    """Share by alias, in any unit; empty: all to ``stable``."""
    sticky: Annotated[str, StringConstraints(pattern=f"^{_HEADER}[A-Za-z0-9-]{{1,64}}$")] | None = None
    """``header:NAME``: callers with equal values of this header get the same alias."""
    shadow: Annotated[int, Field(ge=1)] | None = None
    """A version that gets copies of what ``stable`` is asked; its answers are compared, and nobody sees them."""
    sample: Annotated[float, Field(gt=0, le=100)] = 100.0
    """Percent of the requests that are compared, of a shadow's or of another alias than ``stable``."""
    rollback: RollbackRules | None = None
    """When the shares go back to ``stable`` by themselves; None: never."""
    rolled_back: RolledBack | None = None
    """The last time that they did; written by the service, and gone with the next change of the shares."""
    pinned: bool = False
    """Its versions never give their memory to others."""

    @property
    def on_trial(self) -> set[int]:
        """Versions that are under another alias than ``stable``, or shadow it."""
        others = {number for alias, number in self.aliases.items() if alias != STABLE}
        return others | ({self.shadow} if self.shadow else set())

    @model_validator(mode="after")
    def _weights_have_aliases(self) -> Self:
        if taken := RESERVED & self.aliases.keys():
            raise ValueError(f"{', '.join(sorted(taken))} cannot be the name of an alias")
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

    def with_model(self, model: str, traffic: ModelTraffic) -> "Routing":
        """The same, but for one model."""
        return self.model_copy(update={"models": {**self.models, model: traffic}})


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
