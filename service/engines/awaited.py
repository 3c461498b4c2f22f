"""An engine that cannot be opened yet, for nothing that could run it can be reached: it is away until it can."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Sequence

from contract.preprocess import Pixels
from service.engines.base import Engine, EngineAway, Inferred
from service.errors import ErrorKind, ServiceError

_log = logging.getLogger("vitrail.engines")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 10.0
_PASSING = frozenset({ErrorKind.ENGINE_UNAVAILABLE, ErrorKind.DEADLINE_EXCEEDED, ErrorKind.OVERLOADED})
"""Kinds of error that say nothing of the version: an engine that has just come is slow at first, and others ask it."""


class AwaitedEngine:
    """Is opened as soon as that can be, and from then on the engine that was opened.

    Args:
        of: the version, for the log.
        batch_sizes: those on offer until then.
        open_engine: opens it, proved; ServiceError (engine_unavailable, deadline_exceeded, overloaded) where that
            cannot be now. After any other ServiceError it is not tried again.
        opened: hears that it is there.
        pause_s: before the first attempt; each later one comes after twice the pause, up to ten seconds.
    """

    def __init__(
        self,
        of: str,
        batch_sizes: tuple[int, ...],
        open_engine: Callable[[], Awaitable[Engine]],
        opened: Callable[[], None],
        pause_s: float = _FIRST_PAUSE_S,
    ) -> None:
        self._of = of
        self._batch_sizes = batch_sizes
        self._open = open_engine
        self._opened = opened
        self._pause_s = pause_s
        self._engine: Engine | None = None
        self._opening = asyncio.create_task(self._try_on(), name=f"waiting for the engine of {of}")

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """See `Engine.batch_sizes`."""
        return self._batch_sizes if self._engine is None else self._engine.batch_sizes

    @property
    def concurrency(self) -> int:
        """See `Engine.concurrency`."""
        return 1 if self._engine is None else self._engine.concurrency

    @property
    def healthy(self) -> bool:
        """See `Engine.healthy`."""
        return self._engine is not None and self._engine.healthy

    async def infer(
        self, images: Sequence[Pixels], deadline: float | None = None, flow: Hashable | None = None
    ) -> list[Inferred]:
        """See `Engine.infer`; EngineAway until it is there."""
        if self._engine is None:
            raise EngineAway(f"the engine of {self._of} is away; try again in a moment")
        return await self._engine.infer(images, deadline, flow)

    def take_traffic(self) -> None:
        """See `Engine.take_traffic`; it does so once it is opened."""

    async def close(self) -> None:
        """Give up waiting, or close what was opened."""
        self._opening.cancel()
        await asyncio.gather(self._opening, return_exceptions=True)
        if self._engine is not None:
            await self._engine.close()

    async def _try_on(self) -> None:
        pause_s = self._pause_s
        while self._engine is None:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            try:
                self._engine = await self._open()
            except ServiceError as error:
                if error.kind not in _PASSING:
                    _log.error("%s stays without its engine: %s", self._of, error.message)
                    return
        self._engine.take_traffic()
        self._opened()
