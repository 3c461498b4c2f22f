"""Timestamps as a file has them → times that only go forward."""

from dataclasses import dataclass

_BACK_S = 1.0
"""A step back by less than this is a single wrong stamp; by more, the clock was set anew."""
_LEAP_S = 3600.0
"""A leap ahead by more than this is no pause in a recording; the clock was set anew."""
_NUDGE_S = 1e-3


@dataclass(slots=True)
class PresentationClock:
    """The seconds since the beginning, of frames in presentation order; strictly increasing.

    Good stamps are kept as they are, however uneven. What is mended: a missing stamp is the last time plus the frame's
    duration; a single stamp that steps back by less than a second is put a millisecond after the last time; where
    stamps leap back further, or stay behind, or leap ahead by more than an hour, the clock was set anew, and time goes
    on by one frame's duration.
    """

    last_s: float | None = None
    missing: int = 0
    """Frames without a stamp."""
    disordered: int = 0
    """Frames whose stamp stepped back or leapt."""
    disordered_first_s: float = 0.0
    _shift_s: float = 0.0
    _nudged: bool = False

    def next(self, stamp_s: float | None, step_s: float) -> float:
        """The time of the next frame, from its stamp (None where it has none) and its duration."""
        time_s = self._mend(stamp_s, step_s)
        self.last_s = time_s
        return time_s

    def _mend(self, stamp_s: float | None, step_s: float) -> float:
        if stamp_s is None:
            self.missing += 1
            return 0.0 if self.last_s is None else self.last_s + step_s
        if self.last_s is None:
            return max(0.0, stamp_s)
        time_s = stamp_s + self._shift_s
        nudged, self._nudged = self._nudged, False
        if self.last_s < time_s <= self.last_s + _LEAP_S:
            return time_s
        if self.last_s - _BACK_S < time_s <= self.last_s and not nudged:
            self._nudged = True
            return self._disordered(self.last_s + _NUDGE_S)
        self._shift_s += self.last_s + step_s - time_s
        return self._disordered(self.last_s + step_s)

    def _disordered(self, time_s: float) -> float:
        if not self.disordered:
            self.disordered_first_s = time_s
        self.disordered += 1
        return time_s


@dataclass(slots=True)
class StampGuess:
    """A picture's two stamps → the one to believe: the presentation stamp, unless it proved worse than the other.

    After FFmpeg's ``guess_correct_pts`` (libavcodec/decode.c): each kind of stamp that does not go forward counts
    against its kind; a picture without a presentation stamp takes its decoding stamp, as in AVI.
    """

    _faulty_pts: int = 0
    _faulty_dts: int = 0
    _last_pts: int | None = None
    _last_dts: int | None = None

    def of(self, pts: int | None, dts: int | None) -> int | None:
        """The stamp of the next picture, in the stream's time base; None where it has neither."""
        if dts is not None:
            self._faulty_dts += self._last_dts is not None and dts <= self._last_dts
        if pts is not None:
            self._faulty_pts += self._last_pts is not None and pts <= self._last_pts
        if dts is not None or pts is not None:
            self._last_dts, self._last_pts = (pts if dts is None else dts), (dts if pts is None else pts)
        if pts is not None and (dts is None or self._faulty_pts <= self._faulty_dts):
            return pts
        return dts
