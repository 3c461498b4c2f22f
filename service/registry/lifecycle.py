"""What loads and unloads versions: at the start, as the repository changes, as memory asks, and as people ask."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from contract.repository import Repository, RepositoryError
from service.errors import ErrorKind, ServiceError, invalid_parameters, overloaded
from service.registry.eviction import Resident, evicted
from service.registry.golden import GoldenMismatch
from service.registry.loader import EngineRefused, Loader, OpenEngine
from service.registry.registry import Registry
from service.registry.repository_watch import Key, RepositoryWatch, size_of
from service.registry.version import LoadedVersion, Version, VersionState
from service.resident_memory import resident_bytes
from service.telemetry import Telemetry

_log = logging.getLogger("vitrail.registry")

_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 30.0
_FULL = "the memory limit leaves it no room; its first request loads it"


@dataclass(frozen=True, slots=True)
class MemoryPolicy:
    """How much memory versions may take together, and which of them stay."""

    limit_bytes: int | None = None
    """None: there is no limit."""
    min_idle_s: float = 30.0
    """Seconds without a request before a version may be evicted."""


class Lifecycle:
    """Loads and unloads the versions of a registry.

    One version is loaded at a time, beside those that answer; a version is closed once the last request that uses it
    has ended.
    """

    def __init__(
        self,
        registry: Registry,
        repository: Repository,
        open_engine: OpenEngine,
        telemetry: Telemetry,
        memory: MemoryPolicy | None = None,
        drain_timeout_s: float = 30.0,
        resident_bytes: Callable[[], int | None] = resident_bytes,
    ) -> None:
        self._registry = registry
        self._repository = repository
        self._loader = Loader(repository, open_engine, telemetry)
        self._telemetry = telemetry
        self._memory = memory or MemoryPolicy()
        self._drain_timeout_s = drain_timeout_s
        self._resident_bytes = resident_bytes
        self._watch = RepositoryWatch(repository)
        self._unreadable: str | None = None
        self._loading = asyncio.Lock()
        self._waits: dict[Key, tuple[float, float]] = {}
        """Versions whose engine could not be reached: when to try again, and how long to wait after that."""
        self._returning: dict[Key, asyncio.Task[None]] = {}
        self._retiring: set[asyncio.Task[None]] = set()

    async def load_all(self) -> None:
        """Load every complete version of the repository, one after the other; failures are kept with their reason."""
        await self.follow()
        self._registry.settled = True

    async def follow(self) -> None:
        """Look at the repository once: load what is new or changed, drain and forget what is gone."""
        try:
            look = await asyncio.to_thread(self._watch.look)
        except OSError as error:
            self._complain(error.strerror or str(error))
            return
        self._unreadable = None
        for version in self._registry.versions():
            if version.key not in look.present:
                self._forget(version)
        for key, files in look.resting.items():
            version = self._registry.version(*key) or self._registry.add(Version(*key))
            if version.fingerprint != files:
                version.fingerprint, version.memory_bytes = files, version.memory_bytes or size_of(files)
                if version.condition not in (VersionState.UNLOADED, VersionState.EVICTED):
                    version.stale = True
        for version in self._registry.versions():
            if version.stale and self._due(version):
                await self._load(version)

    async def load(self, model: str, number: int) -> Version:
        """Load a version because somebody asks for it, and wait for that; ServiceError if it cannot be."""
        version = self._registry.version(model, number)
        files = await asyncio.to_thread(self._watch.fingerprint, model, number)
        if version is None:
            if number not in await asyncio.to_thread(self._versions_of, model):
                raise ServiceError(ErrorKind.MODEL_NOT_FOUND, f"the repository has no {model}:{number}")
            version = self._registry.add(Version(model, number, fingerprint=files, memory_bytes=size_of(files)))
        if version.loaded is None:
            version.condition, version.reason, version.stale = VersionState.LOADING, None, True
            self._waits.pop(version.key, None)
            await self._load(version)
        if version.loaded is None:
            raise ServiceError(
                ErrorKind.VERSION_NOT_READY, f"{model}:{number} is {version.condition}: {version.reason}"
            )
        return version

    async def unload(self, model: str, number: int) -> Version:
        """Unload a version because somebody asks for it, and wait until its last request has ended.

        ServiceError (invalid_parameters) if an alias stands for it: its callers would be refused. A shadow has none.
        """
        version = self._registry.version(model, number)
        if version is None:
            raise ServiceError(ErrorKind.MODEL_NOT_FOUND, f"there is no {model}:{number}; see /v1/models/{model}")
        traffic = self._registry.traffic(model)
        if bound := [alias for alias, bound in traffic.aliases.items() if bound == number]:
            raise invalid_parameters(f"{model}:{number} is {', '.join(bound)}; give that to another version first")
        await asyncio.shield(self._retire(version, VersionState.UNLOADED, "somebody unloaded it"))
        return version

    async def bring_back(self, version: Version) -> None:
        """Load an evicted version for a caller who asks for it; ServiceError if no room can be made."""
        task = self._returning.get(version.key)
        if task is None:
            version.stale = True
            task = self._returning[version.key] = asyncio.create_task(self._load(version))
            task.add_done_callback(lambda _: self._returning.pop(version.key, None))
        await asyncio.shield(task)
        if version.loaded is None and version.condition is VersionState.EVICTED:
            raise overloaded(f"{version.model}:{version.number} finds no room: the models in memory are all in use")

    async def close(self) -> None:
        """Drain and close every engine."""
        for task in self._returning.values():
            task.cancel()
        await asyncio.gather(*self._returning.values(), return_exceptions=True)
        for version in self._registry.versions():
            self._retire(version, VersionState.UNLOADED, "the service ends")
        await asyncio.gather(*self._retiring)

    def _complain(self, why: str) -> None:
        """Say once that nobody knows what is in the repository; what is loaded goes on."""
        if why != self._unreadable:
            _log.error("the model repository %s cannot be read: %s", self._repository.root, why)
        self._unreadable = why

    def _versions_of(self, model: str) -> list[int]:
        try:
            return self._repository.versions(model)
        except (OSError, RepositoryError):
            return []

    def _due(self, version: Version) -> bool:
        when, _ = self._waits.get(version.key, (0.0, 0.0))
        return time.monotonic() >= when

    async def _load(self, version: Version) -> None:
        """Load a version, or note why not; whatever is wrong with one never keeps the others from loading."""
        async with self._loading:
            if not version.stale or self._registry.version(*version.key) is not version:
                return
            if version.loaded is None and not await self._make_room(version):
                version.stale, version.condition, version.reason = False, VersionState.EVICTED, _FULL
                return
            version.stale = False
            begun, before = time.monotonic(), self._resident_bytes() or 0
            (loaded,) = await asyncio.gather(self._read_and_open(version), return_exceptions=True)
            if isinstance(loaded, asyncio.CancelledError):
                version.stale = True
                raise loaded
            if isinstance(loaded, BaseException):
                self._failed(version, loaded)
            else:
                version.memory_bytes = max(size_of(version.fingerprint), (self._resident_bytes() or 0) - before)
                self._succeeded(version, loaded, time.monotonic() - begun)

    async def _read_and_open(self, version: Version) -> LoadedVersion:
        card = await self._loader.read_card(version.model, version.number)
        if version.loaded is None:
            # Of a version that fails, too, people want to know what it is.
            version.card = card
        return await self._loader.open(card)

    def _succeeded(self, version: Version, loaded: LoadedVersion, seconds: float) -> None:
        self._waits.pop(version.key, None)
        if self._registry.version(*version.key) is not version or version.condition is VersionState.UNLOADED:
            # It went, or somebody unloaded it, while it was being loaded.
            self._in_background(self._close(version, loaded))
            return
        before, version.loaded, version.card = version.loaded, loaded, loaded.card
        version.condition, version.reason = VersionState.READY, None
        if before is not None:
            self._in_background(self._close(version, before))
        self._count(version)
        self._telemetry.load_seconds.labels(version.model, str(version.number)).set(seconds)
        self._registry.refresh()
        _log.info("%s:%d is ready (%.2f s)", version.model, version.number, seconds)

    def _failed(self, version: Version, error: BaseException) -> None:
        name, reason = f"{version.model}:{version.number}", _reason(error)
        if isinstance(error, ServiceError) and error.kind is ErrorKind.ENGINE_UNAVAILABLE:
            _, wait = self._waits.get(version.key, (0.0, _FIRST_WAIT_S))
            self._waits[version.key] = time.monotonic() + wait, min(2 * wait, _LONGEST_WAIT_S)
            version.stale = True
            _log.warning("%s is tried again in %.0f s: %s", name, wait, reason)
        if version.loaded is not None:
            version.reason = f"its files have changed, and it goes on as it was before: {reason}"
            _log.error("%s: %s", name, version.reason, exc_info=_unforeseen(error))
            self._telemetry.loads.labels(VersionState.FAILED).inc()
            return
        version.reason = reason
        if not version.stale:
            version.condition = VersionState.FAILED
            _log.error("%s takes no traffic: %s", name, reason, exc_info=_unforeseen(error))
            self._count(version)

    def _count(self, version: Version) -> None:
        self._telemetry.loads.labels(version.condition).inc()
        self._show(version)

    def _show(self, version: Version) -> None:
        labels = (version.model, str(version.number))
        self._telemetry.ready.labels(*labels).set(version.loaded is not None)
        if version.card is not None:
            self._telemetry.certified.labels(*labels).set(version.card.certificate.passed)
        self._telemetry.memory.labels(*labels).set(version.memory_bytes if version.loaded else 0)

    async def _make_room(self, version: Version) -> bool:
        """Evict what must go for a version; False if it finds no room. At the start nothing goes for another."""
        limit = self._memory.limit_bytes
        if limit is None:
            return True
        loaded = [other for other in self._registry.versions() if other.loaded is not None]
        if not self._registry.settled:
            return sum(other.memory_bytes for other in loaded) + version.memory_bytes <= limit
        now = time.monotonic()
        residents = [self._resident(other, other.loaded, now) for other in loaded if other.loaded]
        going = evicted(residents, version.memory_bytes, limit, self._memory.min_idle_s)
        retiring = []
        for other in (other for other in loaded if other.key in (going or [])):
            _log.info("%s:%d gives its memory to %s:%d", *other.key, *version.key)
            self._telemetry.evictions.inc()
            why = f"it gave its memory to {version.model}:{version.number}; its first request loads it"
            retiring.append(self._retire(other, VersionState.EVICTED, why))
        await asyncio.gather(*retiring)
        return going is not None

    def _resident(self, version: Version, loaded: LoadedVersion, now: float) -> Resident:
        idle_s = None if loaded.leases.held else now - loaded.leases.last_used
        return Resident(version.key, version.memory_bytes, idle_s, self._registry.traffic(version.model).pinned)

    def _forget(self, version: Version) -> None:
        """Drain and unload a version that is gone from the repository."""
        self._registry.remove(version)
        self._waits.pop(version.key, None)
        if version.loaded:
            _log.info("%s:%d is gone from the repository", *version.key)
        self._retire(version, VersionState.UNLOADED, "it is gone from the repository")
        for gauge in (self._telemetry.ready, self._telemetry.certified, self._telemetry.memory):
            self._telemetry.forget(gauge, version.model, str(version.number))

    def _retire(self, version: Version, condition: VersionState, reason: str) -> "asyncio.Task[None]":
        """Take a version out of traffic now, and close it when its last request has ended; the task is that end."""
        loaded, version.loaded = version.loaded, None
        version.condition, version.reason, version.stale = condition, reason, False
        self._registry.refresh()
        self._show(version)
        # Nobody answers for it any more, neither its engine nor a stand-in.
        self._telemetry.forget(self._telemetry.degraded, version.model, str(version.number))
        return self._in_background(self._close(version, loaded))

    async def _close(self, version: Version, loaded: LoadedVersion | None) -> None:
        if loaded is None:
            return
        try:
            async with asyncio.timeout(self._drain_timeout_s):
                await loaded.leases.ended()
        except TimeoutError:
            _log.warning("%s:%d is closed with %d requests in it", *version.key, loaded.leases.held)
        await loaded.engine.close()

    def _in_background(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
        return task


_FORESEEN = (RepositoryError, EngineRefused, GoldenMismatch, ServiceError)
"""Errors whose messages are meant to be shown."""


def _reason(error: BaseException) -> str:
    return str(error) if isinstance(error, _FORESEEN) else "an error that nobody foresaw; the service's log tells more"


def _unforeseen(error: BaseException) -> BaseException | None:
    """The error, if its traceback belongs in the log."""
    return None if isinstance(error, _FORESEEN) else error
