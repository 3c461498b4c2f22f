"""Who asks: a value that the transports make, once a request, and hand on to whatever treats callers differently."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from service.security.rate import Rate


class Scope(StrEnum):
    """What a caller may do."""

    INFER = "infer"
    """Ask models, and have jobs and streams of its own."""
    ADMIN = "admin"
    """Change what is served, and see everybody's jobs and streams."""
    METRICS = "metrics"
    """Read the metrics and the history; who may administer may that too."""


class Priority(IntEnum):
    """Who goes on being served where not all can be: the higher, the longer."""

    LOW = 0
    NORMAL = 1
    HIGH = 2


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much one caller may ask for; None where nothing holds for this caller alone."""

    rate: Rate | None = None
    concurrency: int | None = None
    """Requests and streams under way at the same time."""


NO_LIMITS = Allowance()


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who asks.

    Attributes:
        id: as the keys file has it, or ``jwt:`` and a token's subject; empty where nobody is asked who they are.
        scopes: what the caller may do, see `Scope`.
        priority: where not all can be served.
        allowance: how much the caller may ask for.
    """

    id: str
    scopes: frozenset[str]
    priority: Priority = Priority.NORMAL
    allowance: Allowance = NO_LIMITS

    @property
    def is_admin(self) -> bool:
        """Whether this caller may change what is served."""
        return Scope.ADMIN in self.scopes

    @property
    def sees_all(self) -> bool:
        """Whether everybody's things are this caller's business, as they are where nobody is asked."""
        return self.is_admin or not self.id

    def may_see(self, owner: str) -> bool:
        """Whether what belongs to that caller is this one's business."""
        return owner == self.id or self.sees_all


ANYONE = Caller("", frozenset({Scope.INFER}))
"""The caller of a service that asks nobody who they are, and of work that the service does on its own account."""

CALLER = "vitrail.caller"
"""In the scope of an HTTP request or a WebSocket: its `Caller`."""


def caller_of(scope: Mapping[str, object]) -> Caller:
    """The caller of a request, by its ASGI scope; `ANYONE` where nobody was asked."""
    caller = scope.get(CALLER)
    return caller if isinstance(caller, Caller) else ANYONE
