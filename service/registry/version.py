"""One version as the registry knows it, and all that a request needs of one that is ready."""

import asyncio
import time
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType

from contract.card import ModelCard
from contract.tasks.definition import Settings, TaskDefinition
from service.engines.base import Engine
from service.registry.repository_watch import Fingerprint, Key
from service.telemetry import VersionMetrics


class VersionState(StrEnum):
    """Where a version stands."""

    LOADING = "loading"
    """It is being loaded, or waits for that; ``reason`` says what is missing."""
    READY = "ready"
    UNREACHABLE = "unreachable"
    """It was ready, and nothing that runs it can be reached now."""
    FAILED = "failed"
    UNLOADED = "unloaded"
    """Somebody asked for that; it comes back when somebody asks for it."""
    EVICTED = "evicted"
    """It gave its memory to others; the first request brings it back."""


class Leases:
    """The requests that use a version now; it is closed when the last has ended. ``with leases:`` is one request."""

    __slots__ = ("_ended", "_held", "last_used")

    def __init__(self) -> None:
        self._held = 0
        self._ended: asyncio.Event | None = None
        self.last_used = time.monotonic()

    def __enter__(self) -> None:
        self._held += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held -= 1
        self.last_used = time.monotonic()
        if self._ended is not None and not self._held:
            self._ended.set()

    @property
    def held(self) -> int:
        """How many requests use the version."""
        return self._held

    async def ended(self) -> None:
        """Wait until no request uses the version."""
        if self._held:
            self._ended = asyncio.Event()
            await self._ended.wait()


@dataclass(frozen=True, slots=True)
class LoadedVersion:
    """All that a request needs of a version that is ready."""

    card: ModelCard
    task: TaskDefinition
    settings: Settings
    engine: Engine
    metrics: VersionMetrics
    leases: Leases = field(default_factory=Leases)


@dataclass(slots=True, eq=False)
class Version:
    """One version in the repository, as it stands."""

    model: str
    number: int
    fingerprint: Fingerprint = ()
    """The files that it was, or is to be, loaded from."""
    condition: VersionState = VersionState.LOADING
    reason: str | None = None
    card: ModelCard | None = None
    loaded: LoadedVersion | None = None
    stale: bool = False
    """Its files are to be loaded, for the first time or again."""
    memory_bytes: int = 0
    """What it took when it was last loaded; what its files take until then."""

    @property
    def key(self) -> Key:
        """Its model and its number."""
        return self.model, self.number

    @property
    def state(self) -> VersionState:
        """Where it stands now."""
        if self.loaded is not None and not self.loaded.engine.healthy:
            return VersionState.UNREACHABLE
        return self.condition


@dataclass(frozen=True, slots=True)
class Resolved:
    """A version that is ready, and the alias by which it was found, if it was."""

    version: LoadedVersion
    alias: str | None
    by_share: bool = False
    """The caller named no alias and no version: the model's traffic was divided."""
