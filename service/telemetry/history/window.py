"""The slices of a window of time, put side by side in long arrays."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from service.telemetry.history.latency_buckets import BUCKETS, Floats, Integers, added, added_percentiles
from service.telemetry.history.names import Name, Numbers, version_of
from service.telemetry.history.slices import Slice
from service.telemetry.history.traffic import NO_TRAFFIC, STAGE_PLACES, Answered, Traffic, summed
from service.telemetry.stages import STAGES

SHARES: Final = (0.5, 0.95, 0.99)
"""The percentiles that are shown."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What one asks for; empty words ask for everything."""

    task: str
    model: str
    version: str

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return not (self.task or self.model or self.version)

    def includes(self, version: Name) -> bool:
        """Whether one asks for this version, or for these requests of nobody knows which."""
        wanted = (self.task, self.model, self.version)
        return all(want in {"", name} for want, name in zip(wanted, version, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A span of time in points of equal length."""

    slices: Sequence[Slice]
    """Those within it, none longer than a point."""
    points: NDArray[np.int64]
    """[slices], the point that each belongs to."""
    few: Sequence[Slice]
    """The same time in as few slices as there are, for what is told of the whole window only."""
    count: int
    """Of points."""
    step_s: int
    """Of each point."""

    def sums(self, values: Floats) -> Floats:
        """Values [slices], summed by point."""
        return np.bincount(self.points, values, self.count).astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Kinds:
    """The kinds of requests that are asked for, and how many there were of each in each point."""

    names: Sequence[Name]
    requests: NDArray[np.int64]
    """[kinds, points]"""

    @classmethod
    def of(cls, window: Window, kinds: Numbers, asked: Asked) -> Self:
        """Those of a window."""
        parts = [part.traffic for part in window.slices]
        names, rows = _named([part.kinds for part in parts], kinds)
        points = np.repeat(window.points, [len(part.kinds) for part in parts])
        counts = _joined([part.requests for part in parts])
        table = np.bincount(rows * window.count + points, counts, len(names) * window.count)
        table = table.astype(np.int64).reshape(len(names), window.count)
        chosen = [row for row, name in enumerate(names) if asked.includes(version_of(name))]
        return cls([names[row] for row in chosen], table[np.array(chosen, np.int64)])

    def per_point(self, chosen: Callable[[Name], bool]) -> NDArray[np.int64]:
        """Requests [points] of the chosen kinds."""
        found: NDArray[np.int64] = self.requests[np.array([chosen(name) for name in self.names], bool)].sum(0)
        return found

    def totals(self) -> list[tuple[Name, int]]:
        """Requests of each kind in all points."""
        return list(zip(self.names, self.requests.sum(1).tolist(), strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """The answered requests that are asked for."""

    names: Sequence[Name]
    """Of the versions."""
    sums: Floats
    """[points, SUMS]"""
    times: Floats
    """[points, SHARES], percentiles of whole times in seconds; NaN where there are none."""
    version_sums: Floats
    """[versions, SUMS]"""
    version_latency: Floats
    """[versions, BUCKETS]"""
    stages: Floats
    """[stages, BUCKETS], of the whole window."""

    @classmethod
    def of(cls, window: Window, versions: Numbers, asked: Asked) -> Self:
        """Those of a window."""
        few = [part.traffic for part in window.few]
        names, places = _named([part.versions for part in few], versions)
        chosen = np.array([asked.includes(name) for name in names], bool)
        rows = np.where(chosen, np.cumsum(chosen) - 1, -1)[places]
        each = _Rows([part.each for part in few], rows, int(chosen.sum()))
        points = _Rows.of([part.traffic for part in window.slices], window.points, window.count, versions, asked)
        whole = _Rows.of(few, np.zeros(len(few), np.int64), 1, versions, asked)
        return cls(
            [name for name in names if asked.includes(name)],
            points.sums(),
            points.percentiles(),
            each.sums(),
            each.latency(),
            whole.stages().reshape(len(STAGES), BUCKETS),
        )

    @property
    def whole(self) -> Floats:
        """[1, SUMS], of all versions."""
        return summed(self.version_sums, np.zeros(len(self.names), np.int64), 1)


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Answered requests to be added up."""

    parts: Sequence[Answered]
    rows: NDArray[np.int64]
    """[rows of all parts], where each is to be added; below zero: nowhere."""
    count: int
    """Of rows of the sum."""

    @classmethod
    def of(
        cls, parts: Sequence[Traffic], groups: NDArray[np.int64], count: int, versions: Numbers, asked: Asked
    ) -> Self:
        """What is asked for, each part to be added to its group."""
        if asked.everything:
            whole = [part.whole for part in parts]
            return cls(whole, np.repeat(groups, [len(part.sums) for part in whole]), count)
        names, places = _named([part.versions for part in parts], versions)
        chosen = np.array([asked.includes(name) for name in names], bool)[places]
        rows = np.repeat(groups, [len(part.versions) for part in parts])
        return cls([part.each for part in parts], np.where(chosen, rows, -1), count)

    def sums(self) -> Floats:
        """Their sums: [count, SUMS]."""
        wanted = self.rows >= 0
        values = np.concatenate([NO_TRAFFIC.whole.sums, *(part.sums for part in self.parts)])
        return summed(values[wanted], self.rows[wanted], self.count)

    def latency(self) -> Floats:
        """Their whole times: [count, BUCKETS]."""
        return added([part.latency for part in self.parts], self.rows, (self.count, BUCKETS))

    def percentiles(self) -> Floats:
        """Percentiles of their whole times: [count, SHARES]."""
        return added_percentiles([part.latency for part in self.parts], self.rows, self.count, SHARES)

    def stages(self) -> Floats:
        """Their stages: [count, STAGE_PLACES]."""
        return added([part.stages for part in self.parts], self.rows, (self.count, STAGE_PLACES))


def _named(numbers: Sequence[Integers], known: Numbers) -> tuple[list[Name], NDArray[np.int64]]:
    """The names behind all these numbers, and of each number the place of its name among them."""
    joined = _joined(numbers)
    there = np.bincount(joined, minlength=known.room) > 0
    return [known[number] for number in np.flatnonzero(there).tolist()], (np.cumsum(there) - 1)[joined]


def _joined(parts: Sequence[Integers]) -> NDArray[np.int64]:
    return np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, np.int64)
