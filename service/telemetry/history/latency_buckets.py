"""Times counted in logarithmic buckets: percentiles with a bounded relative error, in memory that does not grow.

The buckets are those of DDSketch (Masson, Rim and Lee, "DDSketch: a fast and fully-mergeable quantile sketch with
relative-error guarantees", VLDB 2019): each is wider than the one before by the same ratio, so that one value stands
for all in it, never wrong by more than `ACCURACY` of them. Counts of two spans of time add up to those of both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.integer[Any]]

ACCURACY: Final = 0.02
"""The largest relative error of a percentile, for times between `SHORTEST_S` and `LONGEST_S`."""
BUCKETS: Final = 512
SHORTEST_S: Final = 1e-6
"""Shorter times fall into the first bucket, which stands for no time at all."""
_RATIO: Final = (1 + ACCURACY) / (1 - ACCURACY)
LONGEST_S: Final = SHORTEST_S * _RATIO ** (BUCKETS - 1)
"""Twelve minutes; longer times fall into the last bucket."""

_LOG_RATIO: Final = float(np.log(_RATIO))
_VALUES: Final[Floats] = SHORTEST_S * _RATIO ** np.arange(-1.0, BUCKETS - 1) * (2 * _RATIO / (_RATIO + 1))
_VALUES[0] = 0.0
"""Seconds that a bucket stands for: as far from its lower end as from its upper one, in relation to either."""


def bucket_of(seconds: ArrayLike) -> NDArray[np.int64]:
    """The bucket of each time; what is no number or below zero counts as no time.

    Args:
        seconds: of any shape.

    Returns:
        i64 of the same shape, 0…`BUCKETS` - 1.
    """
    longer = np.fmax(np.asarray(seconds, np.float64), SHORTEST_S / 2)
    places = np.floor(np.log(longer / SHORTEST_S) / _LOG_RATIO) + 1
    buckets: NDArray[np.int64] = np.clip(places, 0, BUCKETS - 1).astype(np.int64)
    return buckets


def percentiles(counts: Floats, shares: Sequence[float], first: int = 0) -> Floats:
    """Seconds that these shares of the times do not exceed; between two of them in proportion, as `numpy.percentile`.

    Args:
        counts: [rows, buckets], how many times fell into each bucket.
        shares: 0…1, e.g. 0.99.
        first: of the buckets.

    Returns:
        [rows, shares]; NaN in rows without any.
    """
    rows, width = counts.shape
    # One search through all rows at once: each goes on counting where the one before has ended.
    running = np.concatenate([[0.0], counts.cumsum()])
    before, after = running[:-1:width, None], running[width::width, None]
    rank = np.maximum(after - before - 1, 0) * np.asarray(shares)
    lower = np.floor(rank)
    places = (np.searchsorted(running[1:], before + place, side="right") for place in (lower, np.ceil(rank)))
    low, high = (_VALUES[first + place % width] for place in places)
    found: Floats = low + (high - low) * (rank - lower)
    found[(after == before).reshape(rows)] = np.nan
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Histograms:
    """Several histograms, of which only what is not zero is kept; never changed."""

    lengths: Integers
    """[histograms], how many entries belong to each, one histogram after the other."""
    codes: NDArray[np.uint16]
    """[entries], the place in its histogram."""
    counts: Integers
    """[entries], of the smallest type that holds them."""

    @classmethod
    def of(cls, dense: Floats) -> Self:
        """What is not zero of counts [histograms, places]; at most 65,536 places."""
        flat = dense.ravel()
        places = np.flatnonzero(flat != 0)
        return cls._at(places, flat[places], dense.shape)

    @classmethod
    def counted(cls, rows: Integers, codes: Integers, shape: tuple[int, int]) -> Self:
        """How often each place [rows, codes] of so many histograms, of so many places, stands there."""
        places, counts = np.unique(rows * shape[1] + codes, return_counts=True)
        return cls._at(places, counts, shape)

    @classmethod
    def _at(cls, places: Integers, counts: Floats | Integers, shape: tuple[int, ...]) -> Self:
        rows, codes = np.divmod(places, shape[1])
        return cls(
            np.bincount(rows, minlength=shape[0]).astype(np.uint16),
            codes.astype(np.uint16),
            counts.astype(np.min_scalar_type(int(counts.max(initial=0)))),
        )


NO_HISTOGRAMS: Final = Histograms.of(np.zeros((0, BUCKETS)))


def added(parts: Sequence[Histograms], rows: ArrayLike, shape: tuple[int, int]) -> Floats:
    """The counts of histograms added up.

    Args:
        parts: histograms, of `shape[1]` places each.
        rows: [all histograms of the parts, in order], where each is to be added; below zero: nowhere.
        shape: rows and places of the sum.

    Returns:
        The sum; whole numbers, exact below 2**53.
    """
    return _summed(*_entries(parts, rows), shape)


def added_percentiles(parts: Sequence[Histograms], rows: ArrayLike, count: int, shares: Sequence[float]) -> Floats:
    """`percentiles` [count, shares] of `added` histograms; quick where times are far from filling all buckets."""
    row, codes, counts = _entries(parts, rows)
    if not len(codes):
        return np.full((count, len(shares)), np.nan)
    first, last = int(codes.min()), int(codes.max())
    return percentiles(_summed(row, codes - first, counts, (count, last - first + 1)), shares, first)


def _entries(parts: Sequence[Histograms], rows: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64], Integers]:
    """Of everything that is to be added: where, its place in the histogram, and the count."""
    row = np.asarray(rows, np.int64)
    lengths = np.concatenate([NO_HISTOGRAMS.lengths, *(part.lengths for part in parts)])
    codes = np.concatenate([NO_HISTOGRAMS.codes, *(part.codes for part in parts)])
    counts = np.concatenate([NO_HISTOGRAMS.counts, *(part.counts for part in parts)])
    wanted = row >= 0
    if not wanted.all():
        entries = np.repeat(wanted, lengths)
        row, lengths, codes, counts = row[wanted], lengths[wanted], codes[entries], counts[entries]
    return np.repeat(row, lengths), codes.astype(np.int64), counts


def _summed(row: NDArray[np.int64], codes: NDArray[np.int64], counts: Integers, shape: tuple[int, int]) -> Floats:
    sums = np.bincount(row * shape[1] + codes, counts, shape[0] * shape[1])
    return sums.astype(np.float64, copy=False).reshape(shape)
