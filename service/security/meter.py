"""How much each caller asks for, and when that is too much: in memory, of this process alone."""

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from service.errors import ErrorKind, ServiceError
from service.security.caller import Allowance
from service.security.rate import Rate

_MOST_CALLERS = 65_536
"""That are remembered, some 200 bytes each; beyond, those are forgotten who have asked for nothing for longest."""
_FULL_PAUSE_S = 1.0


class Quota(NamedTuple):
    """What a caller has left of its rate."""

    rate: Rate
    remaining: int
    reset_s: float
    """Seconds until all of it is there again."""


class TooMany(ServiceError):
    """The caller's rate is used up."""

    def __init__(self, quota: Quota, retry_after_s: float) -> None:
        rate = quota.rate
        why = f"you may ask {rate.count} times in {rate.seconds} s; try again in {retry_after_s:.3g} s"
        # In whole seconds, and never too early.
        super().__init__(ErrorKind.RATE_LIMITED, why, retry_after_s=math.ceil(retry_after_s))
        self.quota = quota


class Meter:
    """Counts requests by caller.

    The rate is the generic cell rate algorithm (ITU-T I.371): one number a caller, the moment at which its bucket is
    full again. ``50/second`` lets through 50 at once, and 50 a second from then on.
    """

    def __init__(self, most_callers: int = _MOST_CALLERS, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most_callers
        self._clock = clock
        # By the rate too: when a caller gets another one, what was asked under the old one is not owed to the new.
        self._full_at: OrderedDict[tuple[str, Rate], float] = OrderedDict()
        self._under_way: Counter[str] = Counter()

    def begin(self, key: str, allowance: Allowance) -> Quota | None:
        """A request begins; `end` is to be called once it is over. What is left of its rate; None without one.

        Raises:
            ServiceError: rate_limited, where it is one too many; then it has not begun.
        """
        most = allowance.concurrency
        if most is not None and self._under_way[key] >= most:
            why = f"you have {most} requests or streams under way already; wait for one of them"
            raise ServiceError(ErrorKind.RATE_LIMITED, why, retry_after_s=_FULL_PAUSE_S)
        quota = None if allowance.rate is None else self._spend(key, allowance.rate)
        if most is not None:
            self._under_way[key] += 1
        return quota

    def end(self, key: str, allowance: Allowance) -> None:
        """A request that has begun under this allowance is over."""
        if allowance.concurrency is not None:
            self._under_way[key] -= 1
            if self._under_way[key] <= 0:
                del self._under_way[key]

    @property
    def remembered(self) -> int:
        """Callers whose requests are remembered."""
        return len(self._full_at)

    def _spend(self, key: str, rate: Rate) -> Quota:
        now, each_s, bucket = self._clock(), rate.seconds / rate.count, (key, rate)
        full_at = max(self._full_at.get(bucket, now), now) + each_s
        if (late_s := full_at - now - rate.seconds) > 1e-9:
            raise TooMany(Quota(rate, 0, full_at - each_s - now), late_s)
        self._full_at[bucket] = full_at
        self._full_at.move_to_end(bucket)
        if len(self._full_at) > self._most:
            self._full_at.popitem(last=False)
        left_s = rate.seconds - (full_at - now)
        return Quota(rate, int(left_s / each_s + 1e-6), full_at - now)
