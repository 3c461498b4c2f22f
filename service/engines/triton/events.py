"""What a pool of Tritons tells about itself, as it happens."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class TritonEvents:
    """Listeners; each is called in the event loop and must not wait."""

    replica: Callable[[str, bool], None]
    """This address takes traffic from now on, or takes none."""
    retried: Callable[[str], None]
    """A request was sent to another replica; why, in one word."""
    repaired: Callable[[str], None]
    """This model had been lost or had broken on a replica, and was loaded anew."""
    left: Callable[[str], None]
    """This address stands for no replica any more."""

    @classmethod
    def silent(cls) -> Self:
        """Nobody listens."""
        return cls(
            replica=lambda _address, _up: None,
            retried=lambda _cause: None,
            repaired=lambda _model: None,
            left=lambda _address: None,
        )
