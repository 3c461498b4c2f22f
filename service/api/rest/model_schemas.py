"""What the routes of the models answer with."""

from collections.abc import Mapping
from datetime import datetime

from typing_extensions import TypedDict

from contract.card import ModelCard, Supervision
from contract.task import Task
from service.registry.traffic import RollbackRules, RolledBack
from service.registry.version import VersionState


class CertificateSummary(TypedDict):
    """Whether the version's engine computes what its source computes; the whole certificate is in the card."""

    passed: bool
    max_relative_error: float | None
    batch_sizes: tuple[int, ...]
    reference: str
    engine: str
    verified_at: datetime


class VersionSummary(TypedDict):
    """Where a version stands; ``reason`` says why it takes no traffic."""

    version: str
    state: VersionState
    reason: str | None
    precision: str | None
    memory_bytes: int | None
    certificate: CertificateSummary | None


class VersionAnswer(VersionSummary):
    """A version with its card; without one where the card cannot be read."""

    model: str
    card: ModelCard | None


class InputSize(TypedDict):
    """What images are resized to, in pixels."""

    height: int
    width: int


class CardFacts(TypedDict, total=False):
    """What the card of a model's stable version tells, else that of its newest."""

    task: Task
    description: str
    default: bool
    trained: bool
    supervision: Supervision
    notes: tuple[str, ...]
    licence: str
    source: str
    labels: int
    input: InputSize
    parameters: int
    gmacs: float | None


class ModelAnswer(CardFacts):
    """A model; what its card would tell is absent where no version's card can be read."""

    name: str
    versions: list[VersionSummary]
    aliases: dict[str, str]


class RoutingProblem(TypedDict):
    """Why the file that divides the traffic is not followed as it is now; null if it is."""

    problem: str | None


class ModelsAnswer(TypedDict):
    """All models."""

    models: list[ModelAnswer]
    routing: RoutingProblem


class CaseAnswer(TypedDict):
    """One image on which two versions disagreed."""

    request_id: str
    image: int
    disagreement: float
    figures: dict[str, float]
    at: datetime
    image_kept: bool


class ComparisonAnswer(TypedDict):
    """How a version on trial differs from another, over the images that both were shown."""

    reference: str
    candidate: str
    images: int
    disagreement: float | None
    figures: Mapping[str, float]
    latency_ratio: float | None
    worst: list[CaseAnswer]


class Observed(TypedDict):
    """What was seen of an alias within the window of its rules."""

    requests: int
    faults: int
    p50_ms: float | None
    p99_ms: float | None
    compared: int
    disagreement: float | None


class TrafficAnswer(TypedDict):
    """How a model's callers are divided among its versions, and what was seen of those on trial."""

    model: str
    aliases: dict[str, str]
    weights: dict[str, float]
    sticky: str | None
    shadow: int | None
    sample: float
    rollback: RollbackRules | None
    rolled_back: RolledBack | None
    pinned: bool
    observed: dict[str, Observed]
    comparisons: list[ComparisonAnswer]


class DefaultAnswer(TypedDict):
    """What answers a task when a request names no model."""

    task: Task
    model: str
