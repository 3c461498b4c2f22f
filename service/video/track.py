"""Which object of a frame is which of the frames before: ids that stay with objects.

The method is ByteTrack's (Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box", ECCV
2022): every track is moved on to the frame's time; sure detections are paired with tracks by overlap; then unsure
detections, which other methods throw away, are paired with the tracks that are left over, for what half hides behind
another thing is detected with a low score. Only sure detections start a track.

How the scores go together: a caller asks for objects from a score threshold on. That threshold is ByteTrack's upper
one: from it on an object is sure. The model is asked for objects from `detection_threshold` on, which is lower; those
between the two only ever carry on a track that is there, and are left out of the answer otherwise. An answer thus holds
every object that it would hold without tracking, and by the side of those the unsure ones that are known from before.
``keep_unsure=False`` leaves these out too; they keep the track alive all the same.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, cast

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from contract.tasks.definition import Probability
from service.video.association import Classes, Indices, pairs
from service.video.motion import SPEED, Numbers, corners_of, correct, predict, started

LISTS: Final = ("objects", "segments", "people")
"""The lists of results whose items have a box and a score."""
_FARTHEST_S: Final = 1.0
"""A lost track is moved on for this long at most: a guess farther ahead is worse than none."""
_UNSURE_OVERLAP: Final = 0.5
_NEW_OVERLAP: Final = 0.3
_SLACK_S: Final = 1e-6
"""Times are sums of fractions: a hair beyond a limit is not beyond it."""

Result = TypeVar("Result", bound=Mapping[str, Any])


class TrackParameters(BaseModel):
    """What a caller may ask of tracking."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lost_s: float = Field(
        default=1.0, ge=0, le=60, allow_inf_nan=False, description="A track unseen for longer is over; seconds."
    )
    low_threshold: Probability = Field(
        default=0.1, description="Objects from this score on may carry on a track, below the score threshold."
    )
    keep_unsure: bool = Field(
        default=True, description="Answer objects below the score threshold that carry on a track."
    )
    by_label: bool = Field(default=True, description="A track keeps its label; false: boxes alone decide.")
    least_overlap: float = Field(
        default=0.1, gt=0, lt=1, description="Least IoU of an object and the place where its track is expected."
    )
    confirm_after: int = Field(
        default=2, ge=1, le=30, description="A track has an id from this many frames in a row on; 1: at once."
    )

    def detection_threshold(self, score_threshold: float) -> float:
        """The score from which on the model's objects are wanted, where answers are wanted from the given one on."""
        return min(score_threshold, self.low_threshold)


class NotTrackable(ValueError):
    """A result without boxes that have scores, e.g. of semantic segmentation."""


class TimeWentBack(ValueError):
    """A frame's time is before that of the last one, or no number: reset the tracker, or put the frames in order."""


@dataclass(slots=True)
class _Tracks:
    """The tracks that are alive, the oldest first."""

    states: Numbers = field(default_factory=lambda: np.empty((0, 5, 4)))
    """f64 [N, 5, 4] as of `service.video.motion`."""
    classes: Classes = field(default_factory=lambda: np.empty(0, np.int64))
    seen: Numbers = field(default_factory=lambda: np.empty(0))
    """f64 [N]: when each was seen last."""
    hits: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """i64 [N]: frames in which it was seen."""
    missed: npt.NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))
    """bool [N]: it was not seen in the last frame."""
    ids: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """i64 [N]: 0 until confirmed."""

    def __len__(self) -> int:
        return len(self.ids)

    def keep(self, which: npt.NDArray[np.bool_]) -> None:
        """Forget all others."""
        if not which.all():
            self.states, self.classes, self.seen = self.states[which], self.classes[which], self.seen[which]
            self.hits, self.missed, self.ids = self.hits[which], self.missed[which], self.ids[which]

    def add(self, boxes: Numbers, classes: Classes, time_s: float) -> Indices:
        """Start tracks at boxes f64 [K, 4]; their places [K]."""
        count = len(boxes)
        self.states = np.concatenate([self.states, started(boxes)])
        self.classes = np.concatenate([self.classes, classes])
        self.seen = np.concatenate([self.seen, np.full(count, time_s)])
        self.hits = np.concatenate([self.hits, np.ones(count, np.int64)])
        self.missed = np.concatenate([self.missed, np.zeros(count, np.bool_)])
        self.ids = np.concatenate([self.ids, np.zeros(count, np.int64)])
        return np.arange(len(self) - count, len(self))


@dataclass(frozen=True, slots=True)
class _Detections:
    """The boxes of a frame, in an order that does not depend on the order of the result's list."""

    boxes: Numbers
    """f64 [M, 4]: x1, y1, x2, y2 in pixels."""
    scores: Numbers
    classes: Classes
    places: Indices
    """i [M]: where each is in the result's list."""

    @classmethod
    def of(cls, items: list[Any], *, by_label: bool) -> "_Detections":
        """Those of a result's list. Raises NotTrackable."""
        try:
            corners = [(box["x1"], box["y1"], box["x2"], box["y2"]) for box in (item["box"] for item in items)]
            scores = np.array([item["score"] for item in items], np.float64)
        except KeyError as missing:
            raise NotTrackable(f"what has no {missing.args[0]} cannot be tracked") from None
        boxes = np.array(corners, np.float64).reshape(-1, 4)
        classes = np.array([item.get("index", 0) if by_label else 0 for item in items], np.int64)
        places = np.lexsort((*boxes.T, classes, -scores))
        return cls(boxes[places], scores[places], classes[places], places)


class Tracker:
    """The tracks of one video or stream; it shares nothing with another. Not for use by two threads at a time."""

    def __init__(self, parameters: TrackParameters, score_threshold: float) -> None:
        """Objects are wanted from ``score_threshold`` on; see this module's description."""
        self._parameters = parameters
        self._score_threshold = score_threshold
        self.reset()

    def reset(self) -> None:
        """Forget all; ids start from 1 again."""
        self._tracks = _Tracks()
        self._time_s: float | None = None
        self._last_id = 0

    def __len__(self) -> int:
        """Tracks that are alive, with those not confirmed yet and those lost a short time ago."""
        return len(self._tracks)

    def update(self, result: Result, time_s: float) -> Result:
        """The result of the frame at that time, with a ``track_id`` on every object whose track is confirmed.

        Works on each result with boxes that have scores: of detect, instance segmentation and keypoints. It is not
        changed; the answer is a new one whose list keeps its order, less the objects that are neither sure nor known.
        Ids start from 1 and rise in the order in which tracks begin, the surest of a frame first. Frames may have any
        distance in time. Raises NotTrackable and TimeWentBack; the tracker is then as it was.
        """
        name = next((name for name in LISTS if name in result), None)
        if name is None:
            raise NotTrackable("a result without objects, segments or people cannot be tracked")
        items = result[name]
        found = _Detections.of(items, by_label=self._parameters.by_label)
        at_once = self._time_s is None or self._parameters.confirm_after == 1
        self._move_to(time_s)
        ids = self._ids(self._associated(found, time_s), at_once=at_once)
        keep = found.scores >= self._score_threshold
        if self._parameters.keep_unsure:
            keep |= ids > 0
        id_at = dict(zip(found.places[keep].tolist(), ids[keep].tolist(), strict=True))
        listed = [
            {**items[place], "track_id": id_at[place]} if id_at[place] else items[place] for place in sorted(id_at)
        ]
        return cast("Result", {**result, name: listed})

    def _move_to(self, time_s: float) -> None:
        """Move the tracks on to the time; forget those lost for too long."""
        last = time_s if self._time_s is None else self._time_s
        if not math.isfinite(time_s) or time_s < last:
            raise TimeWentBack(f"a frame at {time_s} s cannot follow one at {last} s")
        tracks = self._tracks
        # Whatever the frame rate, a track seen in the last frame is looked for in this one.
        tracks.keep(~tracks.missed | (time_s - tracks.seen <= self._parameters.lost_s + _SLACK_S))
        predict(tracks.states, np.clip(_FARTHEST_S - (last - tracks.seen), 0, time_s - last))
        self._time_s = time_s

    def _associated(self, found: _Detections, time_s: float) -> Indices:
        """The track's place [M] of each detection, or -1, after the tracks have taken their detections in."""
        tracks = self._tracks
        sure = found.scores >= self._score_threshold
        tracks_of = self._paired(found, sure)
        paired = np.flatnonzero(tracks_of >= 0)
        rows = tracks_of[paired]
        tracks.missed[:] = True
        tracks.missed[rows] = False
        tracks.seen[rows] = time_s
        tracks.hits[rows] += 1
        tracks.states[rows] = correct(tracks.states[rows], found.boxes[paired])
        # What half hides shrinks; it would vanish while it is hidden.
        tracks.states[tracks.missed, SPEED, 2:] = 0
        fresh = np.flatnonzero(sure & (tracks_of < 0))
        tracks_of[fresh] = tracks.add(found.boxes[fresh], found.classes[fresh], time_s)
        return tracks_of

    def _paired(self, found: _Detections, sure: npt.NDArray[np.bool_]) -> Indices:
        """The track's place [M] of each detection, or -1."""
        tracks, least = self._tracks, self._parameters.least_overlap
        expected = corners_of(tracks.states)
        tracks_of = np.full(len(found.boxes), -1, np.intp)
        known = tracks.ids > 0
        unsure = ~sure & (found.scores >= self._parameters.low_threshold)
        # ByteTrack's order and, for the second and third, its overlaps: unsure boxes are often of something else, and
        # for tracks of a frame or two nothing is known of their motion. ByteTrack gives unsure boxes to tracks of the
        # last frame only; with those lost a moment ago, tracks break less often.
        for wanted, allowed, overlap in (
            (sure, known, least),
            (unsure, known, max(least, _UNSURE_OVERLAP)),
            (sure, ~known, max(least, _NEW_OVERLAP)),
        ):
            free = allowed.copy()
            free[tracks_of[tracks_of >= 0]] = False
            rows, columns = np.flatnonzero(free), np.flatnonzero(wanted & (tracks_of < 0))
            classes = (tracks.classes[rows], found.classes[columns])
            row, column = pairs(expected[rows], found.boxes[columns], classes, overlap)
            tracks_of[columns[column]] = rows[row]
        return tracks_of

    def _ids(self, tracks_of: Indices, *, at_once: bool) -> npt.NDArray[np.int64]:
        """The id i64 [M] of each detection's track, 0 for none; forgets tracks that failed before they had one."""
        tracks = self._tracks
        least = 1 if at_once else self._parameters.confirm_after
        paired = tracks_of >= 0
        ripe = tracks_of[paired]
        ripe = ripe[(tracks.ids[ripe] == 0) & (tracks.hits[ripe] >= least)]
        tracks.ids[ripe] = np.arange(self._last_id + 1, self._last_id + 1 + len(ripe))
        self._last_id += len(ripe)
        ids = np.zeros(len(tracks_of), np.int64)
        ids[paired] = tracks.ids[tracks_of[paired]]
        tracks.keep((tracks.ids > 0) | ~tracks.missed)
        return ids
