"""What crosses a line or enters and leaves a zone, counted by the tracks' ids.

Where an object is stands for one point of its box. A track is on one side of a line, or inside or outside of a zone,
only when that point is farther from the boundary than a part of the box's size; nearer than that it is where it was
last. So a box that shakes on the boundary is counted once, and one that turns back on it is not counted. A line has two
ends: the straight way from where a track last was on one side to where it first is on the other must pass between them.

All counts are of events, so each is found in the lines of some frame; nothing is counted for a track without an id.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, NamedTuple, Self

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator
from typing_extensions import TypedDict

from contract.tasks.definition import Box, ImageSize
from service.video.track import LISTS

_FORGET_S: Final = 120.0
"""A track unseen for longer is forgotten; longer than any tracker keeps an id for."""
_LEAST_AREA: Final = 1e-9

Coordinate = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Point = tuple[Coordinate, Coordinate]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Floats = npt.NDArray[np.float32]


class Unit(StrEnum):
    """What points are given in."""

    FRACTIONS = "fractions"
    PIXELS = "pixels"


class Anchor(StrEnum):
    """Which point of its box stands for an object: the middle, or the middle of the lower side, where it stands."""

    MIDDLE = "middle"
    FOOT = "foot"


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Line(_Shape):
    """A line to cross."""

    name: Name
    points: tuple[Point, Point] = Field(description="[x, y] of its start and its end.")

    @model_validator(mode="after")
    def _has_length(self) -> Self:
        if self.points[0] == self.points[1]:
            raise ValueError("a line needs two points that differ")
        return self


class Zone(_Shape):
    """A polygon to enter and to leave."""

    name: Name
    points: tuple[Point, ...] = Field(min_length=3, max_length=100, description="[x, y] of its corners in order.")

    @model_validator(mode="after")
    def _has_area(self) -> Self:
        if abs(_area(np.array(self.points))) < _LEAST_AREA:
            raise ValueError("a zone needs an area")
        return self


class CountParameters(_Shape):
    """What to count."""

    lines: tuple[Line, ...] = Field(default=(), max_length=32)
    zones: tuple[Zone, ...] = Field(default=(), max_length=32)
    unit: Unit = Field(
        default=Unit.FRACTIONS, description="fractions: 0…1 of the image's width and height; pixels: of the image."
    )
    anchor: Anchor = Field(default=Anchor.FOOT, description="The point of a box that stands for the object.")
    margin: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="How far beyond a boundary counts as beyond it, as a part of the box's size.",
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        shapes: list[Line | Zone] = [*self.lines, *self.zones]
        if len({shape.name for shape in shapes}) < len(shapes):
            raise ValueError("lines and zones need names that differ")
        points = [point for shape in shapes for point in shape.points]
        if self.unit is Unit.FRACTIONS and any(not 0 <= value <= 1 for point in points for value in point):
            raise ValueError("points in fractions lie between 0 and 1; for others set the unit to pixels")
        return self


class Crossing(TypedDict):
    """A track crossed a line; left and right as seen from its start, looking to its end, in the image as shown."""

    line: str
    direction: Literal["to_right", "to_left"]
    track_id: int
    label: str


class Passage(TypedDict):
    """A track entered or left a zone."""

    zone: str
    event: Literal["entry", "exit"]
    track_id: int
    label: str


class FrameCounts(TypedDict):
    """What happened in a frame, and how many objects with an id are in each zone now."""

    crossings: list[Crossing]
    passages: list[Passage]
    inside: dict[str, int]


class LineTotals(TypedDict):
    """Crossings of a line so far, by label."""

    to_right: dict[str, int]
    to_left: dict[str, int]


class ZoneTotals(TypedDict):
    """Entries and exits of a zone so far, by label. Tracks that begin inside are in ``began_inside``, no entries."""

    entries: dict[str, int]
    exits: dict[str, int]
    began_inside: dict[str, int]


class Totals(TypedDict):
    """All counts so far, by the names of the lines and zones."""

    lines: dict[str, LineTotals]
    zones: dict[str, ZoneTotals]


class _Object(NamedTuple):
    """An object with an id."""

    track_id: int
    label: str
    point: tuple[float, float]
    margin: float


class _Side(NamedTuple):
    """Where a track was last beyond the margin."""

    beyond: bool
    """On the right of a line; inside of a zone."""
    point: tuple[float, float]
    seen_s: float


@dataclass(slots=True)
class _Boundary:
    """A line or a zone in pixels, and on which side of it each track is."""

    name: str
    points: Floats
    """f32 [K, 2]."""
    widest_margin: float = math.inf
    sides: dict[int, _Side] = field(default_factory=dict)
    totals: dict[str, Counter[str]] = field(default_factory=dict)

    def count(self, event: str, label: str) -> None:
        """One more."""
        self.totals[event][label] += 1

    def moved(self, item: _Object, distance: float, time_s: float) -> tuple[_Side | None, _Side | None]:
        """Where the track was and where it is, given its signed distance; None for never settled, or not yet."""
        before = self.sides.get(item.track_id)
        if abs(distance) <= min(item.margin, self.widest_margin):
            if before is not None:
                self.sides[item.track_id] = before._replace(seen_s=time_s)
            return before, before
        now = self.sides[item.track_id] = _Side(distance > 0, item.point, time_s)
        return before, now

    def forget(self, before_s: float) -> None:
        """Forget tracks not seen since."""
        for track_id in [track_id for track_id, side in self.sides.items() if side.seen_s < before_s]:
            del self.sides[track_id]


class Counting:
    """The counts of one video or stream."""

    def __init__(self, parameters: CountParameters) -> None:
        self._parameters = parameters
        self._image: ImageSize | None = None
        self._forgot_s = 0.0
        no_points = np.empty((0, 2), np.float32)
        self._lines = [
            _Boundary(line.name, no_points, totals={"to_right": Counter(), "to_left": Counter()})
            for line in parameters.lines
        ]
        self._zones = [
            _Boundary(
                zone.name, no_points, totals={"entries": Counter(), "exits": Counter(), "began_inside": Counter()}
            )
            for zone in parameters.zones
        ]

    def update(self, result: Mapping[str, Any], time_s: float) -> FrameCounts:
        """What happened in the frame of that tracked result; times must not fall.

        Where the image's size changes on the way, points in fractions follow it.
        """
        self._fit(result["image"])
        items = [self._object(item) for name in LISTS for item in result.get(name, ()) if "track_id" in item]
        crossings = [
            crossing
            for line in self._lines
            for item in items
            if (crossing := _crossing(line, item, time_s)) is not None
        ]
        passages = [
            passage for zone in self._zones for item in items if (passage := _passage(zone, item, time_s)) is not None
        ]
        present = [item.track_id for item in items]
        inside = {
            zone.name: sum(side.beyond for track_id in present if (side := zone.sides.get(track_id)))
            for zone in self._zones
        }
        self._forget(time_s)
        return {"crossings": crossings, "passages": passages, "inside": inside}

    def totals(self) -> Totals:
        """All counts so far."""
        lines, zones = (
            {shape.name: {event: dict(labels) for event, labels in shape.totals.items()} for shape in shapes}
            for shapes in (self._lines, self._zones)
        )
        return {"lines": lines, "zones": zones}  # type: ignore[typeddict-item]

    def _fit(self, image: ImageSize) -> None:
        """Put the points into pixels of the image."""
        if image == self._image:
            return
        self._image = image
        fractions = self._parameters.unit is Unit.FRACTIONS
        size = (image["width"], image["height"]) if fractions else (1, 1)
        shapes: list[Line | Zone] = [*self._parameters.lines, *self._parameters.zones]
        for boundary, shape in zip([*self._lines, *self._zones], shapes, strict=True):
            boundary.points = (np.array(shape.points) * size).astype(np.float32)
        for zone in self._zones:
            zone.widest_margin = _widest_margin(zone.points)

    def _object(self, item: Mapping[str, Any]) -> _Object:
        box: Box = item["box"]
        width, height = box["x2"] - box["x1"], box["y2"] - box["y1"]
        y = box["y2"] if self._parameters.anchor is Anchor.FOOT else box["y1"] + height / 2
        margin = self._parameters.margin * (width + height) / 2
        return _Object(item["track_id"], item.get("label", "person"), (box["x1"] + width / 2, y), margin)

    def _forget(self, time_s: float) -> None:
        """Forget the tracks that are over, now and then."""
        if time_s - self._forgot_s > _FORGET_S:
            for boundary in (*self._lines, *self._zones):
                boundary.forget(time_s - _FORGET_S)
            self._forgot_s = time_s


def _crossing(line: _Boundary, item: _Object, time_s: float) -> Crossing | None:
    """The crossing of the line by the object, if there is one."""
    start, end = line.points.astype(np.float64)
    along, off = end - start, np.array(item.point) - start
    # The image's y grows downwards: what is positive lies on the right of one who walks along the line.
    distance = float(along[0] * off[1] - along[1] * off[0]) / float(np.hypot(*along))
    before, now = line.moved(item, distance, time_s)
    if (
        before is None
        or now is None
        or before.beyond == now.beyond
        or not _passes(before.point, now.point, line.points)
    ):
        return None
    direction: Literal["to_right", "to_left"] = "to_right" if now.beyond else "to_left"
    line.count(direction, item.label)
    return {"line": line.name, "direction": direction, "track_id": item.track_id, "label": item.label}


def _passes(here: tuple[float, float], there: tuple[float, float], line: Floats) -> bool:
    """Whether the way between two points on either side of a line passes between its ends."""
    start, end = line.astype(np.float64)
    way, along, off = np.subtract(there, here), end - start, start - here
    where = (off[0] * way[1] - off[1] * way[0]) / (way[0] * along[1] - way[1] * along[0])
    return bool(0 <= where <= 1)


def _passage(zone: _Boundary, item: _Object, time_s: float) -> Passage | None:
    """The object's entry into the zone or its exit, if there is one."""
    distance = cv2.pointPolygonTest(zone.points, item.point, measureDist=True)
    before, now = zone.moved(item, distance, time_s)
    if now is None or (before is None and not now.beyond):
        return None
    if before is None:
        zone.count("began_inside", item.label)
        return None
    if before.beyond == now.beyond:
        return None
    event: Literal["entry", "exit"] = "entry" if now.beyond else "exit"
    zone.count("entries" if now.beyond else "exits", item.label)
    return {"zone": zone.name, "event": event, "track_id": item.track_id, "label": item.label}


def _widest_margin(points: Floats) -> float:
    """A margin that leaves room within a polygon f32 [K, 2], however large an object is.

    A circle of the radius area / perimeter fits into every convex polygon; half of that is taken.
    """
    corners = points.astype(np.float64)
    perimeter = float(np.hypot(*(corners - np.roll(corners, -1, axis=0)).T).sum())
    return abs(_area(corners)) / perimeter / 2


def _area(points: npt.NDArray[np.float64]) -> float:
    """Signed area of a polygon f64 [K, 2]."""
    x, y = points.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
