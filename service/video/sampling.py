"""Which frames of a video are processed, which carry the result of an earlier one, and which are dropped."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.video.frame import Thumbnail
from service.video.similarity import RegionHistograms, histogram_distance, largest_change, region_histograms

EVENT_THRESHOLD = 0.06
SCENE_THRESHOLD = 0.4
_SLOT_TOLERANCE_S = 1e-3
"""Containers that count in milliseconds round the times of their frames."""


class Decision(StrEnum):
    """What happens with a frame."""

    PROCESS = "process"
    """The model sees it; it has a result."""
    CARRY = "carry"
    """Hardly different from the last one processed: it has that one's result, marked as carried."""
    DROP = "drop"
    """It has no result."""


class FrameFacts(Protocol):
    """What a decision is made from; a `Frame` has it all, and makes its thumbnail only when asked."""

    @property
    def time_s(self) -> float:
        """Presentation time in seconds; it grows from frame to frame."""

    @property
    def key(self) -> bool:
        """Whether it is decoded without others."""

    @property
    def thumbnail(self) -> Thumbnail:
        """Its brightness in small."""


class Sampler(Protocol):
    """Decides on each frame of one video, in order."""

    def decide(self, frame: FrameFacts) -> Decision:
        """What happens with the next frame."""


class EveryFrame:
    """Each frame is processed."""

    def decide(self, frame: FrameFacts) -> Decision:  # noqa: ARG002  # the seam's signature
        """PROCESS, always."""
        return Decision.PROCESS


class KeyFrames:
    """The frames that are stored whole, usually one in some seconds, and the first; the others are dropped."""

    def __init__(self) -> None:
        self._begun = False

    def decide(self, frame: FrameFacts) -> Decision:
        """PROCESS or DROP."""
        wanted = frame.key or not self._begun
        self._begun = True
        return Decision.PROCESS if wanted else Decision.DROP


@dataclass(slots=True)
class FixedRate:
    """``rate`` frames a second by presentation time: the first frame of each 1/rate of a second.

    The slots are counted from time 0, so nothing drifts, and two processed frames are never closer than 1/rate less
    the pause before the earlier one. Where frames are rarer than ``rate``, each is processed.
    """

    rate: float
    _slot: int | None = None

    def decide(self, frame: FrameFacts) -> Decision:
        """PROCESS or DROP."""
        slot = math.floor((frame.time_s + min(_SLOT_TOLERANCE_S, 0.1 / self.rate)) * self.rate)
        if slot == self._slot:
            return Decision.DROP
        self._slot = slot
        return Decision.PROCESS


@dataclass(slots=True)
class SceneChanges:
    """The first frame, and each whose histograms of brightness are far from the frame's before it."""

    threshold: float = SCENE_THRESHOLD
    _before: RegionHistograms | None = None

    def decide(self, frame: FrameFacts) -> Decision:
        """PROCESS or DROP."""
        before, self._before = self._before, region_histograms(frame.thumbnail)
        same = before is not None and histogram_distance(before, self._before) < self.threshold
        return Decision.DROP if same else Decision.PROCESS


@dataclass(slots=True)
class Events:
    """Each frame that differs from the last one processed; the others carry its result.

    The idea of event-driven inference (evMLP: arXiv 2507.01927): what has not changed need not be computed again. The
    comparison is with the last *processed* frame, so slow changes add up until they count. After ``max_gap_s``
    seconds a frame is processed in any case.
    """

    threshold: float = EVENT_THRESHOLD
    max_gap_s: float = 1.0
    _seen: Thumbnail | None = None
    _seen_s: float = 0.0

    def decide(self, frame: FrameFacts) -> Decision:
        """PROCESS or CARRY."""
        seen, now = self._seen, frame.thumbnail
        due = frame.time_s - self._seen_s >= self.max_gap_s
        if seen is not None and not due and largest_change(seen, now) < self.threshold:
            return Decision.CARRY
        self._seen, self._seen_s = now, frame.time_s
        return Decision.PROCESS


@dataclass(slots=True)
class Tally:
    """Counts decisions: what sampling saves."""

    processed: int = 0
    carried: int = 0
    dropped: int = 0

    def count(self, decision: Decision) -> Decision:
        """Count one, and hand it on."""
        match decision:
            case Decision.PROCESS:
                self.processed += 1
            case Decision.CARRY:
                self.carried += 1
            case Decision.DROP:
                self.dropped += 1
        return decision

    @property
    def saved(self) -> float:
        """The share of frames that no model saw, 0…1."""
        total = self.processed + self.carried + self.dropped
        return (self.carried + self.dropped) / total if total else 0.0


class SampleMode(StrEnum):
    """The ways to choose frames."""

    EVERY = "every"
    KEY = "key"
    SCENE = "scene"
    EVENT = "event"


class SamplingParameters(BaseModel):
    """What a caller may ask about the frames that are processed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sample: SampleMode = Field(
        default=SampleMode.EVERY,
        description="Which frames are processed: every one, key frames only, the first of each scene, or (event) those "
        "that differ from the last one processed, whose result the others carry.",
    )
    fps: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] | None = Field(
        default=None, description="At most this many frames a second, by presentation time; with sample=every."
    )
    threshold: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = Field(
        default=None,
        description="How much a frame must differ, from 0 to 1; with sample=scene "
        f"(default {SCENE_THRESHOLD}) or sample=event (default {EVENT_THRESHOLD}).",
    )
    max_gap_s: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)] | None = Field(
        default=None,
        description="At most this many seconds between two processed frames; with sample=event (default 1).",
    )

    @model_validator(mode="after")
    def _only_what_applies(self) -> Self:
        for name, modes in _APPLIES.items():
            if getattr(self, name) is not None and self.sample not in modes:
                raise ValueError(f"{name} goes with {' or '.join(f'sample={mode}' for mode in modes)}")
        return self

    def sampler(self) -> Sampler:
        """A new sampler for one video."""
        match self.sample:
            case SampleMode.EVERY:
                return EveryFrame() if self.fps is None else FixedRate(self.fps)
            case SampleMode.KEY:
                return KeyFrames()
            case SampleMode.SCENE:
                return SceneChanges(self.threshold or SCENE_THRESHOLD)
            case SampleMode.EVENT:
                return Events(self.threshold or EVENT_THRESHOLD, self.max_gap_s or 1.0)


_APPLIES = {
    "fps": (SampleMode.EVERY,),
    "threshold": (SampleMode.SCENE, SampleMode.EVENT),
    "max_gap_s": (SampleMode.EVENT,),
}
