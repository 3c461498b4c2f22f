"""The times of a live stream: of its frames over all connections, and how far its source is behind or ahead of them."""

_STEP_S = 1e-3
"""Between the last frame of a connection and the first of the next one, at least."""
_FADES: float = 1e-3
"""Seconds a second. Clocks of cameras run fast or slow by some 1e-4; what comes of that is no lag, and no haste."""
_AHEAD_S = 5.0
"""Sources begin with what they have gathered."""
_LEAP_S = 1.0
"""A longer step from one frame to the next is a pause in the picture, or another clock."""


class StreamClock:
    """Seconds since the first frame of the first connection; rising, also from one connection to the next."""

    def __init__(self) -> None:
        self._last_s: float | None = None
        self._arrived_s = 0.0
        self._shift_s: float | None = None

    def connected(self) -> None:
        """The next frame is the first one of a connection."""
        self._shift_s = None

    def at(self, time_s: float, arrived_s: float) -> float:
        """The time of a frame, from the time that its connection has it at, and the moment of its arrival.

        Over a gap between two connections time goes on as on the wall.
        """
        if self._shift_s is None:
            gap_s = max(_STEP_S, arrived_s - self._arrived_s)
            self._shift_s = (0.0 if self._last_s is None else self._last_s + gap_s) - time_s
        self._arrived_s = arrived_s
        self._last_s = time_s + self._shift_s
        return self._last_s


class Backlog:
    """How much later than the promptest frames of a connection a frame arrives, by its own time.

    A source that sends more than the line or the decoder can take falls ever further behind; nothing else shows that.
    What lies between the camera and its promptest frame is not known, and not counted.
    """

    def __init__(self) -> None:
        self._least_s: float | None = None
        self._arrived_s = 0.0

    def late_s(self, time_s: float, arrived_s: float) -> float:
        """Seconds, for the next frame, from its presentation time and the moment of its arrival."""
        behind_s = arrived_s - time_s
        if self._least_s is None:
            self._least_s = behind_s
        self._least_s = min(behind_s, self._least_s + _FADES * (arrived_s - self._arrived_s))
        self._arrived_s = arrived_s
        return behind_s - self._least_s


class Pace:
    """How long to wait with the next frame, where a source sends faster than its frames are to be shown.

    A live source cannot do that for long. A file can: without this a whole core would decode what nobody looks at.
    """

    def __init__(self) -> None:
        self._ahead_s = 0.0
        self._last: tuple[float, float] | None = None

    def wait_s(self, time_s: float, arrived_s: float) -> float:
        """Seconds, 0 for most, after the frame of that presentation time, which arrived at that moment."""
        if self._last is not None:
            shown_s, passed_s = min(_LEAP_S, time_s - self._last[0]), arrived_s - self._last[1]
            self._ahead_s = max(0.0, self._ahead_s + shown_s - (1 + _FADES) * passed_s)
        self._last = time_s, arrived_s
        return max(0.0, self._ahead_s - _AHEAD_S)
