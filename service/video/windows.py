"""Which frames of a video make up the clips that a model sees: windows that slide along it, by presentation time.

A window begins with the first frame of each slot of ``step_s`` seconds, slots being counted from time 0, as ``fps``
counts them; it covers ``window_s`` seconds from there. For a model that sees T frames it is cut into T equal parts, and
each part gives its first frame: that is how clips are drawn in the papers (VideoMAE, arXiv 2203.12602: every fourth
frame, 16 times), for any frame rate. Where a part has none, the next frame within the window stands for it, and where
there is none either, the one before: frames repeat where the video has fewer than T.

Of the windows that reach beyond the video's end, the first is kept if each of its parts has begun; the others are left
out. Where there is none such, a last one is moved back so that it ends with the video: `Windows.last`. A video that is
shorter than a window is one window of its own length, by the same rule.
"""

import math
from dataclasses import dataclass, field
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field

from service.video.sampling import Decision, FrameFacts

WINDOW_S: Final = 2.4
"""Between 64 frames at 30 and at 25 a second: what VideoMAE (16 frames, every fourth) and ViViT (32, every second) were
trained on with Kinetics."""
_TOLERANCE_S: Final = 1e-3
"""Containers that count in milliseconds round the times of their frames."""
_USUAL_STEP_S: Final = 0.04
_LONGEST_STEP_S: Final = 1.0


class ClipParameters(BaseModel):
    """What a caller may ask of windows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_s: float = Field(
        default=WINDOW_S, ge=0.1, le=60, allow_inf_nan=False, description="Seconds that a window covers."
    )
    overlap: float = Field(
        default=0.5,
        ge=0,
        le=0.9,
        allow_inf_nan=False,
        description="The part of a window that the next one covers again, from 0 on; time and memory grow with it.",
    )

    @property
    def step_s(self) -> float:
        """Seconds from the beginning of a window to that of the next."""
        return self.window_s * (1 - self.overlap)


@dataclass(frozen=True, slots=True)
class Window:
    """A window of a video: its frames' numbers, as many as the model sees, never falling."""

    frames: tuple[int, ...]
    start_s: float
    """Presentation time of the first frame."""
    end_s: float

    @property
    def first(self) -> int:
        """The frame with which it begins."""
        return self.frames[0]


@dataclass(slots=True)
class _Open:
    """A window that has begun and not ended."""

    start_s: float
    end_s: float
    size: int
    frames: list[int] = field(default_factory=list)

    def take(self, index: int, time_s: float) -> bool:
        """Whether a frame is the first in one of its parts, or stands for those before that have none."""
        span_s, taken = self.end_s - self.start_s, len(self.frames)
        tolerance_s = min(_TOLERANCE_S, span_s / self.size / 10)
        while not self.full and time_s >= self.start_s + len(self.frames) * span_s / self.size - tolerance_s:
            self.frames.append(index)
        return len(self.frames) > taken

    @property
    def full(self) -> bool:
        """Each part has its frame."""
        return len(self.frames) == self.size

    def closed(self, end_s: float) -> Window:
        """The window, which ends there."""
        missing = self.size - len(self.frames)
        return Window((*self.frames, *[self.frames[-1]] * missing), self.start_s, min(self.end_s, end_s))


class Windows:
    """Puts the frames of one video into windows, in order.

    What comes out is the same if frames that no window takes are left out.
    """

    def __init__(
        self, size: int, window_s: float, step_s: float, *, from_s: float = -math.inf, until_s: float = math.inf
    ) -> None:
        """Windows of ``size`` frames, none of which begins before ``from_s`` or reaches beyond ``until_s``."""
        self._size, self._window_s, self._step_s = size, window_s, step_s
        self._from_s, self._until_s = from_s, until_s
        self._tolerance_s = min(_TOLERANCE_S, window_s / 100)
        self._slot: int | None = None
        self._open: list[_Open] = []
        self._closed: list[Window] = []

    @classmethod
    def sliding(cls, size: int, parameters: ClipParameters) -> Self:
        """Those of a video, as a caller wants them."""
        return cls(size, parameters.window_s, parameters.step_s)

    @classmethod
    def last(cls, size: int, parameters: ClipParameters, end_s: float) -> Self:
        """The one that ends with the video, which ends there; ``finish`` gives it."""
        return cls(size, parameters.window_s, math.inf, from_s=end_s - parameters.window_s, until_s=end_s)

    @property
    def oldest(self) -> int | None:
        """The first frame of those that windows under way may have taken."""
        return self._open[0].frames[0] if self._open else None

    def add(self, index: int, time_s: float) -> bool:
        """Add a frame; numbers and times rise. Whether any window takes it."""
        self.passed(time_s)
        if time_s < self._from_s - self._tolerance_s or time_s >= self._until_s:
            return False
        slot = math.floor((time_s + self._tolerance_s) / self._step_s)
        if slot != self._slot:
            self._slot = slot
            self._open.append(_Open(time_s, min(time_s + self._window_s, self._until_s), self._size))
        taken = [window.take(index, time_s) for window in self._open]
        return any(taken)

    def passed(self, time_s: float) -> None:
        """Nothing before this time will be added any more."""
        while self._open and time_s >= self._open[0].end_s - self._tolerance_s:
            self._closed.append(self._open.pop(0).closed(math.inf))

    def finish(self, end_s: float) -> bool:
        """The video has ended, there; whether each of its frames is in a window, else `last` is to be looked for."""
        oldest = self._open[0] if self._open else None
        self._open.clear()
        if oldest is None:
            return True
        if oldest.full or oldest.end_s <= end_s + self._tolerance_s:
            self._closed.append(oldest.closed(end_s))
            return True
        return False

    def closed(self) -> list[Window]:
        """Those that have ended since this was asked last."""
        closed, self._closed = self._closed, []
        return closed


class WindowSampler:
    """A `Sampler` that wants the frames which windows take, and remembers when the video ended."""

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._last_s: float | None = None
        self._step_s = _USUAL_STEP_S

    @property
    def end_s(self) -> float:
        """When the last frame seen so far is no longer shown: as long as the one before was, up to a second."""
        return 0.0 if self._last_s is None else self._last_s + self._step_s

    def decide(self, frame: FrameFacts) -> Decision:
        """PROCESS or DROP."""
        if self._last_s is not None:
            self._step_s = min(frame.time_s - self._last_s, _LONGEST_STEP_S)
        self._last_s = frame.time_s
        taken = self._windows.add(0, frame.time_s)
        self._windows.closed()
        return Decision.PROCESS if taken else Decision.DROP
