"""Another try for what may pass by itself: as many as allowed, and never beyond the caller's patience."""

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

_back_off = wait_random_exponential(multiplier=0.1, max=5)
_jitter = wait_random(0, 0.1)
"""So that those who were sent away together do not come back together."""


def ask(attempt: Callable[[float], T], timeout_s: float, retries: int) -> T:
    """What ``attempt`` gives, which is told the seconds that are left; its last VitrailError if no try succeeds."""
    end = time.monotonic() + timeout_s
    return Retrying(**_policy(timeout_s, retries))(lambda: attempt(_left(end)))


async def ask_async(attempt: Callable[[float], Awaitable[T]], timeout_s: float, retries: int) -> T:
    """See `ask`."""
    end = time.monotonic() + timeout_s

    async def one() -> T:
        return await attempt(_left(end))

    return await AsyncRetrying(**_policy(timeout_s, retries))(one)


def _left(end: float) -> float:
    return max(end - time.monotonic(), 0.001)


def _policy(timeout_s: float, retries: int) -> dict[str, Any]:
    return {
        "stop": stop_after_attempt(retries + 1) | stop_before_delay(timeout_s),
        "wait": _wait,
        "retry": retry_if_exception(lambda error: isinstance(error, VitrailError) and error.code in RETRIED),
        "reraise": True,
    }


def _wait(state: RetryCallState) -> float:
    """As long as the service asks for, else ever longer."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, VitrailError) and error.retry_after_s is not None:
        return error.retry_after_s + _jitter(state)
    return _back_off(state)
