"""When a replica is left alone, and when it is tried again: pure, with the time passed in."""


class Breaker:
    """Opens after failures in a row, and lets one attempt to recover through at a time, each later than the last.

    The pattern of Nygard, "Release It!" (2007), chapter 5.
    """

    def __init__(self, threshold: int = 3, first_pause_s: float = 0.1, longest_pause_s: float = 2.0) -> None:
        self._threshold = threshold
        self._first_pause_s = first_pause_s
        self._longest_pause_s = longest_pause_s
        self._failures = 0
        self._open = False
        self._pause_s = first_pause_s
        self._next_attempt = 0.0

    @property
    def closed(self) -> bool:
        """Traffic may flow."""
        return not self._open

    def succeeded(self) -> None:
        """A call was answered: failures count from nought again. It does not close an open breaker."""
        self._failures = 0

    def failed(self, now: float) -> bool:
        """A call failed for the replica's own fault; whether that opened the breaker."""
        self._failures += 1
        return self._failures >= self._threshold and self.trip(now)

    def trip(self, now: float) -> bool:
        """Open at once; False if it was open already."""
        if self._open:
            return False
        self._open = True
        self._pause_s = self._first_pause_s
        self._next_attempt = now
        return True

    def wait_s(self, now: float) -> float:
        """Seconds until the next attempt to recover; 0 where it is due."""
        return max(0.0, self._next_attempt - now)

    def attempt_failed(self, now: float) -> None:
        """The attempt to recover came to nothing: the next one is due after twice the pause."""
        self._next_attempt = now + self._pause_s
        self._pause_s = min(2 * self._pause_s, self._longest_pause_s)

    def close(self) -> None:
        """The replica has recovered."""
        self._open = False
        self._failures = 0
        self._pause_s = self._first_pause_s
