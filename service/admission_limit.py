"""How many images may be in flight, learnt from what was answered lately: pure, with the time passed in.

By Little's law (1961) the images in flight are the rate of answers times the time that each of them takes. So a limit
of *rate x wait* lets in as many as are answered within that wait, and refuses those that would stand longer. TCP BBR
(Cardwell et al., "BBR: Congestion-Based Congestion Control", 2016) sets its window in this way. The gradient of
Netflix's concurrency-limits does the same while the limit is in use (limit x wanted time / measured time), but needs
the time of an unloaded request to start from, which no mixture of models and of batches has.
"""

from collections.abc import Callable

_AIM = 0.7
"""Of the queue limit: what is aimed at in the mean, so that the slowest are within it."""

_WINDOW_S, _LONGEST_WINDOW_S = 0.1, 2.0
_ENOUGH = 16
"""Images answered, from which on a window tells a rate."""
_SMOOTHING = 0.5
"""Of the way from the limit to what the last window says, so much is gone: batches end in lumps."""
_OPENING = 1.1
"""While nobody crowds the limit rises by this factor a second, for a burst after a calm is none yet …"""
_OPEN = 1.25
"""… but not beyond so many times what was learnt: the next crowd would have to be met by learning it again."""
_FIRST, _FIRST_OF_FLOOR = 64, 2
"""A service that has met no crowd yet admits so many images, or so many times the floor: before a rate is learnt, that
is as many as the first crowd can grow to."""
_CALM = 0.75
"""Of the limit: with as many images in flight it is used. Of the floor: with fewer nobody crowds, and from there to
the floor the limit stays, lest it swing."""
_LONGEST_CALM_S = 60.0
_BESIDE = 2
"""Of the largest requests, one is answered and one waits behind it, whatever their size."""


class AdaptiveLimit:
    """A limit between a floor and a ceiling.

    It falls only while more images are in flight than the floor, so never at low load. Below the floor engines would
    lack images for full batches: one in work in each of their places, and one that gathers behind it.

    Args:
        ceiling: images that are ever in flight.
        floor: asked once a window; where it is above the ceiling, the limit stays there.
        queue_limit_s: hardly an admitted image is to be on its way for longer while callers crowd.
    """

    def __init__(self, ceiling: int, floor: Callable[[], int], queue_limit_s: float) -> None:
        self.ceiling = ceiling
        self._floor = floor
        self._aim_s = _AIM * queue_limit_s
        self._limit = self._open = float(min(ceiling, _FIRST))
        self._met = False
        """A crowd has been met, from which a rate was learnt."""
        self._begun = self._moved = 0.0
        self._answered = self._ends = self._seen = 0

    @property
    def value(self) -> int:
        """Images that may be in flight."""
        return int(self._limit)

    def idle_until(self, now: float) -> None:
        """Nothing was in flight until now: a rate is measured from here on."""
        self._open_up(now)
        self._begin(now)

    def ended(self, answered: int, in_flight: int, now: float) -> bool:
        """A request ended with so many images answered; itself included, so many were in flight. Whether it moved."""
        self._answered += answered
        self._seen += in_flight
        self._ends += 1
        lasted_s = now - self._begun
        if lasted_s < _WINDOW_S or (self._answered < _ENOUGH and lasted_s < _LONGEST_WINDOW_S):
            return False
        before = self.value
        floor = min(self.ceiling, max(1, self._floor(), _BESIDE * self._answered // self._ends))
        if not self._met:
            self._limit = self._open = float(min(self.ceiling, max(_FIRST, _FIRST_OF_FLOOR * floor)))
        # A crowd that has just begun is seen at the window's end, one that stays by its mean; and one that a limit at
        # the floor keeps out, by the limit's being used.
        if in_flight > floor or in_flight >= _CALM * self._limit or self._seen > floor * self._ends:
            self._learn(self._answered / lasted_s * self._aim_s, in_flight, floor)
            self._moved = now
        elif self._seen < _CALM * floor * self._ends:
            self._open_up(now)
        else:
            self._moved = now
        self._begin(now)
        return self.value != before

    def _learn(self, fair: float, in_flight: int, floor: int) -> None:
        """So many images are answered within the time that is aimed at."""
        self._met = True
        if fair < self._limit:
            # What was never reached has told nothing: the first crowd is not let grow while the limit comes down.
            self._limit = min(self._limit, float(in_flight))
        self._limit += _SMOOTHING * (fair - self._limit)
        self._limit = min(float(self.ceiling), max(float(floor), self._limit))
        self._open = min(float(self.ceiling), _OPEN * self._limit)

    def _open_up(self, now: float) -> None:
        calm_s = min(_LONGEST_CALM_S, max(0.0, now - self._moved))
        self._limit = max(self._limit, min(self._open, self._limit * _OPENING**calm_s))
        self._moved = now

    def _begin(self, now: float) -> None:
        self._begun = now
        self._answered = self._ends = self._seen = 0
