"""``--fallback embedded``: the embedded engine stands in for Triton, for each version that it can run."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from weakref import WeakSet

from contract.card import ModelCard, Platform
from contract.repository import GOLDEN, Repository
from service.engines.awaited import AwaitedEngine
from service.engines.base import Engine
from service.engines.fallback import FallbackEngine, StandIn
from service.errors import ErrorKind, ServiceError, engine_unavailable
from service.registry.golden import Golden, GoldenMismatch
from service.registry.loader import EngineRefused, OpenEngine
from service.telemetry import Telemetry, VersionMetrics

EMBEDDED = "embedded"


class Fallbacks:
    """The versions that have a stand-in.

    Args:
        repository: where the stand-ins' proofs are: each replays its version's golden outputs before it answers.
        telemetry: is told which versions are answered for.
        open_embedded: opens the embedded engine of a version, see `OpenEngine`.
    """

    def __init__(self, repository: Repository, telemetry: Telemetry, open_embedded: OpenEngine) -> None:
        self._repository = repository
        self._telemetry = telemetry
        self._open_embedded = open_embedded
        self._engines: WeakSet[FallbackEngine] = WeakSet()

    async def open(
        self, card: ModelCard, metrics: VersionMetrics, open_engine: Callable[[], Awaitable[Engine]]
    ) -> Engine:
        """Open an engine and give it a stand-in, also where it is away already; none where its file runs nowhere else.

        Raises what ``open_engine`` raises, but where a stand-in can answer.
        """
        if card.platform is Platform.TENSORRT:
            return await open_engine()
        engine: Engine
        try:
            engine = await open_engine()
        except ServiceError as error:
            if error.kind is not ErrorKind.ENGINE_UNAVAILABLE:
                raise
            engine = self._awaited(card, open_engine)
        return self._around(engine, card, metrics)

    def _awaited(self, card: ModelCard, open_engine: Callable[[], Awaitable[Engine]]) -> AwaitedEngine:
        async def proved() -> Engine:
            try:
                return await self._proved(card, await open_engine())
            except (EngineRefused, GoldenMismatch) as error:
                raise ServiceError(ErrorKind.INTERNAL, str(error)) from error

        return AwaitedEngine(f"{card.name}:{card.version}", card.batch_sizes, proved, self.look)

    def _around(self, engine: Engine, card: ModelCard, metrics: VersionMetrics) -> FallbackEngine:
        gauge = self._telemetry.degraded.labels(metrics.model, metrics.version)
        stand_in = StandIn(EMBEDDED, self._opening(card, metrics))
        both = FallbackEngine(f"{card.name}:{card.version}", engine, stand_in, gauge.set)
        self._engines.add(both)
        return both

    def look(self) -> None:
        """A Triton has come or gone: see who is answered for now."""
        for engine in list(self._engines):
            engine.look()

    def _opening(self, card: ModelCard, metrics: VersionMetrics) -> Callable[[], Awaitable[Engine]]:
        async def opened() -> Engine:
            try:
                engine = await self._proved(card, await self._open_embedded(card, metrics))
            except (EngineRefused, GoldenMismatch) as error:
                raise engine_unavailable(str(error)) from error
            engine.take_traffic()
            return engine

        return opened

    async def _proved(self, card: ModelCard, engine: Engine) -> Engine:
        """The engine, which gives the version's golden outputs; else it is closed."""
        async with AsyncExitStack() as undo:
            undo.push_async_callback(engine.close)
            path = self._repository.version_path(card.name, card.version) / GOLDEN
            golden = await asyncio.to_thread(Golden.read, path)
            # It is proved, but not run at every batch size: callers wait already.
            await golden.replay(engine)
            undo.pop_all()
        return engine
