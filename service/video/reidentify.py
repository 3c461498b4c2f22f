"""Who comes back: tracks lost for long are joined to their old ids by how they look.

The tracker joins what is lost for a second by where it was heading. Here each new track's picture becomes a vector, by
a model of the task embed, and is compared with the vectors of the tracks that were lost a while ago: the most alike, if
alike enough, is who it was. A track's vector is a mean over its time in which later pictures weigh more, as DeepSORT's
successors have it (Wang et al., "Towards Real-Time Multi-Object Tracking", ECCV 2020).

The model is asked for new tracks, and for each other track once in a while, never for every object of every frame.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from contract.preprocess import Pixels
from service.video.track import LISTS

Vectors = npt.NDArray[np.float32]
Appearance = Callable[[Sequence[Pixels]], Awaitable[Vectors]]
"""Crops uint8 [h, w, 3] in RGB → vectors f32 [N, D] of length 1, in their order; it is asked for one crop at least."""

_MEMORY: Final = 0.8
"""What a track's vector keeps of itself when its picture is taken again."""
_LEAST_SIDE: Final = 4
"""Pixels; what is smaller has no looks."""
_MOST_CROPS: Final = 64
"""In a frame, those of new tracks first; further new tracks are not recognised."""
_MOST_KNOWN: Final = 4096
"""Tracks remembered; of more, those lost longest ago are forgotten."""

Result = TypeVar("Result", bound=Mapping[str, Any])


class ReidentifyParameters(BaseModel):
    """What a caller may ask of re-identification."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str | None = Field(
        default=None,
        max_length=512,
        description="An embed model: ``name``, ``name@alias`` or ``name:version``; else the default.",
    )
    similarity: float = Field(
        default=0.7, gt=0, le=1, description="Least cosine of two pictures of the same thing; depends on the model."
    )
    within_s: float = Field(
        default=30.0,
        gt=0,
        le=120,
        allow_inf_nan=False,
        description="Who is gone for longer is not recognised; seconds.",
    )
    refresh_s: float = Field(
        default=1.0, gt=0, le=60, allow_inf_nan=False, description="How often a track's picture is taken; seconds."
    )


@dataclass(slots=True)
class _Known:
    """What is known of an id."""

    label: str
    seen_s: float
    vector: Vectors | None = None
    """f32 [D]; None before the first picture."""
    taken_s: float = 0.0
    """When its last picture was taken."""

    def take(self, vector: Vectors, time_s: float) -> None:
        """Take a new picture's vector f32 [D] in."""
        mixed = vector if self.vector is None else _MEMORY * self.vector + (1 - _MEMORY) * vector
        self.vector = (mixed / max(float(np.linalg.norm(mixed)), 1e-12)).astype(np.float32)
        self.taken_s = time_s


@dataclass(frozen=True, slots=True)
class _Sighting:
    """An object of this frame that has a track."""

    track: int
    label: str
    crop: Pixels | None
    """None for one too small."""


class Reidentifier:
    """Recognises the tracks of one video or stream. Its ids take the place of the tracker's, and start from 1 too."""

    def __init__(self, appearance: Appearance, parameters: ReidentifyParameters) -> None:
        self._appearance = appearance
        self._parameters = parameters
        self.reset()

    def reset(self) -> None:
        """Forget all; ids start from 1 again. Goes with the tracker's reset."""
        self._ids: dict[int, int] = {}
        """The id of each of the tracker's ids."""
        self._known: dict[int, _Known] = {}
        self._last_id = 0

    def take_up(self, lines: Iterable[Mapping[str, Any]], last_id: int) -> None:
        """Go on with the tracks of earlier lines, under their ids; new ids come after ``last_id``.

        How these looked is not in the lines: who of them was gone by then is not recognised.
        """
        self._last_id = last_id
        for line in lines:
            name = next((name for name in LISTS if name in line), None)
            for item in [] if name is None else line[name]:
                if "track_id" in item:
                    self._ids[item["track_id"]] = item["track_id"]
                    self._known[item["track_id"]] = _Known(item.get("label", ""), line["timestamp_s"])

    def forget_looks(self) -> None:
        """Pictures taken so far compare with no later ones: another model looks from now on."""
        for known in self._known.values():
            known.vector = None

    async def update(self, result: Result, pixels: Pixels, time_s: float) -> Result:
        """The tracker's result of the frame uint8 [H, W, 3] at that time, with ids that outlive a long absence.

        The result is not changed. Objects without a ``track_id`` stay as they are; no two objects have the same.
        Raises what the appearance raises; the ids are then as they were.
        """
        name = next((name for name in LISTS if name in result), None)
        items = [] if name is None else [item for item in result[name] if "track_id" in item]
        sightings = [_Sighting(item["track_id"], item.get("label", ""), _crop(pixels, item["box"])) for item in items]
        vectors = await self._vectors(sightings, time_s)
        self._forget(time_s)
        self._name(sightings, vectors, time_s)
        if name is None or not items:
            return result
        renamed = [
            {**item, "track_id": self._ids[item["track_id"]]} if "track_id" in item else item for item in result[name]
        ]
        return cast("Result", {**result, name: renamed})

    def rename(self, result: Result, time_s: float) -> Result:
        """The tracker's result of a frame that nobody looks at: those that are known by now have their ids."""
        name = next((name for name in LISTS if name in result), None)
        if name is None:
            return result
        renamed = []
        for item in result[name]:
            kept = {key: value for key, value in item.items() if key != "track_id"}
            if (number := self._ids.get(item.get("track_id", 0))) is not None:
                self._known[number].seen_s = time_s
                kept["track_id"] = number
            renamed.append(kept)
        return cast("Result", {**result, name: renamed})

    async def _vectors(self, sightings: list[_Sighting], time_s: float) -> dict[int, Vectors]:
        """Vectors f32 [D] of those tracks whose picture is due, new ones first."""
        due = [item for item in sightings if item.crop is not None and self._due(item.track, time_s)]
        due.sort(key=lambda item: item.track in self._ids)
        due = due[:_MOST_CROPS]
        crops = [item.crop for item in due if item.crop is not None]
        if not crops:
            return {}
        return dict(zip((item.track for item in due), await self._appearance(crops), strict=True))

    def _due(self, track: int, time_s: float) -> bool:
        number = self._ids.get(track)
        known = None if number is None else self._known.get(number)
        return known is None or known.vector is None or time_s - known.taken_s >= self._parameters.refresh_s

    def _name(self, sightings: list[_Sighting], vectors: dict[int, Vectors], time_s: float) -> None:
        """Give each track its id: its own, that of one who is back, or a new one; note what was seen."""
        taken: set[int] = set()
        fresh = []
        for item in sightings:
            if item.track in self._ids:
                taken.add(self._ids[item.track])
            else:
                fresh.append(item)
        back = self._recognised(fresh, vectors, taken)
        # Should the track that had the id before be seen once more, it is another's by then.
        self._ids = {track: number for track, number in self._ids.items() if number not in back.values()} | back
        for item in fresh:
            if item.track not in self._ids:
                self._last_id += 1
                self._ids[item.track] = self._last_id
        for item in sightings:
            known = self._known.setdefault(self._ids[item.track], _Known(item.label, time_s))
            known.seen_s = time_s
            if item.track in vectors:
                known.take(vectors[item.track], time_s)

    def _recognised(self, fresh: list[_Sighting], vectors: dict[int, Vectors], taken: set[int]) -> dict[int, int]:
        """The ids of those new tracks that look like one who is gone; the most alike pairs over all."""
        seen = [item for item in fresh if item.track in vectors]
        gone = [number for number, known in self._known.items() if number not in taken and known.vector is not None]
        if not seen or not gone:
            return {}
        old = np.stack([cast("Vectors", self._known[number].vector) for number in gone])
        alike = np.stack([vectors[item.track] for item in seen]) @ old.T
        same_label = np.array([[item.label == self._known[number].label for number in gone] for item in seen])
        alike = np.where(same_label & (alike >= self._parameters.similarity), alike, 0)
        # SciPy takes 40 MB: it is imported when first wanted, which is at the tracker's beginning.
        from scipy.optimize import linear_sum_assignment  # noqa: PLC0415

        rows, columns = linear_sum_assignment(alike, maximize=True)
        return {
            seen[row].track: gone[column] for row, column in zip(rows, columns, strict=True) if alike[row, column] > 0
        }

    def _forget(self, time_s: float) -> None:
        """Forget who is gone for too long."""
        if len(self._known) > _MOST_KNOWN:
            newest = sorted(self._known, key=lambda number: self._known[number].seen_s)[-_MOST_KNOWN:]
            self._known = {number: self._known[number] for number in newest}
        within = self._parameters.within_s
        self._known = {number: known for number, known in self._known.items() if time_s - known.seen_s <= within}
        self._ids = {track: number for track, number in self._ids.items() if number in self._known}


def _crop(pixels: Pixels, box: Mapping[str, float]) -> Pixels | None:
    """The box's part of the frame, no copy; None for one too small."""
    height, width = pixels.shape[:2]
    left, right = (min(max(round(box[side]), 0), width) for side in ("x1", "x2"))
    top, bottom = (min(max(round(box[side]), 0), height) for side in ("y1", "y2"))
    return pixels[top:bottom, left:right] if min(right - left, bottom - top) >= _LEAST_SIDE else None
