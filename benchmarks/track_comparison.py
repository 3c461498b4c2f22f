"""What the lines of a video say of its tracks, and whether two runs over the same video tell of the same ones."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

Line = Mapping[str, Any]
Corners = tuple[float, float, float, float]
Boxes = dict[int, tuple[str, Corners]]
"""The label and the box x1, y1, x2, y2 of each id, in one frame."""
_SAME_THING = 0.5
"""Boxes of two runs with this IoU at least, in the same frame, are of the same thing."""


@dataclass(frozen=True)
class Tracks:
    """The tracks of one run."""

    frames: int
    lengths: Counter[int]
    """In how many frames each id is seen."""
    labels: Mapping[int, str]

    @classmethod
    def of(cls, lines: Sequence[Line], label: str | None = None) -> "Tracks":
        """Those of all labels, or of one."""
        items = [item for line in lines for item in _tracked(line) if label in (None, item["label"])]
        lengths = Counter(item["track_id"] for item in items)
        return cls(len(lines), lengths, {item["track_id"]: item["label"] for item in items})

    @property
    def longest(self) -> float:
        """The share of the frames in which the longest track is seen."""
        return max(self.lengths.values(), default=0) / max(1, self.frames)

    @property
    def mean_length(self) -> float:
        """In frames."""
        return fmean(self.lengths.values()) if self.lengths else 0.0


@dataclass(frozen=True)
class Comparison:
    """A run that saw some frames only, against one that saw them all."""

    whole: Tracks
    other: Tracks
    overlap: float
    """Mean IoU of the boxes that have the same id in the same frame."""
    kept: float
    """The share of the whole run's boxes whose id is in the same frame of the other."""
    switches: int
    """How often a track of the whole run changes its id in the other."""

    @property
    def unchanged(self) -> bool:
        """The same ids with the same labels, and none ever changes hands."""
        return self.whole.labels == self.other.labels and self.switches == 0


def compared(whole: Sequence[Line], other: Sequence[Line]) -> Comparison:
    """Compare two runs over the same frames, line by line."""
    overlaps: list[float] = []
    boxes = switches = 0
    last: dict[int, int] = {}
    for before, after in zip(whole, other, strict=True):
        found, again = _boxes(before), _boxes(after)
        boxes += len(found)
        overlaps += [overlap(found[track][1], again[track][1]) for track in found.keys() & again.keys()]
        for track, other_track in _same_things(found, again):
            switches += last.get(track, other_track) != other_track
            last[track] = other_track
    mean = fmean(overlaps) if overlaps else 0.0
    return Comparison(Tracks.of(whole), Tracks.of(other), mean, len(overlaps) / max(1, boxes), switches)


def overlap(one: Corners, two: Corners) -> float:
    """The IoU of two boxes x1, y1, x2, y2."""
    a, b = np.array(one), np.array(two)
    sides = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None)
    common = float(sides.prod())
    together = float((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod()) - common
    return common / together if together > 0 else 0.0


def _same_things(found: Boxes, again: Boxes) -> Iterator[tuple[int, int]]:
    """Pairs of ids of the two runs with one label whose boxes overlap most, each at most once."""
    pairs = [
        (overlap(corners, corners_again), one, two)
        for one, (label, corners) in found.items()
        for two, (label_again, corners_again) in again.items()
        if label == label_again
    ]
    seen: set[int] = set()
    used: set[int] = set()
    for share, one, two in sorted(pairs, reverse=True):
        if share >= _SAME_THING and one not in seen and two not in used:
            seen.add(one)
            used.add(two)
            yield one, two


def _boxes(line: Line) -> Boxes:
    return {
        item["track_id"]: (item["label"], (item["box"]["x1"], item["box"]["y1"], item["box"]["x2"], item["box"]["y2"]))
        for item in _tracked(line)
    }


def _tracked(line: Line) -> list[Any]:
    return [item for item in line.get("objects", ()) if "track_id" in item]
