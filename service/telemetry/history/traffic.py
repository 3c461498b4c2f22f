"""The requests of a span of time, in a few small arrays."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from service.telemetry.history.latency_buckets import BUCKETS, Floats, Histograms, added, bucket_of
from service.telemetry.history.names import Name, Numbers, version_of
from service.telemetry.stages import STAGES

MOST_VERSIONS: Final = 32
"""Versions told apart in one span of time, those with most requests; the rest counts for its task only."""
STAGE_PLACES: Final = len(STAGES) * BUCKETS
"""Places of a histogram of stages: each stage's buckets, one stage after the other."""

COLUMNS: Final = 3 + len(STAGES)
"""Of an answered request: the number of its kind, images, seconds, seconds of each stage."""
ANSWERED, IMAGES, LONGEST, SECONDS, FIRST_STAGE = range(5)
"""Columns of sums: answered requests, images, seconds of the longest, of all, and behind them those of each stage."""
SUMS: Final = FIRST_STAGE + len(STAGES)

_LONGEST_S: Final = 1e6
"""Longer than any request: what a clock tells that makes no sense is to harm nobody."""


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """Answered requests in rows, each of a version, or one of all of them; never changed."""

    sums: Floats
    """[rows, SUMS]"""
    latency: Histograms
    """One a row, of `BUCKETS`: whole times."""
    stages: Histograms
    """One a row, of `STAGE_PLACES`."""

    @classmethod
    def of(cls, requests: Floats, rows: NDArray[np.int64], count: int) -> Self:
        """Of requests [requests, COLUMNS], and the row of each."""
        times = np.clip(np.nan_to_num(requests[:, 2:]), 0, _LONGEST_S)
        buckets = bucket_of(times)
        places = np.arange(len(STAGES)) * BUCKETS + buckets[:, 1:]
        return cls(
            summed(np.column_stack([np.ones(len(rows)), requests[:, 1], times[:, 0], times]), rows, count),
            Histograms.counted(rows, buckets[:, 0], (count, BUCKETS)),
            Histograms.counted(np.repeat(rows, len(STAGES)), places.ravel(), (count, STAGE_PLACES)),
        )

    @classmethod
    def merged(cls, parts: Sequence["Answered"], rows: NDArray[np.int64], count: int) -> Self:
        """The parts, of which each row is added to one of ``count``."""
        return cls(
            summed(np.concatenate([part.sums for part in parts]), rows, count),
            Histograms.of(added([part.latency for part in parts], rows, (count, BUCKETS))),
            Histograms.of(added([part.stages for part in parts], rows, (count, STAGE_PLACES))),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """Requests that ended within a span of time; never changed."""

    kinds: NDArray[np.uint32]
    """[kinds], the numbers of kinds of requests."""
    requests: NDArray[np.uint32]
    """[kinds], how many there were."""
    versions: NDArray[np.uint32]
    """[versions], the numbers of versions that answered."""
    each: Answered
    """A row a version."""
    whole: Answered
    """One row, of all versions."""

    @classmethod
    def of_requests(cls, answered: Floats, refused: Mapping[int, int], kinds: Numbers, versions: Numbers) -> Self:
        """Count requests.

        Args:
            answered: [requests, COLUMNS].
            refused: how many got no answer, by the number of their kind.
            kinds: that the numbers stand for.
            versions: get numbers here.
        """
        numbers, places, counts = np.unique(answered[:, 0].astype(np.int64), return_inverse=True, return_counts=True)
        requests = Counter(dict(zip(numbers.tolist(), counts.tolist(), strict=True)))
        requests.update(refused)
        rest = _rest(requests, kinds)
        mine = [versions.of(version_of(kinds[rest.get(number, number)])) for number in numbers.tolist()]
        found, rows = np.unique(np.array(mine, np.int64), return_inverse=True)
        each = Answered.of(answered, rows[places], len(found))
        return cls(*_counts(requests, rest), found.astype(np.uint32), each, _whole([each]))

    @classmethod
    def merged(cls, parts: Sequence["Traffic"], kinds: Numbers, versions: Numbers) -> Self:
        """All parts together."""
        requests: Counter[int] = Counter()
        for part in parts:
            for number, count in zip(part.kinds.tolist(), part.requests.tolist(), strict=True):
                requests[number] += count
        rest = _rest(requests, kinds)
        moved = {versions.of(version_of(kinds[old])): versions.of(version_of(kinds[new])) for old, new in rest.items()}
        mine = [moved.get(number, number) for part in parts for number in part.versions.tolist()]
        found, rows = np.unique(np.array(mine, np.int64), return_inverse=True)
        each = Answered.merged([part.each for part in parts], rows, len(found))
        return cls(*_counts(requests, rest), found.astype(np.uint32), each, _whole([part.whole for part in parts]))


def summed(values: Floats, rows: NDArray[np.int64], count: int) -> Floats:
    """Values [values, SUMS] summed by row: [rows, SUMS]; of the longest requests, the longest."""
    sums = np.stack([np.bincount(rows, column, count) for column in values.T], axis=1).astype(np.float64)
    sums[:, LONGEST] = 0
    np.maximum.at(sums[:, LONGEST], rows, values[:, LONGEST])
    return sums


def _whole(parts: Sequence[Answered]) -> Answered:
    """All rows of all parts as one."""
    return Answered.merged(parts, np.zeros(sum(len(part.sums) for part in parts), np.int64), 1)


def _rest(requests: Mapping[int, int], kinds: Numbers) -> dict[int, int]:
    """For kinds of requests to versions that are too many: the kind without model and version, of the same task."""
    by_version: Counter[Name] = Counter()
    for number, count in requests.items():
        by_version[version_of(kinds[number])] += count
    named = Counter({version: count for version, count in by_version.items() if version[1]})
    if len(named) <= MOST_VERSIONS:
        return {}
    kept = {version for version, _ in named.most_common(MOST_VERSIONS)}
    unnamed = named.keys() - kept
    rest = [number for number in requests if version_of(kinds[number]) in unnamed]
    return {number: kinds.of((kinds[number][0], "", "", *kinds[number][3:])) for number in rest}


def _counts(requests: Mapping[int, int], rest: Mapping[int, int]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Numbers of kinds and their requests."""
    counts: Counter[int] = Counter()
    for number, count in requests.items():
        counts[rest.get(number, number)] += count
    size = len(counts)
    return np.fromiter(counts.keys(), np.uint32, size), np.fromiter(counts.values(), np.uint32, size)


_NOBODY: Final = Answered.of(np.zeros((0, COLUMNS)), np.zeros(0, np.int64), 0)
NO_TRAFFIC: Final = Traffic(np.zeros(0, np.uint32), np.zeros(0, np.uint32), np.zeros(0, np.uint32), _NOBODY, _NOBODY)
