"""Slices of several lengths: short ones of the last minutes, and of them longer ones of the last hours."""

import math
from collections import deque
from itertools import pairwise
from typing import Final

from service.telemetry.history.slices import Names, Slice, merged

FINE_S: Final = 600
"""So far back there are slices of one second."""
_COARSE_S: Final = 10
_MOST_OF_A_LENGTH: Final = 360
"""So many slices of one length are enough for the most points."""
_LONGER: Final = 10
"""So many of the slices that reach back farthest make one of those that are there only to read fewer."""


class Levels:
    """Slices of one second for ten minutes, of ten seconds for an hour, and longer ones for as long as they are kept.

    Each is made of those of the level below, as the time that it stands for is over.
    """

    def __init__(self, seconds: int, farther: float) -> None:
        """None yet; windows of up to ``seconds`` reach back farther by this share, as they are rounded up."""
        hour = _COARSE_S * _MOST_OF_A_LENGTH
        self._lengths = [1, _COARSE_S]
        self._spans = [FINE_S, hour]
        if seconds > hour:
            self._lengths.append(_COARSE_S * math.ceil(seconds / hour))
            self._spans.append(seconds)
        self._lengths.append(self._lengths[-1] * _LONGER)
        self._spans.append(self._spans[-1])
        self._slices: list[deque[Slice]] = [deque() for _ in self._lengths]
        # A slice is there until the longer one is made of it.
        self._kept_s = [
            math.ceil(min(span, seconds) * (1 + farther)) + 2 * longer
            for span, longer in zip(self._spans, [*self._lengths[1:], self._lengths[-1]], strict=True)
        ]

    def __len__(self) -> int:
        return sum(len(slices) for slices in self._slices)

    def all(self) -> list[Slice]:
        """Every slice."""
        return [part for slices in self._slices for part in slices]

    def add(self, part: Slice, now: int, names: Names) -> bool:
        """A second is over, and ``now`` is another; whether longer slices were made."""
        self._slices[0].append(part)
        made = False
        for (shorter, slices), length in zip(pairwise(self._slices), self._lengths[1:], strict=True):
            begin = part.begin - part.begin % length
            if now < begin + length:
                break
            slices.append(merged(begin, [one for one in shorter if one.begin >= begin], names))
            made = True
        if made:
            self._forget(now)
        return made

    def length(self, window_s: int) -> int:
        """The length of the shortest slices that reach back so far."""
        return next(length for length, span in zip(self._lengths, self._spans, strict=True) if window_s <= span)

    def between(self, begin: int, end: int, length: int) -> list[Slice]:
        """All slices of a length within a span of time."""
        return [part for part in self._slices[self._lengths.index(length)] if begin <= part.begin < end]

    def fewest(self, begin: int, end: int) -> list[Slice]:
        """As few slices as there are that make up a span of time, in any order; each second is in one of them."""
        return self._fewest(begin, end, len(self._lengths) - 1)

    def _fewest(self, begin: int, end: int, level: int) -> list[Slice]:
        length = self._lengths[level]
        first, last = math.ceil(begin / length) * length, end // length * length
        if level == 0:
            return self.between(begin, end, 1)
        if first >= last:
            return self._fewest(begin, end, level - 1)
        ends = self._fewest(begin, first, level - 1) + self._fewest(last, end, level - 1)
        return self.between(first, last, length) + ends

    def _forget(self, now: int) -> None:
        """Let go of what no window reaches any more."""
        for slices, kept_s in zip(self._slices, self._kept_s, strict=True):
            while slices and slices[0].begin < now - kept_s:
                slices.popleft()
