"""The versions that are served: loaded, proved against their golden outputs, found by name, and unloaded."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from pydantic import ValidationError

from contract.card import ModelCard
from contract.repository import GOLDEN, Repository, RepositoryError
from contract.task import Task
from contract.tasks.definition import Settings, TaskDefinition
from contract.tasks.table import TASKS
from service.engines.base import Engine
from service.errors import ErrorKind, ServiceError
from service.registry.golden import Golden, GoldenMismatch
from service.registry.routing import STABLE, Selector, default_model, parse_selector
from service.registry.traffic import ModelTraffic, Routing, choose, point_of, sticky_key
from service.telemetry import Telemetry, VersionMetrics

_log = logging.getLogger("vitrail.registry")

_NOTHING: Mapping[str, str] = MappingProxyType({})
_UNROUTED = ModelTraffic()
_LOADING = "models are still being loaded; see /readyz"

OpenEngine = Callable[[ModelCard, VersionMetrics], Awaitable[Engine]]
"""Opens the engine of a version; raises EngineRefused with a reason that can be shown."""


class EngineRefused(Exception):
    """An engine that will not run a version; the message says why."""


class VersionState(StrEnum):
    """Where a version stands."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(slots=True)
class Version:
    """One version in the repository, as it stands."""

    model: str
    number: int
    state: VersionState = VersionState.LOADING
    reason: str | None = None
    card: ModelCard | None = None
    loaded: "LoadedVersion | None" = None


@dataclass(frozen=True, slots=True)
class LoadedVersion:
    """All that a request needs of a version that is ready."""

    card: ModelCard
    task: TaskDefinition
    settings: Settings
    engine: Engine
    metrics: VersionMetrics


@dataclass(frozen=True, slots=True)
class Resolved:
    """A version that is ready, and the alias by which it was found, if it was."""

    version: LoadedVersion
    alias: str | None


class Registry:
    """All versions of a repository."""

    def __init__(
        self,
        repository: Repository,
        open_engine: OpenEngine,
        telemetry: Telemetry,
        defaults: dict[Task, str] | None = None,
    ) -> None:
        self._repository = repository
        self._open_engine = open_engine
        self._telemetry = telemetry
        self._chosen_defaults = defaults or {}
        self._versions: dict[str, dict[int, Version]] = {}
        self._newest: dict[str, LoadedVersion] = {}
        self._routing = Routing()
        self._defaults: dict[Task, str] = {}
        self._settled = False

    @property
    def ready(self) -> bool:
        """Every version has been tried, and at least one answers."""
        return self._settled and any(
            version.state is VersionState.READY for versions in self._versions.values() for version in versions.values()
        )

    @property
    def settled(self) -> bool:
        """Every version has been tried."""
        return self._settled

    def models(self) -> dict[str, list[Version]]:
        """All versions by model, ascending."""
        return {name: [versions[number] for number in sorted(versions)] for name, versions in self._versions.items()}

    def default(self, task: Task) -> str | None:
        """The model that answers a task when none is named."""
        return self._defaults.get(task)

    def traffic(self, model: str) -> ModelTraffic:
        """A model's aliases and their shares."""
        return self._routing.models.get(model, _UNROUTED)

    def aliased(self, model: str, alias: str = STABLE) -> LoadedVersion | None:
        """The version that an alias stands for, if it is ready; ``stable`` unless set is the newest that is."""
        number = self.traffic(model).aliases.get(alias)
        if number is None:
            return self._newest.get(model) if alias == STABLE else None
        version = self._versions.get(model, {}).get(number)
        return version.loaded if version else None

    def route(self, routing: Routing) -> None:
        """Follow this from now on."""
        self._routing = routing
        self._choose_defaults()

    async def load_all(self) -> None:
        """Load every complete version of the repository, one after the other; failures are kept with their reason."""
        for name, numbers in (await asyncio.to_thread(self._listing)).items():
            self._versions[name] = {number: Version(name, number) for number in numbers}
        for versions in self._versions.values():
            for version in versions.values():
                await self._load(version)
        self._settled = True

    def _listing(self) -> dict[str, list[int]]:
        """Versions by model; none if the repository cannot be read."""
        try:
            return {name: self._repository.versions(name) for name in self._repository.models()}
        except OSError:
            _log.exception("the model repository %s cannot be read", self._repository.root)
            return {}

    async def close(self) -> None:
        """Drain and close every engine."""
        loaded = [v.loaded for versions in self._versions.values() for v in versions.values() if v.loaded]
        await asyncio.gather(*(version.engine.close() for version in loaded))

    def resolve(self, task: Task, text: str | None, metadata: Mapping[str, str] = _NOTHING) -> Resolved:
        """The version that a caller means; ServiceError if there is none, it is not ready, or not of this task.

        ``metadata``: the request's headers, by name in lower case.
        """
        selector = parse_selector(text) if text is not None else self._default_selector(task)
        versions = self._versions.get(selector.name)
        if versions is None and not self._settled:
            raise ServiceError(ErrorKind.VERSION_NOT_READY, _LOADING)
        if versions is None:
            raise ServiceError(ErrorKind.MODEL_NOT_FOUND, f"there is no model {selector.name!r}; see /v1/models")
        loaded, alias = self._find(selector, versions, metadata)
        if loaded.card.task is not task:
            raise ServiceError(
                ErrorKind.MODEL_NOT_FOUND,
                f"{selector.name} is a model for {loaded.card.task}, not for {task}; see /v1/models",
            )
        return Resolved(loaded, alias)

    def _default_selector(self, task: Task) -> Selector:
        if name := self._defaults.get(task):
            return parse_selector(name)
        if not self._settled:
            raise ServiceError(ErrorKind.VERSION_NOT_READY, _LOADING)
        raise ServiceError(ErrorKind.MODEL_NOT_FOUND, f"no model for {task} is ready; see /v1/models")

    def _find(
        self, selector: Selector, versions: dict[int, Version], metadata: Mapping[str, str]
    ) -> tuple[LoadedVersion, str | None]:
        """The version, and the alias that it was found by."""
        if selector.version is not None:
            return _ready(selector.name, selector.version, versions), None
        traffic = self.traffic(selector.name)
        alias = selector.alias
        if alias is None:
            alias = self._share(selector.name, traffic, metadata)
        elif alias != STABLE and alias not in traffic.aliases:
            known = ", ".join(sorted({STABLE, *traffic.aliases}))
            raise ServiceError(ErrorKind.MODEL_NOT_FOUND, f"{selector.name} has no alias {alias!r}; it has {known}")
        if loaded := self.aliased(selector.name, alias):
            return loaded, alias
        if number := traffic.aliases.get(alias):
            return _ready(selector.name, number, versions), alias
        raise ServiceError(ErrorKind.VERSION_NOT_READY, f"no version of {selector.name} is ready; see /v1/models")

    def _share(self, model: str, traffic: ModelTraffic, metadata: Mapping[str, str]) -> str:
        """The alias for a caller who names none; one whose version is not ready leaves its share to ``stable``."""
        if not traffic.weights:
            return STABLE
        key = sticky_key(traffic, metadata)
        alias = choose(traffic, random.random() if key is None else point_of(model, key))  # noqa: S311  a share of traffic
        return alias if self.aliased(model, alias) else STABLE

    async def _load(self, version: Version) -> None:
        """Load a version, or note why not; whatever is wrong with one never keeps the others from loading."""
        begun = time.monotonic()
        name = f"{version.model}:{version.number}"
        (loaded,) = await asyncio.gather(self._read_and_open(version), return_exceptions=True)
        if isinstance(loaded, BaseException):
            version.state, version.reason = VersionState.FAILED, _reason(loaded)
            _log.error("%s takes no traffic: %s", name, version.reason, exc_info=_unforeseen(loaded))
        else:
            version.state, version.loaded = VersionState.READY, loaded
            newest = self._newest.get(version.model)
            if newest is None or newest.card.version < version.number:
                self._newest[version.model] = loaded
            _log.info("%s is ready (%.2f s)", name, time.monotonic() - begun)
            self._choose_defaults()
        self._telemetry.loads.labels(version.state).inc()
        self._telemetry.ready.labels(version.model, str(version.number)).set(version.state is VersionState.READY)

    async def _read_and_open(self, version: Version) -> LoadedVersion:
        version.card = await asyncio.to_thread(self._repository.read_card, version.model, version.number)
        return await self._open(version.card)

    async def _open(self, card: ModelCard) -> LoadedVersion:
        task = TASKS[card.task]
        if frozenset(output.name for output in card.outputs) not in task.output_sets:
            raise EngineRefused(f"its outputs are not those of a model for {card.task}")
        if task.clips != (card.preprocess.frames is not None):
            raise EngineRefused(f"a model for {card.task} takes {'clips' if task.clips else 'images'}, and it does not")
        if not card.certificate.passed:
            raise EngineRefused("its certificate says that it does not compute what its source computes")
        try:
            settings = task.settings.model_validate(card.task_settings)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise EngineRefused(f"its task settings are not those of {card.task}: {where}: {first['msg']}") from error
        metrics = self._telemetry.of_version(card.task, card.name, card.version)
        engine = await self._open_engine(card, metrics)
        async with AsyncExitStack() as undo:
            undo.push_async_callback(engine.close)
            path = self._repository.version_path(card.name, card.version) / GOLDEN
            golden = await asyncio.to_thread(Golden.read, path)
            await golden.replay(engine)
            undo.pop_all()
        return LoadedVersion(card, task, settings, engine, metrics)

    def _choose_defaults(self) -> None:
        cards = [loaded.card for loaded in self._newest.values()]
        chosen = self._chosen_defaults | self._routing.tasks
        ranked = {task: chosen.get(task) or default_model(task, cards) for task in Task}
        self._defaults = {task: model for task, model in ranked.items() if model}


def _ready(model: str, number: int, versions: Mapping[int, Version]) -> LoadedVersion:
    """The version of this number; ServiceError if there is none or it is not ready."""
    version = versions.get(number)
    if version is None:
        known = ", ".join(str(known) for known in sorted(versions))
        raise ServiceError(ErrorKind.MODEL_NOT_FOUND, f"{model} has no version {number}; it has {known}")
    if version.loaded is None:
        why = f": {version.reason}" if version.reason else ""
        raise ServiceError(ErrorKind.VERSION_NOT_READY, f"{model}:{number} is {version.state}{why}")
    return version.loaded


_FORESEEN = (RepositoryError, EngineRefused, GoldenMismatch, ServiceError)
"""Errors whose messages are meant to be shown."""


def _reason(error: BaseException) -> str:
    return str(error) if isinstance(error, _FORESEEN) else "an error that nobody foresaw; the service's log tells more"


def _unforeseen(error: BaseException) -> BaseException | None:
    """The error, if its traceback belongs in the log."""
    return None if isinstance(error, _FORESEEN) else error
