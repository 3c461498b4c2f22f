"""How fast a job advances, by its recent past."""

from collections import deque

_WINDOW_S = 10.0
_STEP_S = 0.25


class Speed:
    """Frames a second over the last ten seconds; times are those of a clock that never goes back."""

    def __init__(self, now_s: float, frames: int) -> None:
        """The work stands at ``frames`` now."""
        self._marks: deque[tuple[float, int]] = deque([(now_s, frames)])
        self._latest = frames

    def moved(self, now_s: float, frames: int) -> None:
        """The work stands at ``frames`` now."""
        self._latest = frames
        if now_s - self._marks[-1][0] >= _STEP_S:
            self._marks.append((now_s, frames))
        while len(self._marks) > 1 and now_s - self._marks[1][0] >= _WINDOW_S:
            self._marks.popleft()

    def per_second(self, now_s: float) -> float:
        """Frames a second; what stands still becomes slower from one look to the next."""
        since_s, frames = self._marks[0]
        return (self._latest - frames) / (now_s - since_s) if now_s > since_s else 0.0
