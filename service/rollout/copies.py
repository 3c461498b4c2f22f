"""Copies of live requests to a second version, whose answers are compared with the first one's and seen by nobody.

A copy waits for a moment in which no caller needs the engine's place that it takes, and goes after a second at the
latest; one runs at a time. So callers are delayed by at most one batch a second, and by nothing while there is room.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from contract.image import DecodeLimits
from contract.tasks.definition import UnusableOutput
from service.engines.base import Inferred
from service.errors import ErrorKind, ServiceError
from service.inference import Computed, Prepared, prepare
from service.priority import COPIES, patient_threads
from service.registry.version import LoadedVersion
from service.rollout.disagreement import Disagreement, disagreement
from service.telemetry.tracing import CURRENT

_LONGEST_WAIT_S = 1.0
_LOOK_S = 0.005
_DEADLINE_S = 30.0


@dataclass(frozen=True, slots=True)
class Copy:
    """A request that one version has answered, and the version that is to be asked as well."""

    computed: Computed
    other: LoadedVersion
    candidate: LoadedVersion
    """Of the two, the one on trial; the other one is what it is held against."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a copy."""

    copy: Copy
    differences: list[Disagreement]
    """One an image; empty if the other version failed."""
    other_s: float
    """Seconds that the other version was in the engine, its queue included."""
    ratio: tuple[float, float]
    """Seconds of computation of the reference and of the candidate."""
    fault: ServiceError | None


class Copies:
    """Runs copies, one at a time, in threads that give way to all others."""

    def __init__(
        self,
        places_free: Callable[[LoadedVersion], bool],
        report: Callable[[Outcome], None],
        limits: DecodeLimits,
        waiting: int,
    ) -> None:
        self._places_free = places_free
        self._report = report
        self._limits = limits
        self._most = waiting
        self._waiting: deque[Copy] = deque()
        self._runner: asyncio.Task[None] | None = None
        self._threads = patient_threads(1, "copies", COPIES)

    def offer(self, copy: Copy) -> bool:
        """Take a copy if there is room; else it is dropped, and the answer is False."""
        if len(self._waiting) >= self._most:
            return False
        self._waiting.append(copy)
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        return True

    async def close(self) -> None:
        """Drop what waits, and end what runs."""
        self._waiting.clear()
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)
        self._threads.shutdown(cancel_futures=True)

    async def _run(self) -> None:
        # It stems from the request that set it going, and goes on for others: copies belong to nobody's trace.
        CURRENT.set(None)
        while self._waiting:
            copy = self._waiting.popleft()
            with copy.other.leases:
                await self._room(copy.other)
                self._report(await self._compare(copy))

    async def _room(self, version: LoadedVersion) -> None:
        end = time.monotonic() + _LONGEST_WAIT_S
        while not self._places_free(version) and time.monotonic() < end:  # noqa: ASYNC110 - nobody announces it
            await asyncio.sleep(_LOOK_S)

    async def _compare(self, copy: Copy) -> Outcome:
        loop, computed = asyncio.get_running_loop(), copy.computed
        begun = time.monotonic()
        try:
            prepared = computed.prepared
            if computed.resolved.version.card.preprocess != copy.other.card.preprocess:
                prepared = await loop.run_in_executor(self._threads, self._prepared, copy)
            begun = time.monotonic()
            inferred = await copy.other.engine.infer([item.input for item in prepared], begun + _DEADLINE_S)
            other_s = time.monotonic() - begun
            differences = await loop.run_in_executor(self._threads, _differences, copy, prepared, inferred)
        except ServiceError as error:
            return Outcome(copy, [], time.monotonic() - begun, (0.0, 0.0), error)
        own_s, its_s = (max(item.compute_s for item in items) for items in (computed.inferred, inferred))
        ratio = (own_s, its_s) if copy.candidate is copy.other else (its_s, own_s)
        return Outcome(copy, differences, other_s, ratio, None)

    def _prepared(self, copy: Copy) -> list[Prepared]:
        spec = copy.other.card.preprocess
        return [prepare(image, spec, self._limits, None) for image in copy.computed.query.images]


def _differences(copy: Copy, prepared: Sequence[Prepared], inferred: Sequence[Inferred]) -> list[Disagreement]:
    """Compare the answers as both give them to a caller who sets no parameter."""
    computed = copy.computed
    own = _results(computed.resolved.version, computed.prepared, computed.inferred)
    its = _results(copy.other, prepared, inferred)
    pairs = zip(own, its, strict=True) if copy.candidate is copy.other else zip(its, own, strict=True)
    return [disagreement(copy.other.card.task, reference, candidate) for reference, candidate in pairs]


def _results(version: LoadedVersion, prepared: Sequence[Prepared], inferred: Sequence[Inferred]) -> list[object]:
    parameters = version.task.parameters()
    try:
        return [
            version.task.postprocess(item.outputs, image.geometry, version.card, version.settings, parameters)
            for image, item in zip(prepared, inferred, strict=True)
        ]
    except UnusableOutput as error:
        raise ServiceError(ErrorKind.INTERNAL, f"{version.card.name}: {error}") from error
