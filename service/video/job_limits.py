"""What video jobs may take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLimits:
    """The limits of all jobs of a service."""

    running: int = 1
    """Jobs that run at the same time."""
    waiting: int = 64
    """Jobs that wait, uploads under way included; more are refused."""
    upload_bytes: int = 4 << 30
    """Of one video."""
    disk_bytes: int | None = None
    """Of the files of all jobs; the oldest that have ended make room."""
    min_free_bytes: int = 1 << 30
    """These stay free on the disk."""
    max_age_s: float | None = 7 * 86_400.0
    """Seconds after its end that a job is kept."""
    attempts: int = 3
    """How often a job is begun that takes the service with it."""
    engine_tries: int = 24
    """How often a job is tried whose engine is away, without a result in between: for some five minutes in all."""
    retry_s: float = 1.0
    """Seconds before a job goes on that has lost its engine; twice as many each time …"""
    longest_retry_s: float = 15.0
    """… up to this."""
    sweep_s: float = 60.0
    """Seconds between two looks at age and disk."""
