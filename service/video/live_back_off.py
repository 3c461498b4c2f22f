"""How long to wait before a source is asked again."""

import random
from collections.abc import Callable


class BackOff:
    """Pauses that double, each shortened at random by up to a half, so that many streams do not ask all at once.

    After "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015), where this is called equal jitter.
    """

    def __init__(self, first_s: float, longest_s: float, chance: Callable[[], float] = random.random) -> None:
        """``chance`` gives numbers from 0 to 1."""
        self._first_s, self._longest_s, self._chance = first_s, longest_s, chance
        self._next_s = first_s

    def pause_s(self) -> float:
        """The next pause, in seconds."""
        whole_s = min(self._next_s, self._longest_s)
        self._next_s = 2 * whole_s
        return whole_s * (0.5 + 0.5 * self._chance())

    def reset(self) -> None:
        """All is well: the next pause is the first one again."""
        self._next_s = self._first_s
