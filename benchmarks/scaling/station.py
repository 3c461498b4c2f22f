"""An engine with its queue, simulated batch by batch: exact for each image, at the cost of one step a batch.

Between two starts of batches nothing leaves the queue, so all that arrives meanwhile is dealt with at once: so many as
there is room for wait, the rest is refused. That makes a thousand images a second cheap enough for hours of a fleet.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapreplace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from benchmarks.scaling.service_times import ServiceLaw

Seconds = NDArray[np.float64]
_FACTORS = 4096


@dataclass(frozen=True, slots=True)
class Served:
    """What became of the images of one stretch of time; [N] each, of those whose batch began in it."""

    waits_s: Seconds
    latencies_s: Seconds
    batch_sizes: NDArray[np.int64]
    """[batches]"""
    busy_s: float
    """Of all places, the time of the batches that began."""
    arrived: int
    refused: int


class Station:
    """Places that run batches, a queue before them, and a bound on both together.

    It does as `service.engines.batcher` does where no images belong to one flow: nothing waits on purpose, a free place
    takes as many as wait, up to ``most``.
    """

    def __init__(self, law: ServiceLaw, places: int, most: int, bound: int, generator: Generator) -> None:
        if bound < places * most:
            raise ValueError(f"a bound of {bound} images leaves places idle; {places} of {most} images need more")
        self._law, self._most, self._bound = law, most, bound
        self._generator = generator
        self._factors: list[float] = []
        self._places: list[tuple[float, int]] = [(0.0, 0)] * places
        """When each is free, and how many images it runs until then; a heap."""
        self._waiting: list[float] = []
        """Moments of arrival, ascending."""

    @property
    def waiting(self) -> int:
        """Images in the queue, as of the last step."""
        return len(self._waiting)

    def in_flight(self, now: float) -> int:
        """Images that wait or run at a moment."""
        return len(self._waiting) + sum(images for free, images in self._places if free > now)

    def serve(self, arrivals: Sequence[float], until: float) -> Served:
        """Start all batches that begin before ``until``; ``arrivals`` ascend, after those of the last call."""
        waiting, places, law = self._waiting, self._places, self._law
        arrived, refused, head, taken = len(arrivals), 0, 0, 0
        starts: list[float] = []
        ends: list[float] = []
        sizes: list[int] = []
        while True:
            start = places[0][0]
            if head == len(waiting) and (taken == arrived or arrivals[taken] > start):
                if taken == arrived:
                    break
                start = arrivals[taken]
            if start >= until:
                break
            come = bisect_right(arrivals, start, taken)
            if come > taken:
                refused += self._admit(arrivals[taken:come], start, head)
                taken = come
            size = min(self._most, len(waiting) - head)
            if not self._factors:
                self._factors = law.factors(self._generator, _FACTORS)
            end = start + law.typical(size) * self._factors.pop()
            heapreplace(places, (end, size))
            starts.append(start)
            ends.append(end)
            sizes.append(size)
            head += size
        if taken < arrived:
            refused += self._admit(arrivals[taken:], until, head)
        gone = np.array(waiting[:head])
        del waiting[:head]
        counts = np.array(sizes, dtype=np.int64)
        return Served(
            waits_s=np.repeat(starts, counts) - gone,
            latencies_s=np.repeat(ends, counts) - gone,
            batch_sizes=counts,
            busy_s=sum(ends) - sum(starts),
            arrived=arrived,
            refused=refused,
        )

    def _admit(self, come: Sequence[float], moment: float, head: int) -> int:
        """Let in as many as there is room for; how many were refused. All places run until ``moment``, or one came."""
        running = sum(images for free, images in self._places if free >= moment)
        room = max(0, self._bound - running - (len(self._waiting) - head))
        self._waiting.extend(come[:room])
        return max(0, len(come) - room)


def poisson_arrivals(generator: Generator, rate: float, begin: float, end: float) -> list[float]:
    """Moments of arrivals at a mean rate a second, ascending."""
    count = int(generator.poisson(rate * (end - begin)))
    moments: list[float] = np.sort(generator.uniform(begin, end, count)).tolist()
    return moments
