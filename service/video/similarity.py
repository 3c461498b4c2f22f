"""How much two frames differ, from their brightness in small: 0 for not at all, 1 for as much as can be."""

import numpy as np
import numpy.typing as npt

from service.video.frame import Thumbnail

_BINS = 16
_REGIONS = 3


def largest_change(before: Thumbnail, after: Thumbnail) -> float:
    """The change of brightness of the value that changed most; 1 where the sizes differ.

    The largest and not the mean, so that a small object that enters a large scene counts as much as a large one. Each
    value is the mean of a square of pixels already, so noise hardly shows.
    """
    if before.shape != after.shape:
        return 1.0
    change = np.maximum(before, after) - np.minimum(before, after)
    return float(change.max()) / 255


RegionHistograms = npt.NDArray[np.float32]
"""Shares of brightness [regions, bins]; each region's sum is 1."""


def region_histograms(thumbnail: Thumbnail) -> RegionHistograms:
    """How brightness is spread in each of nine regions: what a scene looks like, whatever moves a little in it."""
    parts = [
        part
        for rows in np.array_split(thumbnail, _REGIONS, axis=0)
        for part in np.array_split(rows, _REGIONS, axis=1)
        if part.size
    ]
    counts = np.stack([np.bincount(part.ravel() // (256 // _BINS), minlength=_BINS) for part in parts])
    return np.asarray(counts / counts.sum(axis=1, keepdims=True), np.float32)


def histogram_distance(before: RegionHistograms, after: RegionHistograms) -> float:
    """The mean over the regions of the share of pixels that changed their bin, at least; 1 where the regions differ."""
    if before.shape != after.shape:
        return 1.0
    return float(np.abs(before - after).sum(axis=1).mean()) / 2
