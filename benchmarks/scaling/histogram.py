"""Many times in little memory: counts in bins that grow by three hundredths each."""

import numpy as np
from numpy.typing import NDArray

from benchmarks.scaling.station import Seconds

EDGES: Seconds = np.concatenate([[0.0], np.geomspace(1e-4, 100.0, 468), [np.inf]])
"""Seconds; a percentile is right to 1.5 %."""
Counts = NDArray[np.float64]


def counted(seconds: Seconds, weight: float = 1.0) -> Counts:
    """How many lie in each bin, [bins], each counted so many times."""
    places = np.searchsorted(EDGES, seconds, side="right") - 1
    return np.bincount(places, minlength=len(EDGES) - 1).astype(np.float64) * weight


def percentile_ms(counts: Counts, share: float) -> float:
    """A percentile in milliseconds, of counts [bins]; nan of none."""
    total = counts.sum()
    if total == 0:
        return float("nan")
    place = int(np.searchsorted(np.cumsum(counts), share / 100 * total))
    low, high = EDGES[place], EDGES[place + 1]
    return float(np.sqrt(low * high) if low > 0 and np.isfinite(high) else low) * 1e3
