"""What one alias did within the last seconds: requests, faults, times and disagreement, in constant memory."""

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

_SHORTEST_S, _STEP, _BINS = 1e-4, 1.1, 160
"""Bins of times grow by a tenth each, from 0.1 ms to 400 s: a percentile is right to 5 %."""


@dataclass(frozen=True, slots=True)
class Counts:
    """The sums of a window."""

    requests: int = 0
    """Answered and failed."""
    faults: int = 0
    p50_s: float | None = None
    """Seconds in the engine, its queue included; None without an answer."""
    p99_s: float | None = None
    compared: int = 0
    disagreement: float | None = None
    """Mean share of the answer that differs; None without a comparison."""

    @property
    def error_rate(self) -> float:
        """Share of the requests that failed by the service's fault."""
        return self.faults / self.requests if self.requests else 0.0


@dataclass(slots=True)
class _Slice:
    """One second's worth."""

    second: int
    faults: int = 0
    times: dict[int, int] = field(default_factory=dict)
    """Answers by the bin of their time."""
    compared: int = 0
    disagreement: float = 0.0


class Window:
    """Counts what happens, and forgets it after so many seconds."""

    def __init__(self, length_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.length_s = length_s
        self._clock = clock
        self._slices: deque[_Slice] = deque()

    def answered(self, seconds: float) -> None:
        """A request was answered after so long in the engine."""
        times, where = self._now().times, _bin(seconds)
        times[where] = times.get(where, 0) + 1

    def failed(self) -> None:
        """A request failed by the service's fault."""
        self._now().faults += 1

    def compared(self, share: float) -> None:
        """An answer was compared, and so much of it differs, 0…1."""
        current = self._now()
        current.compared += 1
        current.disagreement += share

    def counts(self) -> Counts:
        """The sums of the last ``length_s`` seconds, to the second."""
        self._forget(int(self._clock()))
        times: dict[int, int] = {}
        for part in self._slices:
            for where, count in part.times.items():
                times[where] = times.get(where, 0) + count
        faults = sum(part.faults for part in self._slices)
        compared = sum(part.compared for part in self._slices)
        return Counts(
            requests=sum(times.values()) + faults,
            faults=faults,
            p50_s=_percentile(times, 0.5),
            p99_s=_percentile(times, 0.99),
            compared=compared,
            disagreement=sum(part.disagreement for part in self._slices) / compared if compared else None,
        )

    def _now(self) -> _Slice:
        second = int(self._clock())
        if not self._slices or self._slices[-1].second != second:
            self._forget(second)
            self._slices.append(_Slice(second))
        return self._slices[-1]

    def _forget(self, second: int) -> None:
        while self._slices and self._slices[0].second <= second - self.length_s:
            self._slices.popleft()


def _bin(seconds: float) -> int:
    if seconds <= _SHORTEST_S:
        return 0
    return min(_BINS, 1 + int(math.log(seconds / _SHORTEST_S, _STEP)))


def _percentile(times: dict[int, int], share: float) -> float | None:
    """The middle, geometrically, of the bin in which the percentile lies; nearest rank."""
    rank = math.ceil(share * sum(times.values()))
    for where in sorted(times):
        rank -= times[where]
        if rank <= 0:
            return float(_SHORTEST_S * _STEP ** max(0.0, where - 0.5))
    return None
