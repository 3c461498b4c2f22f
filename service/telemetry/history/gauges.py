"""How the service stands at one moment, as somebody tells its history once a second."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReadyVersion:
    """A version that takes traffic."""

    task: str
    model: str
    version: str
    aliases: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """How the service stands."""

    in_flight: int = 0
    """Images admitted and not yet answered."""
    in_flight_limit: int = 0
    queue_depths: Mapping[tuple[str, str], int]
    """Images that wait for the engine, by model and version."""
    versions: Sequence[ReadyVersion]
    event_loop_lag_s: float = 0.0
    """How late the event loop was since the last time, at worst."""
    memory_bytes: int | None = None
    """Of the process; None where nobody knows."""
    cpu_s: float = 0.0
    """Processor seconds that the process has used so far."""
    jobs_running: int = 0
    jobs_waiting: int = 0
    streams: int = 0
    """Live streams that have not ended."""


NO_GAUGES = Gauges(queue_depths={}, versions=())
"""Before the first look."""
