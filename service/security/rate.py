"""So many in so long: ``50/second``."""

import re
from dataclasses import dataclass
from typing import Self

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
_FORM = re.compile(f"([1-9][0-9]{{0,8}})/({'|'.join(_SECONDS)})")


@dataclass(frozen=True, slots=True)
class Rate:
    """``count`` requests in any ``seconds``."""

    count: int
    seconds: int

    @classmethod
    def of(cls, text: str) -> Self:
        """Read ``50/second``, or by minute, hour or day; ValueError says how it is written."""
        found = _FORM.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no rate; it is like 50/second, and second may be {', '.join(_SECONDS)}")
        return cls(int(found[1]), _SECONDS[found[2]])
