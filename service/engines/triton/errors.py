"""What Triton and the way to it answer, sorted by what is to be done about it."""

import re
from enum import Enum, auto

from grpc import StatusCode
from grpc.aio import AioRpcError

from service.engines.base import EngineAway
from service.errors import ErrorKind, ServiceError, deadline_exceeded, engine_unavailable, overloaded


class TritonRefused(Exception):
    """Triton will not load a version; the message says why, and is meant to be shown."""


class Cause(Enum):
    """Why a call failed."""

    UNREACHABLE = auto()
    """It never left, or was turned away at the door: surely not executed, and the replica is down."""
    CUT_OFF = auto()
    """The replica went away while it had the call, which may have been executed."""
    FULL = auto()
    """The version's queue on this replica is full: surely not executed."""
    EMPTY = auto()
    """The replica lacks what was loaded on it, so it is another process by now: surely not executed."""
    STUB_DEAD = auto()
    """The process of a Python model is gone, and does not come back by itself."""
    LATE = auto()
    """The call's time is over."""
    REJECTED = auto()
    """The call makes no sense to Triton."""
    FAILED = auto()
    """The model, or Triton, failed on it."""


SURELY_NOT_EXECUTED = frozenset({Cause.UNREACHABLE, Cause.FULL, Cause.EMPTY})
"""Only after these may another replica be asked."""

_UNAVAILABLE = (
    (re.compile(r"exceeds maximum queue size", re.IGNORECASE), Cause.FULL),
    (re.compile(r"request timeout expired", re.IGNORECASE), Cause.LATE),
    (re.compile(r"load / unload is not allowed", re.IGNORECASE), Cause.REJECTED),
    (re.compile(r"unknown model|not at ready state|is not ready", re.IGNORECASE), Cause.EMPTY),
    (re.compile(r"failed to connect|connection refused|name resolution", re.IGNORECASE), Cause.UNREACHABLE),
    (re.compile(r"shutting down|is stopping|server exiting|server not ready", re.IGNORECASE), Cause.UNREACHABLE),
)
"""Triton and gRPC use one code for all of these, so their words must tell."""
_STUB_DEAD = re.compile(r"stub process.*(not healthy|unhealthy)", re.IGNORECASE | re.DOTALL)
_NO_REGION = re.compile(r"unable to find (system )?shared memory region", re.IGNORECASE)


def cause_of(error: AioRpcError) -> Cause:
    """Sort a failed call."""
    text = error.details() or ""
    match error.code():
        case StatusCode.UNAVAILABLE:
            return next((cause for pattern, cause in _UNAVAILABLE if pattern.search(text)), Cause.CUT_OFF)
        case StatusCode.NOT_FOUND:
            return Cause.EMPTY
        case StatusCode.DEADLINE_EXCEEDED:
            return Cause.LATE
        case StatusCode.INVALID_ARGUMENT | StatusCode.OUT_OF_RANGE:
            return Cause.EMPTY if _NO_REGION.search(text) else Cause.REJECTED
        case StatusCode.CANCELLED:
            return Cause.CUT_OFF
        case _:
            return Cause.STUB_DEAD if _STUB_DEAD.search(text) else Cause.FAILED


class Failure(Exception):
    """A call to one replica that failed; its text is Triton's, for the log only."""

    def __init__(self, cause: Cause, detail: str) -> None:
        super().__init__(detail)
        self.cause = cause
        self.detail = detail

    @classmethod
    def of(cls, error: AioRpcError) -> "Failure":
        """The same without gRPC."""
        return cls(cause_of(error), error.details() or str(error.code()))

    def for_caller(self, model: str) -> ServiceError:
        """The error that a caller is shown."""
        match self.cause:
            case Cause.FULL:
                return overloaded(f"too many requests wait for {model} already; try again in a moment")
            case Cause.LATE:
                return deadline_exceeded("the deadline passed before the model had answered")
            case Cause.REJECTED:
                return ServiceError(ErrorKind.INVALID_PARAMETERS, f"the engine does not take this input for {model}")
            case Cause.FAILED:
                return engine_unavailable(f"the engine of {model} failed on a batch")
            case Cause.STUB_DEAD:
                return EngineAway(f"the engine of {model} failed on a batch")
            case _:
                return EngineAway(f"the engine of {model} cannot be reached; try again in a moment")


_PATH = re.compile(r"(?:/[\w.@+-]+)+/")
_LONGEST = 300


def showable(reason: str) -> str:
    """Triton's reason, one line without the folders of its machine."""
    line = next((line.strip() for line in reason.splitlines() if line.strip()), "")
    return _PATH.sub("", line)[:_LONGEST].rstrip(" ;")
