"""How a live stream stands, as its callers see it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from service.errors import ServiceError
from service.video.source import VideoInfo

SOURCE_UNAVAILABLE: Final = "source_unavailable"
"""The code of a stream's error while its source cannot be reached; no answer has it, so it is no kind of error."""


class LiveState(StrEnum):
    """Where a stream stands."""

    CONNECTING = "connecting"
    """There was no frame yet."""
    RUNNING = "running"
    """Frames come."""
    RECONNECTING = "reconnecting"
    """There were frames, and there will be when the source is back."""
    ENDED = "ended"
    """Somebody has ended it."""
    FAILED = "failed"
    """It can never work; its error says why."""

    @property
    def over(self) -> bool:
        """Whether it stays so."""
        return self in {LiveState.ENDED, LiveState.FAILED}


@dataclass(frozen=True, slots=True)
class LiveProblem:
    """What is wrong, for the caller."""

    code: str
    """A kind of error, or SOURCE_UNAVAILABLE."""
    detail: str

    @classmethod
    def of(cls, error: ServiceError) -> "LiveProblem":
        """As an error says it."""
        return cls(error.kind, error.message)


@dataclass(slots=True)
class LiveCounts:
    """Frames of a stream. The reading thread writes the first two, the event loop the others."""

    received: int = 0
    """Left the decoder."""
    superseded: int = 0
    """Gave way to a newer one before anybody had time for them."""
    unanswered: int = 0
    """The model was too busy for them, or away."""
    processed: int = 0
    """Have a result that the model gave."""
    carried: int = 0
    """Have the result of the frame before."""

    @property
    def dropped(self) -> int:
        """Have no result for want of time; frames that sampling leaves out are not among them."""
        return self.superseded + self.unanswered


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveStatus:
    """A stream at one moment."""

    id: str
    state: LiveState
    url: str
    """Without user, password and the like."""
    request: Mapping[str, Any]
    """As kept, the address as above."""
    model: tuple[str, int] | None
    """Name and version of what answers."""
    created_s: float
    """Seconds since 1970."""
    source: VideoInfo | None
    """Of the connection that is or was last."""
    received: int
    processed: int
    carried: int
    dropped: int
    frames_per_s: float
    """Results of the last seconds that the model gave."""
    lag_s: float | None
    """From a frame's arrival to its result, smoothed; plus what the source itself lags behind its own times."""
    connections: int
    """That gave a frame."""
    last_frame_s_ago: float | None
    summary: Mapping[str, Any]
    problem: LiveProblem | None
