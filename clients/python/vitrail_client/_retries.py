"""Another try for what may pass by itself: as many as allowed, and never beyond the caller's patience."""

import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_random,
    wait_random_exponential,
)

from vitrail_client._errors import RETRIED, VitrailError

T = TypeVar("T")

_LONGEST_S = 5.0
_BAD_GATEWAY = 502
"""What a proxy says while the service behind it is started again."""

_back_off = wait_random_exponential(multiplier=0.1, max=_LONGEST_S)
_jitter = wait_random(0, 0.1)
"""So that those who were sent away together do not come back together."""


def passes(error: VitrailError) -> bool:
    """Whether another try may succeed."""
    return error.code in RETRIED


def ask(
    attempt: Callable[[float], T], timeout_s: float, retries: int, again: Callable[[VitrailError], bool] = passes
) -> T:
    """What ``attempt`` gives, which is told the seconds that are left; its last VitrailError if no try succeeds."""
    end = time.monotonic() + timeout_s
    stop = stop_after_attempt(retries + 1) | stop_before_delay(timeout_s)
    return Retrying(**_policy(stop, again))(lambda: attempt(_left(end)))


async def ask_async(
    attempt: Callable[[float], Awaitable[T]],
    timeout_s: float,
    retries: int,
    again: Callable[[VitrailError], bool] = passes,
) -> T:
    """See `ask`."""
    end = time.monotonic() + timeout_s

    async def one() -> T:
        return await attempt(_left(end))

    stop = stop_after_attempt(retries + 1) | stop_before_delay(timeout_s)
    return await AsyncRetrying(**_policy(stop, again))(one)


def move(attempt: Callable[[], T], patience_s: float, retries: int) -> T:
    """What ``attempt`` gives, which moves a file and may take as long as that takes.

    Nobody waits longer than ``patience_s`` before another try.
    """
    return Retrying(**_policy(_stop_moving(patience_s, retries), passes))(attempt)


async def move_async(attempt: Callable[[], Awaitable[T]], patience_s: float, retries: int) -> T:
    """See `move`."""

    async def one() -> T:
        return await attempt()

    return await AsyncRetrying(**_policy(_stop_moving(patience_s, retries), passes))(one)


class Outage:
    """How long a service may be away, for one who waits for work that goes on behind it.

    Others are sent away after so many tries; here the service may be restarted meanwhile, which takes a while.
    """

    def __init__(self, patience_s: float, retries: int) -> None:
        """With 0 ``retries`` there is no patience at all."""
        self._patience_s = patience_s if retries else 0.0
        self._since_s: float | None = None
        self._tries = 0

    def ended(self) -> None:
        """The service is there."""
        self._since_s, self._tries = None, 0

    def pause_s(self, error: VitrailError) -> float:
        """Seconds to wait before the next try; raises the error where it stays, or has lasted for too long."""
        now_s = time.monotonic()
        if self._since_s is None:
            self._since_s = now_s
        self._tries += 1
        longest = min(_LONGEST_S, 0.1 * 2 ** min(self._tries, 16))
        asked_s = error.retry_after_s or 0.0
        pause_s = asked_s + random.uniform(0.05, longest)  # noqa: S311 - it guards nothing
        if not (passes(error) or error.status == _BAD_GATEWAY) or now_s + pause_s > self._since_s + self._patience_s:
            raise error
        return pause_s


def _left(end: float) -> float:
    return max(end - time.monotonic(), 0.001)


def _stop_moving(patience_s: float, retries: int) -> Callable[[RetryCallState], bool]:
    return lambda state: state.attempt_number > retries or state.upcoming_sleep > patience_s


def _policy(stop: Any, again: Callable[[VitrailError], bool]) -> dict[str, Any]:
    return {
        "stop": stop,
        "wait": _wait,
        "retry": retry_if_exception(lambda error: isinstance(error, VitrailError) and again(error)),
        "reraise": True,
    }


def _wait(state: RetryCallState) -> float:
    """As long as the service asks for, else ever longer."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, VitrailError) and error.retry_after_s is not None:
        return error.retry_after_s + _jitter(state)
    return _back_off(state)
