"""A version's files → a version that is ready: checked, opened, proved, warmed."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from pydantic import ValidationError

from contract.card import ModelCard
from contract.repository import GOLDEN, Repository
from contract.tasks.definition import Settings, TaskDefinition
from contract.tasks.table import TASKS
from contract.validation import first_problem
from service.engines.base import Engine
from service.registry.golden import Golden
from service.registry.version import LoadedVersion
from service.telemetry import Telemetry, VersionMetrics

OpenEngine = Callable[[ModelCard, VersionMetrics], Awaitable[Engine]]
"""Opens the engine of a version; raises EngineRefused with a reason that can be shown, or ServiceError
(engine_unavailable) where nothing that could run it can be reached now."""


class EngineRefused(Exception):
    """An engine that will not run a version; the message says why."""


class Loader:
    """Makes versions ready, beside those that are."""

    def __init__(self, repository: Repository, open_engine: OpenEngine, telemetry: Telemetry) -> None:
        self._repository = repository
        self._open_engine = open_engine
        self._telemetry = telemetry

    async def read_card(self, model: str, number: int) -> ModelCard:
        """A version's card; RepositoryError if it cannot be read."""
        return await asyncio.to_thread(self._repository.read_card, model, number)

    async def open(self, card: ModelCard) -> LoadedVersion:
        """Open a version's engine, replay its golden outputs, and run every batch size on offer once.

        Raises EngineRefused, GoldenMismatch or ServiceError; the engine is closed then.
        """
        task = TASKS[card.task]
        settings = _settings(card, task)
        metrics = self._telemetry.of_version(card.task, card.name, card.version)
        engine = await self._open_engine(card, metrics)
        async with AsyncExitStack() as undo:
            undo.push_async_callback(engine.close)
            path = self._repository.version_path(card.name, card.version) / GOLDEN
            golden = await asyncio.to_thread(Golden.read, path)
            await golden.replay(engine)
            await golden.warm_up(engine)
            undo.pop_all()
        engine.take_traffic()
        metrics.in_traffic = True
        return LoadedVersion(card, task, settings, engine, metrics)


def _settings(card: ModelCard, task: TaskDefinition) -> Settings:
    """The task's settings for this model; EngineRefused for a card that contradicts its task or proves nothing."""
    if frozenset(output.name for output in card.outputs) not in task.output_sets:
        raise EngineRefused(f"its outputs are not those of a model for {card.task}")
    if task.clips != (card.preprocess.frames is not None):
        raise EngineRefused(f"a model for {card.task} takes {'clips' if task.clips else 'images'}, and it does not")
    if not card.certificate.passed:
        raise EngineRefused("its certificate says that it does not compute what its source computes")
    try:
        return task.settings.model_validate(card.task_settings)
    except ValidationError as error:
        raise EngineRefused(f"its task settings are not those of {card.task}: {first_problem(error)}") from error
