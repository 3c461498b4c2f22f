"""The versions that are known, and which of them a caller gets."""

import random
from collections.abc import Mapping
from types import MappingProxyType

from contract.task import Task
from service.errors import ErrorKind, ServiceError
from service.registry.routing import STABLE, Selector, answers, default_model, parse_selector
from service.registry.traffic import ModelTraffic, Routing, choose, point_of, sticky_key
from service.registry.version import LoadedVersion, Resolved, Version, VersionState

_NOTHING: Mapping[str, str] = MappingProxyType({})
_UNROUTED = ModelTraffic()
_TO_EXPLAIN = "build a classifier with `vitrail-build build NAME --explain`"
_LOADING = "models are still being loaded; see /readyz"


class NotResident(ServiceError):
    """A version that gave its memory to others; it can be brought back."""

    def __init__(self, version: Version) -> None:
        self.version = version
        super().__init__(ErrorKind.VERSION_NOT_READY, f"{version.model}:{version.number} is {version.condition}")


class Registry:
    """All versions by model and number, how traffic is divided among them, and the one that a caller means.

    It only looks things up; `lifecycle.Lifecycle` loads and unloads what stands here.
    """

    def __init__(self, defaults: Mapping[Task, str] | None = None) -> None:
        self._chosen_defaults = dict(defaults or {})
        self._versions: dict[str, dict[int, Version]] = {}
        self._stable: dict[str, LoadedVersion] = {}
        self._routing = Routing()
        self._defaults: dict[Task, str] = {}
        self.settled = False
        """Every version that was there at the start has been tried."""

    @property
    def ready(self) -> bool:
        """Every version has been tried, and at least one answers."""
        return self.settled and any(version.state is VersionState.READY for version in self.versions())

    def versions(self) -> list[Version]:
        """All versions, by model and number."""
        return [version for versions in self.models().values() for version in versions]

    def models(self) -> dict[str, list[Version]]:
        """All versions by model, ascending."""
        return {
            name: [self._versions[name][number] for number in sorted(self._versions[name])]
            for name in sorted(self._versions)
        }

    def version(self, model: str, number: int) -> Version | None:
        """One version, if it is known."""
        return self._versions.get(model, {}).get(number)

    def add(self, version: Version) -> Version:
        """Know of a version from now on."""
        self._versions.setdefault(version.model, {})[version.number] = version
        return version

    def remove(self, version: Version) -> None:
        """Know of a version no more, and of its model if that has no other."""
        versions = self._versions.get(version.model, {})
        versions.pop(version.number, None)
        if not versions:
            self._versions.pop(version.model, None)
        self.refresh()

    def default(self, task: Task) -> str | None:
        """The model that answers a task when none is named."""
        return self._defaults.get(task)

    def task_of(self, text: str) -> Task | None:
        """The task of the model that is named, ready or not; None if no card tells."""
        versions = self._versions.get(parse_selector(text).name, {})
        return next((version.card.task for version in versions.values() if version.card), None)

    @property
    def routing(self) -> Routing:
        """What is followed."""
        return self._routing

    def traffic(self, model: str) -> ModelTraffic:
        """A model's aliases and their shares."""
        return self._routing.models.get(model, _UNROUTED)

    def aliased(self, model: str, alias: str = STABLE) -> LoadedVersion | None:
        """The version that an alias stands for, if it is ready; see `refresh` for ``stable``."""
        number = self.traffic(model).aliases.get(alias)
        if number is None:
            return self._stable.get(model) if alias == STABLE else None
        version = self.version(model, number)
        return version.loaded if version else None

    def route(self, routing: Routing) -> None:
        """Follow this from now on."""
        self._routing = routing
        self.refresh()

    def refresh(self) -> None:
        """Find again what ``stable`` means where it is not set, and the tasks' defaults; after every change.

        Unless set, ``stable`` is the newest version that is ready and under no other alias and no shadow: a canary
        is not stable because it is new. Where all are, it is the newest.
        """
        self._stable = {}
        for model, versions in self._versions.items():
            ready = {number: version.loaded for number, version in versions.items() if version.loaded}
            if ready:
                free = ready.keys() - self.traffic(model).on_trial
                self._stable[model] = ready[max(free or ready)]
        cards = [loaded.card for loaded in self._stable.values()]
        chosen = self._chosen_defaults | self._routing.tasks
        ranked = {task: chosen.get(task) or default_model(task, cards) for task in Task}
        self._defaults = {task: model for task, model in ranked.items() if model}

    def resolve(self, task: Task | None, text: str | None, metadata: Mapping[str, str] = _NOTHING) -> Resolved:
        """The version that a caller means, of ``task``, or of any where that is None and ``text`` names a model.

        ``metadata``: the request's headers, by name in lower case. ServiceError if there is no such version or it is
        not ready; NotResident if it could be brought back.
        """
        if text is not None:
            selector = parse_selector(text)
        elif task is not None:
            selector = self._default_selector(task)
        else:
            raise ValueError("without a task there is no default")
        versions = self._versions.get(selector.name)
        if versions is None and not self.settled:
            raise ServiceError(ErrorKind.VERSION_NOT_READY, _LOADING)
        if versions is None:
            raise ServiceError(ErrorKind.MODEL_NOT_FOUND, f"there is no model {selector.name!r}; see /v1/models")
        found = self._find(selector, versions, metadata)
        card = found.version.card
        if task is not None and not answers(card, task):
            told = f"{card.name} is a model for {card.task}, not for {task}; see /v1/models"
            if task is Task.EXPLAIN and card.task is Task.CLASSIFY:
                told = f"{card.name} was not built to explain its answers: {_TO_EXPLAIN}"
            raise ServiceError(ErrorKind.MODEL_NOT_FOUND, told)
        return found

    def _default_selector(self, task: Task) -> Selector:
        if name := self._defaults.get(task):
            return parse_selector(name)
        if not self.settled:
            raise ServiceError(ErrorKind.VERSION_NOT_READY, _LOADING)
        if task is Task.EXPLAIN:
            told = f"no model that can explain its answers is ready: {_TO_EXPLAIN}"
            raise ServiceError(ErrorKind.MODEL_NOT_FOUND, told)
        raise ServiceError(ErrorKind.MODEL_NOT_FOUND, f"no model for {task} is ready; see /v1/models")

    def _find(self, selector: Selector, versions: dict[int, Version], metadata: Mapping[str, str]) -> Resolved:
        model = selector.name
        if selector.version is not None:
            return Resolved(_ready(model, selector.version, versions), None)
        traffic = self.traffic(model)
        alias = selector.alias
        if alias is None:
            alias = self._share(model, traffic, metadata)
        elif alias != STABLE and alias not in traffic.aliases:
            known = ", ".join(sorted({STABLE, *traffic.aliases}))
            raise ServiceError(ErrorKind.MODEL_NOT_FOUND, f"{model} has no alias {alias!r}; it has {known}")
        if loaded := self.aliased(model, alias):
            return Resolved(loaded, alias, by_share=selector.alias is None)
        if number := traffic.aliases.get(alias):
            return Resolved(_ready(model, number, versions), alias)
        if away := [version for version in versions.values() if version.condition is VersionState.EVICTED]:
            raise NotResident(max(away, key=lambda version: version.number))
        raise ServiceError(ErrorKind.VERSION_NOT_READY, f"no version of {model} is ready; see /v1/models")

    def _share(self, model: str, traffic: ModelTraffic, metadata: Mapping[str, str]) -> str:
        """The alias for a caller who names none; one whose version is not ready leaves its share to ``stable``."""
        if not traffic.weights:
            return STABLE
        key = sticky_key(traffic, metadata)
        alias = choose(traffic, random.random() if key is None else point_of(model, key))  # noqa: S311  a share of traffic
        return alias if self.aliased(model, alias) else STABLE


def _ready(model: str, number: int, versions: Mapping[int, Version]) -> LoadedVersion:
    """The version of this number; ServiceError if there is none or it is not ready."""
    version = versions.get(number)
    if version is None:
        known = ", ".join(str(known) for known in sorted(versions))
        raise ServiceError(ErrorKind.MODEL_NOT_FOUND, f"{model} has no version {number}; it has {known}")
    if version.loaded is None:
        if version.condition is VersionState.EVICTED:
            raise NotResident(version)
        why = f": {version.reason}" if version.reason else ""
        raise ServiceError(ErrorKind.VERSION_NOT_READY, f"{model}:{number} is {version.condition}{why}")
    return version.loaded
