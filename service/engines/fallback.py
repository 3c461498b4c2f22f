"""An engine with a stand-in: while nothing that runs it can be reached another engine answers, and says so.

The stand-in is opened when the engine goes away, not before: on a good day it would double the memory of every model.
Requests of the seconds that opening takes wait for it, each until its own deadline. Those that were under way in the
engine as it went are asked of the stand-in too: inference has no effect that it could have twice.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from contract.preprocess import Pixels
from service.engines.base import Engine, EngineAway, Inferred
from service.errors import ServiceError, engine_unavailable

_log = logging.getLogger("vitrail.engines")

KEEP_S = 60.0
"""Seconds that a stand-in is kept after the engine's return: what went away once often does so again."""


@dataclass(frozen=True, slots=True)
class StandIn:
    """What answers in an engine's stead."""

    name: str
    """As callers are told: ``embedded``."""
    open: Callable[[], Awaitable[Engine]]
    """Opens it, proved; ServiceError says why that cannot be."""


class FallbackEngine:
    """An engine, and a stand-in for the time that it is away.

    Args:
        of: the version, for the log.
        engine: the one that answers as long as it can.
        stand_in: what answers else; its answers bear its name.
        changed: hears that the stand-in answers from now on, or no more.
        keep_s: seconds after which a stand-in that is not needed any more gives its memory back.
    """

    def __init__(
        self, of: str, engine: Engine, stand_in: StandIn, changed: Callable[[bool], None], keep_s: float = KEEP_S
    ) -> None:
        self._of = of
        self._engine = engine
        self._stand_in = stand_in
        self._changed = changed
        self._keep_s = keep_s
        self._degraded = False
        self._closed = False
        self._opened: asyncio.Task[Engine] | None = None
        self._refused = False
        self._under_way: set[asyncio.Timeout] = set()
        self._end: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def degraded(self) -> bool:
        """The stand-in answers."""
        return self._degraded

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """Those of the engine; both take any number of images."""
        return self._engine.batch_sizes

    @property
    def concurrency(self) -> int:
        """How many batches run at the same time, in whichever of both answers."""
        opened = self._opened
        if self._degraded and opened is not None and opened.done() and not opened.cancelled() and not self._refused:
            return opened.result().concurrency
        return self._engine.concurrency

    @property
    def healthy(self) -> bool:
        """Whether anybody can answer: also before a stand-in was tried, but not after it was found unable."""
        return self._engine.healthy or not self._refused

    async def infer(
        self, images: Sequence[Pixels], deadline: float | None = None, flow: Hashable | None = None
    ) -> list[Inferred]:
        """Ask the engine, or else the stand-in; see `Engine.infer`."""
        if self._engine.healthy and (answers := await self._ask(images, deadline, flow)) is not None:
            if self._degraded:
                self._returned()
            return answers
        stand_in = await asyncio.shield(self._away())
        name = self._stand_in.name
        return [replace(answer, stand_in=name) for answer in await stand_in.infer(images, deadline, flow)]

    def look(self) -> None:
        """See whether the engine has gone or come back; to be called when that may be."""
        if self._closed:
            return
        if self._engine.healthy:
            if self._degraded:
                self._returned()
            return
        self._away()
        # An engine that hangs would leave its callers to their deadlines.
        now = asyncio.get_running_loop().time()
        for call in self._under_way:
            # One that was told before, and is not over yet, cannot be told again.
            if not call.expired():
                call.reschedule(now)

    def take_traffic(self) -> None:
        """Tell the engine."""
        self._engine.take_traffic()

    async def close(self) -> None:
        """Finish what was accepted, and close both."""
        self._closed = True
        self._keep()
        self._put_away()
        await self._engine.close()
        await asyncio.gather(*self._closing)

    async def _ask(
        self, images: Sequence[Pixels], deadline: float | None, flow: Hashable | None
    ) -> list[Inferred] | None:
        """The engine's answers; None where it is, or goes, away."""
        try:
            async with asyncio.timeout(None) as call:
                self._under_way.add(call)
                try:
                    return await self._engine.infer(images, deadline, flow)
                finally:
                    self._under_way.discard(call)
        except (EngineAway, TimeoutError):
            return None

    def _away(self) -> "asyncio.Task[Engine]":
        """The engine is away: have the stand-in opened, if it is not."""
        self._keep()
        if not self._degraded:
            self._degraded = True
            _log.warning("%s: the engine is away; the %s one answers", self._of, self._stand_in.name)
            self._changed(True)
        if self._opened is None or (self._opened.done() and self._refused):
            self._opened = asyncio.create_task(self._open(), name=f"opening a stand-in for {self._of}")
        return self._opened

    async def _open(self) -> Engine:
        try:
            engine = await self._stand_in.open()
        except ServiceError as error:
            if not self._refused:
                _log.error("%s has no stand-in: %s", self._of, error.message)
            self._refused = True
            raise engine_unavailable(f"the engine of {self._of} is away; try again in a moment") from None
        except Exception:
            # As when memory ends: the next who asks tries again, and `concurrency` is not asked of what is not there.
            self._refused = True
            raise
        self._refused = False
        return engine

    def _returned(self) -> None:
        """The engine answers again; the stand-in stays for a while."""
        self._degraded = False
        _log.info("%s: the engine is back", self._of)
        self._changed(False)
        self._keep()
        self._end = asyncio.get_running_loop().call_later(self._keep_s, self._put_away)

    def _keep(self) -> None:
        if self._end is not None:
            self._end.cancel()
            self._end = None

    def _put_away(self) -> None:
        """Close the stand-in once it has answered what it was asked."""
        opened, self._opened = self._opened, None
        if opened is not None:
            self._in_background(self._close(opened))

    async def _close(self, opened: "asyncio.Task[Engine]") -> None:
        (engine,) = await asyncio.gather(opened, return_exceptions=True)
        if not isinstance(engine, BaseException):
            await engine.close()

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
