"""What live streams tell about themselves, as it happens."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from service.video.live_status import LiveState


@dataclass(frozen=True, slots=True)
class StreamEvents:
    """Listeners; each is called in the event loop and must not wait."""

    entered: Callable[[LiveState], None]
    """A stream has come into this state."""
    frames: Callable[[int, int, int], None]
    """So many more frames were processed, carried over, dropped."""
    reconnected: Callable[[], None]
    """A source that was lost gives frames again."""
    lag: Callable[[float], None]
    """A result came so many seconds after its frame."""

    @classmethod
    def silent(cls) -> Self:
        """Nobody listens."""
        return cls(
            entered=lambda _state: None,
            frames=lambda _processed, _carried, _dropped: None,
            reconnected=lambda: None,
            lag=lambda _seconds: None,
        )
