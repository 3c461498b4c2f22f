"""What is known of one video job."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from service.errors import ErrorKind


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether it stays so."""
        return self in {JobState.DONE, JobState.FAILED, JobState.CANCELLED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as the store keeps it; times are seconds since 1970, frames count from 0 in presentation order."""

    id: str
    state: JobState = JobState.QUEUED
    request: Mapping[str, Any]
    """Task, model, parameters, sampling, tracking, webhook … as the caller gave them: what JSON can say."""
    input_name: str | None
    """The file's name as the caller gave it: to be shown, never to be opened."""
    input_bytes: int
    created_s: float
    started_s: float | None = None
    finished_s: float | None = None
    frames_total: int | None = None
    """As the file claims."""
    frames_done: int = 0
    """Frames of the video that are behind the work, those without a result included."""
    frames_processed: int = 0
    """Results that a model gave."""
    frames_carried: int = 0
    """Results taken over from the frame before."""
    last_frame: int | None = None
    """The frame of the last result."""
    error_kind: ErrorKind | None = None
    error_message: str | None = None
    attempts: int = 0
    """How often a service began it and did not end it in order."""
    owner: str = ""
    """Whose it is; empty where nobody was asked who they are."""
    idempotency_key: str | None = None
    request_hash: str = ""
    """Of the request and the file's content."""
    problems: tuple[str, ...] = ()
    """What was wrong with the file and did not end the work."""
    summary: Mapping[str, Any] = field(default_factory=dict)
    """What is known of the whole video so far: ``model``, ``tracks``, ``counts``, ``classes``, as far as they apply."""
    webhook_due: bool = False
    """The caller is still to be told of the end."""


def is_job_id(text: str) -> bool:
    """Whether a job could have this id; no other text becomes part of a path."""
    return text.isascii() and text.isalnum()


def new_job_id() -> str:
    """An id that nobody guesses; a later one sorts behind an earlier one, to the millisecond."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"
