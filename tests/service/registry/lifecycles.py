"""Registries over real sessions of tiny models."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contract.card import ModelCard
from contract.repository import Repository
from contract.task import Task
from service.engines.batcher import Batcher
from service.engines.onnx import OnnxEngine, UnusableModel
from service.registry.lifecycle import Lifecycle
from service.registry.loader import EngineRefused
from service.registry.registry import Registry
from service.telemetry import Telemetry, VersionMetrics
from tests.doubles import HeldEngine


@dataclass
class Sessions:
    """Opens real sessions that can be held, and keeps a record of them."""

    root: Path
    opened: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    engines: dict[str, HeldEngine] = field(default_factory=dict)
    """The engine that was opened last for each version."""

    async def open(self, card: ModelCard, metrics: VersionMetrics) -> Batcher:
        """See `OpenEngine`."""
        name, sessions = f"{card.name}:{card.version}", self
        path = self.root / card.name / str(card.version) / card.platform.filename

        class Recorded(HeldEngine):
            async def close(self) -> None:
                sessions.closed.append(name)
                await super().close()

        try:
            engine = Recorded(OnnxEngine(card, path, ThreadPoolExecutor(1), 1))
        except UnusableModel as error:
            raise EngineRefused(str(error)) from error
        self.opened.append(name)
        self.engines[name] = engine
        return Batcher(engine, max_queue=100)


@dataclass
class Kept:
    """A registry with what loads and unloads its versions."""

    registry: Registry
    lifecycle: Lifecycle
    sessions: Sessions
    telemetry: Telemetry

    async def follow(self) -> None:
        """Look twice, as what has just changed is read once it rests."""
        await self.lifecycle.follow()
        await self.lifecycle.follow()

    def states(self) -> dict[str, str]:
        """Each version's state."""
        return {f"{version.model}:{version.number}": version.state for version in self.registry.versions()}


def kept(
    root: Path,
    defaults: dict[Task, str] | None = None,
    open_engine: Any = None,
    telemetry: Telemetry | None = None,
    **options: Any,
) -> Kept:
    """A registry over a repository, nothing loaded yet."""
    registry, sessions, telemetry = Registry(defaults), Sessions(root), telemetry or Telemetry()
    lifecycle = Lifecycle(registry, Repository(root), open_engine or sessions.open, telemetry, **options)
    return Kept(registry, lifecycle, sessions, telemetry)


async def loaded(root: Path, defaults: dict[Task, str] | None = None, **options: Any) -> Kept:
    """A registry that has tried every version."""
    result = kept(root, defaults, **options)
    await result.lifecycle.load_all()
    return result
