"""How many streams of frames there may be: of all callers together, and of each."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from service.errors import ErrorKind, ServiceError


class StreamPlaces:
    """Places that streams take for as long as they live."""

    def __init__(self, total: int, per_caller: int) -> None:
        self._total = total
        self._per_caller = per_caller
        self._taken: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """Places of all callers."""
        return self._taken.total()

    @contextmanager
    def place(self, caller: str) -> Iterator[None]:
        """Hold a place; ServiceError (rate_limited, or overloaded where it is not the caller's doing) without one."""
        if self._taken[caller] >= self._per_caller:
            why = f"you have {self._per_caller} streams already; end one of them first"
            raise ServiceError(ErrorKind.RATE_LIMITED, why, retry_after_s=1)
        if self.taken >= self._total:
            why = f"there are {self._total} streams already; try again in a moment"
            raise ServiceError(ErrorKind.OVERLOADED, why, retry_after_s=1)
        self._taken[caller] += 1
        try:
            yield
        finally:
            self._taken[caller] -= 1
            if not self._taken[caller]:
                del self._taken[caller]
