"""What happened within a span of time: collected while it lasts, kept in a few small arrays afterwards."""

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.telemetry.history.latency_buckets import BUCKETS, NO_HISTOGRAMS, Floats, Histograms, added, bucket_of
from service.telemetry.history.names import Numbers
from service.telemetry.history.traffic import COLUMNS, NO_TRAFFIC, Traffic

FRAMES: Final = ("processed", "carried", "dropped")
"""What becomes of a frame, of a video job or a live stream."""
IN_FLIGHT, QUEUED, LOOP_LAG_S, MEMORY_BYTES, CPU_S, CPU_OVER_S = range(6)
"""Gauges: the highest values seen, and processor seconds used within so many seconds."""
HIGHEST: Final = CPU_S
"""So many of them are highest values."""
GAUGES: Final = 6
FULL: Final = 4096
"""So many requests, or lags, are counted before more come, so that what is collected stays small."""
_MOST_BATCHES: Final = 512
"""Sizes of batches, of all versions, told apart in one slice: the most frequent."""

_NO_GAUGES: Final[Floats] = np.array([np.nan] * HIGHEST + [0.0, 0.0])
_NO_BATCHES: Final = np.zeros((0, 3), np.uint32)
_NO_FRAMES: Final = np.zeros(len(FRAMES), np.uint32)


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """What happened within a span of time; never changed."""

    begin: int
    """Its first second, by the history's clock."""
    traffic: Traffic
    batches: NDArray[np.uint32]
    """[rows, 3]: the number of the version, a size, and how many batches had it."""
    frames: NDArray[np.uint32]
    """As many as `FRAMES`."""
    lag: Histograms
    """One, of live frames, if there were any."""
    gauges: Floats
    """NaN, and zero for the last two, where nobody looked."""


@dataclass(slots=True)
class Names:
    """What the numbers in slices stand for."""

    kinds: Numbers = field(default_factory=Numbers)
    """Of requests."""
    versions: Numbers = field(default_factory=Numbers)
    """Task, model and version; of batches, of which nobody knows the task, that is empty."""

    def __len__(self) -> int:
        return len(self.kinds) + len(self.versions)

    def keep(self, slices: Sequence[Slice]) -> None:
        """Forget what no slice holds."""
        parts = [part.traffic for part in slices]
        self.kinds.keep({number for part in parts for number in part.kinds.tolist()})
        versions = {number for part in parts for number in part.versions.tolist()}
        self.versions.keep(versions.union(*(part.batches[:, 0].tolist() for part in slices)))


@dataclass(slots=True)
class OpenSlice:
    """Collects what happens, as cheaply as can be: it is counted when the slice is closed."""

    begin: int
    answered: "array[float]" = field(default_factory=lambda: array("d"))
    """`COLUMNS` a request."""
    refused: dict[int, int] = field(default_factory=dict)
    """Requests without an answer, by the number of their kind."""
    batches: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    """By model, version and size."""
    frames: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FRAMES, 0))
    lags: "array[float]" = field(default_factory=lambda: array("d"))
    gauges: Floats = field(default_factory=_NO_GAUGES.copy)

    def closed(self, names: Names) -> Slice:
        """What was collected."""
        traffic = NO_TRAFFIC
        if self.answered or self.refused:
            answered = np.array(self.answered).reshape(-1, COLUMNS)
            traffic = Traffic.of_requests(answered, self.refused, names.kinds, names.versions)
        lag = NO_HISTOGRAMS
        if self.lags:
            lag = Histograms.counted(np.zeros(len(self.lags), np.int64), bucket_of(self.lags), (1, BUCKETS))
        batches = Counter(
            {(names.versions.of(("", model, version)), size): n for (model, version, size), n in self.batches.items()}
        )
        frames = np.array([*self.frames.values()], np.uint32) if any(self.frames.values()) else _NO_FRAMES
        return Slice(self.begin, traffic, _most(batches), frames, lag, self.gauges)


def merged(begin: int, parts: Sequence[Slice], names: Names) -> Slice:
    """Slices as one that begins at a given second."""
    if len(parts) == 1 and parts[0].begin == begin:
        return parts[0]
    busy = [part.traffic for part in parts if len(part.traffic.kinds)]
    batches: Counter[tuple[int, int]] = Counter()
    for part in parts:
        for version, size, count in part.batches.tolist():
            batches[version, size] += count
    lags = [part.lag for part in parts if len(part.lag.lengths)]
    return Slice(
        begin,
        Traffic.merged(busy, names.kinds, names.versions) if busy else NO_TRAFFIC,
        _most(batches),
        np.sum([part.frames for part in parts], axis=0, dtype=np.uint32),
        Histograms.of(added(lags, np.zeros(len(lags)), (1, BUCKETS))) if lags else NO_HISTOGRAMS,
        merged_gauges(np.stack([part.gauges for part in parts])),
    )


def merged_gauges(gauges: Floats) -> Floats:
    """Gauges [slices, gauges] as those of all slices."""
    highest = np.fmax.reduce(gauges[:, :HIGHEST], axis=0)
    return np.concatenate([highest, gauges[:, HIGHEST:].sum(0)])


def _most(batches: Counter[tuple[int, int]]) -> NDArray[np.uint32]:
    rows = [(version, size, count) for (version, size), count in batches.most_common(_MOST_BATCHES)]
    return np.array(rows, np.uint32) if rows else _NO_BATCHES
