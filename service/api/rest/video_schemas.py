"""What the routes of video jobs answer with."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from contract.task import Task
from service.errors import ErrorKind
from service.video.job import JobState


class FrameCounts(TypedDict):
    """Frames of a video."""

    total: Annotated[int | None, Field(description="As the file claims.")]
    done: Annotated[int, Field(description="That are behind the work, those without a result included.")]
    processed: Annotated[int, Field(description="Results that a model gave.")]
    carried: Annotated[int, Field(description="Results taken over from the frame before.")]


class VideoInput(TypedDict):
    """The file as it came."""

    name: str | None
    bytes: int


class VideoFailure(TypedDict):
    """Why a job failed."""

    code: ErrorKind
    detail: str | None


class VideoLinks(TypedDict):
    """Paths; ``annotated`` only where it was asked for."""

    self: str
    results: str
    annotated: NotRequired[str]


class VideoAnswer(TypedDict):
    """How a video job stands."""

    id: str
    state: JobState
    progress: Annotated[float | None, Field(description="0 … 1; null where nobody can say.")]
    frames: FrameCounts
    fps: Annotated[float | None, Field(description="Frames of the video done a second, of the last seconds.")]
    eta_s: Annotated[float | None, Field(description="Seconds to its end at this speed.")]
    task: Task
    request: Annotated[Mapping[str, Any], Field(description="What was asked for.")]
    input: VideoInput
    created: datetime
    started: datetime | None
    finished: datetime | None
    summary: Annotated[
        Mapping[str, Any], Field(description="Of the whole video: the model, totals of counts, number of tracks.")
    ]
    problems: Annotated[list[str], Field(description="What was wrong with the file and did not end the work.")]
    error: VideoFailure | None
    links: VideoLinks


class VideosAnswer(TypedDict):
    """Some jobs, the newest first."""

    videos: list[VideoAnswer]
    next: Annotated[str | None, Field(description="To be given as `before` for those that follow; null at the end.")]
