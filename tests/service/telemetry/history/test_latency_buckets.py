"""Logarithmic buckets: percentiles as numpy has them, within the error that is promised."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import ArrayLike, NDArray

from service.telemetry.history.latency_buckets import (
    ACCURACY,
    BUCKETS,
    LONGEST_S,
    SHORTEST_S,
    Histograms,
    added,
    added_percentiles,
    bucket_of,
    percentiles,
)

Counts = NDArray[np.float64]

SHARES = (0.0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0)
TIMES = st.lists(st.floats(1e-4, 30.0), min_size=1, max_size=200)


def counted(seconds: ArrayLike) -> Counts:
    """One histogram of times."""
    return np.bincount(bucket_of(seconds), minlength=BUCKETS).astype(np.float64)[None]


@given(seconds=TIMES)
def test_percentiles_of_any_times_are_within_the_accuracy(seconds: list[float]) -> None:
    """Whatever the times and however few: each percentile is numpy's, to within 2 %."""
    assert percentiles(counted(seconds), SHARES)[0] == pytest.approx(np.quantile(seconds, SHARES), rel=ACCURACY * 1.001)


@pytest.mark.parametrize("size", [3, 40, 10_000])
@pytest.mark.parametrize("shape", ["lognormal", "two speeds", "constant", "heavy tail", "batches"])
def test_percentiles_of_real_looking_times_are_within_the_accuracy(shape: str, size: int) -> None:
    """Times as services have them, 0.1 ms to 30 s: each percentile is numpy's, to well below 2.5 %."""
    random = np.random.default_rng(7)
    slow = random.random(size) < 0.05
    seconds = {
        "lognormal": random.lognormal(np.log(0.008), 0.6, size),
        "two speeds": np.where(slow, random.normal(2.0, 0.1, size), random.normal(0.004, 0.0003, size)),
        "constant": np.full(size, 0.0123),
        "heavy tail": 0.001 * (1 + random.pareto(1.2, size)),
        "batches": 0.002 * np.ceil(random.exponential(3, size)) + random.exponential(0.0001, size),
    }[shape].clip(1e-4, 30)
    assert percentiles(counted(seconds), SHARES)[0] == pytest.approx(np.quantile(seconds, SHARES), rel=ACCURACY * 1.001)


@given(parts=st.lists(st.lists(st.floats(1e-4, 30.0), max_size=30), min_size=1, max_size=8))
def test_merged_histograms_equal_the_whole(parts: list[list[float]]) -> None:
    """Kept one by one and added up, histograms are that of all times together."""
    kept = [Histograms.of(counted(part)) for part in parts]
    together = counted([seconds for part in parts for seconds in part])
    assert (added(kept, np.zeros(len(parts), int), (1, BUCKETS)) == together).all()


@given(
    dense=arrays(
        np.float64,
        st.tuples(st.integers(1, 3), st.just(9)),
        elements=st.integers(0, 2**40).map(float),
        fill=st.just(0.0),
    )
)
def test_what_is_kept_is_what_was_counted(dense: Counts) -> None:
    """Histograms come back as they were, whatever the size of their counts."""
    assert (added([Histograms.of(dense)], np.arange(len(dense)), (len(dense), 9)) == dense).all()


@given(parts=st.lists(TIMES, max_size=6), rows=st.lists(st.integers(-1, 3), min_size=6, max_size=6))
def test_percentiles_of_added_histograms_are_those_of_their_sum(parts: list[list[float]], rows: list[int]) -> None:
    """Whichever buckets are filled, and wherever histograms are added, the quick way comes to the same."""
    kept, places = [Histograms.of(counted(part)) for part in parts], rows[: len(parts)]
    quick = added_percentiles(kept, places, 4, SHARES)
    np.testing.assert_array_equal(quick, percentiles(added(kept, places, (4, BUCKETS)), SHARES))


def test_rows_are_told_apart() -> None:
    """Each row has its own percentiles, an empty one none, wherever it stands."""
    counts = np.concatenate([counted([]), counted([0.1, 0.1]), counted([]), counted([3.0]), counted([])])
    medians = percentiles(counts, (0.5,))[:, 0]
    assert medians == pytest.approx([np.nan, 0.1, np.nan, 3.0, np.nan], rel=ACCURACY, nan_ok=True)


def test_unwanted_histograms_are_left_out() -> None:
    """Of several histograms those below zero go nowhere, and the others where they are sent."""
    kept = Histograms.of(np.concatenate([counted([0.1]), counted([0.2, 0.2]), counted([0.3])]))
    one = added([kept], [1, -1, 0], (2, BUCKETS))
    assert (one == np.concatenate([counted([0.3]), counted([0.1])])).all()


def test_times_beyond_the_buckets_fall_into_the_outermost() -> None:
    """No time at all, a negative one and what is no number are the first bucket; hours, and forever, the last."""
    assert bucket_of([0.0, -3.0, np.nan, SHORTEST_S / 2]).tolist() == [0, 0, 0, 0]
    assert bucket_of([LONGEST_S * 2, np.inf]).tolist() == [BUCKETS - 1, BUCKETS - 1]
    assert percentiles(counted([0.0]), (0.5,)).tolist() == [[0.0]]
    assert LONGEST_S > 600


def test_few_counts_take_little_room() -> None:
    """Only buckets that are not empty are kept, and in as few bytes as their counts need."""
    kept = Histograms.of(counted([0.1] * 200 + [0.5]))
    assert kept.codes.nbytes + kept.counts.nbytes == 2 * (2 + 1)
