"""Dynamic batching: an engine that gathers single images for the engine within it.

It never waits on purpose. While the inner engine has a free place, an image starts at once; while it is busy, images
gather, and the next free place takes as many as it may. Batches so grow with load by themselves, and nothing is
slower at no load. Which of those that wait are taken is decided fairly among flows; see `FairQueue`.
"""

import asyncio
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

from contract.preprocess import Pixels
from service.engines.base import Engine, Inferred
from service.engines.fair_queue import FairQueue, Place
from service.errors import ErrorKind, ServiceError, deadline_exceeded, engine_unavailable, overloaded
from service.telemetry.tracing import CURRENT, Trace


@dataclass(slots=True, eq=False)
class _Entry:
    """One image that waits, and the future that its caller waits for."""

    image: Pixels
    deadline: float | None
    arrived: float
    answer: asyncio.Future[Inferred]
    trace: Trace | None


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch that has run."""

    size: int
    waits_s: Sequence[float]
    """Of each image, from its arrival to the batch's run."""
    begun: float
    """By `time.monotonic`."""
    compute_s: float
    wasted_s: float
    """Of that, the share of images whose callers had left before it ended."""
    traces: Sequence[Trace]
    """Of the requests in it that are traced."""


@dataclass(frozen=True, slots=True)
class BatcherEvents:
    """What a batcher tells about itself, as it happens."""

    sent: Callable[[int], None]
    """A batch of this size was sent."""
    depth: Callable[[int], None]
    """So many images wait."""
    ran: Callable[[Batch], None]

    @classmethod
    def silent(cls) -> Self:
        """Nobody listens."""
        return cls(sent=lambda _: None, depth=lambda _: None, ran=lambda _: None)


class Batcher:
    """An Engine around an Engine; images of all callers share its batches."""

    def __init__(self, engine: Engine, max_queue: int, events: BatcherEvents | None = None) -> None:
        self._engine = engine
        self._max_queue = max_queue
        self._events = events or BatcherEvents.silent()
        self._waiting: FairQueue[_Entry] = FairQueue()
        self._running: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """Those of the inner engine; callers may send any number of images."""
        return self._engine.batch_sizes

    @property
    def concurrency(self) -> int:
        """That of the inner engine."""
        return self._engine.concurrency

    @property
    def healthy(self) -> bool:
        """That of the inner engine."""
        return self._engine.healthy

    async def infer(
        self, images: Sequence[Pixels], deadline: float | None = None, flow: Hashable | None = None
    ) -> list[Inferred]:
        """Queue the images, all or none; see `Engine.infer`. A caller that is cancelled takes its images back."""
        if self._closed:
            raise engine_unavailable("the model is being unloaded")
        if len(self._waiting) + len(images) > self._max_queue:
            self._forget_the_dead()
        if len(self._waiting) + len(images) > self._max_queue:
            raise overloaded(f"{len(self._waiting)} images wait for this model already; try again in a moment")
        loop, now, trace = asyncio.get_running_loop(), time.monotonic(), CURRENT.get()
        entries = [_Entry(image, deadline, now, loop.create_future(), trace) for image in images]
        for entry in entries:
            self._waiting.put(entry, flow)
        self._dispatch()
        # From here on this frame must not hold on to what has an answer: an error that passed through it would
        # refer to itself, and keep the images until the garbage collector comes by.
        if len(entries) == 1:
            return [await entries.pop().answer]
        try:
            return await asyncio.gather(*(entry.answer for entry in entries))
        finally:
            # If one image failed, the request has: what still waits of it would be computed for nobody.
            while entries:
                entries.pop().answer.cancel()

    def take_traffic(self) -> None:
        """Tell the inner engine."""
        self._engine.take_traffic()

    async def close(self) -> None:
        """Take no more, finish what waits, close the inner engine."""
        self._closed = True
        while self._running:
            await asyncio.wait(self._running)
        await self._engine.close()

    def _dispatch(self) -> None:
        """Start as many batches as the engine has free places."""
        while len(self._running) < self._engine.concurrency and (batch := self._next_batch()):
            self._events.sent(len(batch))
            task = asyncio.create_task(self._run(batch))
            self._running.add(task)
            task.add_done_callback(partial(self._finished, batch))
        self._events.depth(len(self._waiting))

    def _finished(self, batch: list[_Entry], task: asyncio.Task[None]) -> None:
        """Make room for the next batch; whatever befell this one, nobody is left waiting for it."""
        self._running.discard(task)
        failure = engine_unavailable("the engine was stopped") if task.cancelled() else task.exception()
        if failure is not None:
            for entry in batch:
                if not entry.answer.done():
                    entry.answer.set_exception(failure)
        self._dispatch()

    def _forget_the_dead(self) -> None:
        """Let go of images whose callers have left, so that they take no place from the living."""
        self._waiting.keep(lambda entry: not entry.answer.done())

    def _next_batch(self) -> list[_Entry]:
        """The next live entries, as many as the largest certified batch that they fill; dead ones are dropped."""
        batch: list[Place[_Entry]] = []
        now = time.monotonic()
        while self._waiting and len(batch) < self._engine.batch_sizes[-1]:
            place = self._waiting.take()
            entry = place[3]
            if entry.answer.done():
                continue
            if entry.deadline is not None and now > entry.deadline:
                entry.answer.set_exception(deadline_exceeded("the deadline passed while the request waited its turn"))
                continue
            batch.append(place)
        fitting = max((size for size in self._engine.batch_sizes if size <= len(batch)), default=0)
        if left := batch[fitting:]:
            self._waiting.put_back(left, batch[fitting - 1])
        return [entry for _, _, _, entry in batch[:fitting]]

    async def _run(self, batch: list[_Entry]) -> None:
        begun = time.monotonic()
        deadlines = [entry.deadline for entry in batch]
        latest = None if None in deadlines else max(deadline for deadline in deadlines if deadline is not None)
        answers = await self._engine.infer([entry.image for entry in batch], latest)
        if len(answers) != len(batch):
            raise ServiceError(ErrorKind.INTERNAL, f"the engine gave {len(answers)} answers to {len(batch)} images")
        waits_s, wasted = [], 0
        for entry, answer in zip(batch, answers, strict=True):
            waited_s = begun - entry.arrived + answer.queue_s
            waits_s.append(waited_s)
            if entry.answer.done():
                wasted += 1
            else:
                entry.answer.set_result(Inferred(answer.outputs, waited_s, answer.compute_s, answer.batch_size))
        compute_s = answers[0].compute_s
        traces = [entry.trace for entry in batch if entry.trace is not None]
        started = begun + answers[0].queue_s
        self._events.ran(Batch(len(batch), waits_s, started, compute_s, compute_s * wasted / len(batch), traces))
