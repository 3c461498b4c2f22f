"""What video jobs tell about themselves, as it happens."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from service.video.job import JobState


@dataclass(frozen=True, slots=True)
class JobEvents:
    """Listeners; each is called in the event loop and must not wait."""

    entered: Callable[[JobState], None]
    """A job has come into this state."""
    frames: Callable[[int, int, int], None]
    """So many frames are done: given to a model, carried over from the frame before, skipped without a result."""
    retried: Callable[[], None]
    """The engine was lost in the middle of a job, which goes on from its last result."""
    removed: Callable[[int], None]
    """Retention has removed a job that took so many bytes."""
    webhook: Callable[[bool], None]
    """A caller was told of the end of a job, or could not be."""

    @classmethod
    def silent(cls) -> Self:
        """Nobody listens."""
        return cls(
            entered=lambda _state: None,
            frames=lambda _processed, _carried, _skipped: None,
            retried=lambda: None,
            removed=lambda _size: None,
            webhook=lambda _told: None,
        )
