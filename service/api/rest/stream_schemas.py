"""What the routes of live streams answer with, as the OpenAPI document has it."""

from datetime import datetime
from typing import Any

from typing_extensions import TypedDict

from service.video.live_status import LiveState


class StreamModel(TypedDict):
    """The version that answers."""

    name: str
    version: str


class StreamSource(TypedDict):
    """What the source says of itself."""

    codec: str
    width: int
    height: int
    frame_rate: float | None


class StreamFrames(TypedDict):
    """Frames of a stream; those that sampling leaves out are received, and nothing else."""

    received: int
    processed: int
    carried: int
    dropped: int


class StreamError(TypedDict):
    """What is wrong; while a stream connects or runs, only for the moment."""

    code: str
    detail: str


class StreamLinks(TypedDict):
    """Where to go on."""

    self: str
    results: str
    picture: str


class StreamAnswer(TypedDict):
    """A live stream."""

    id: str
    state: LiveState
    url: str
    task: str
    model: StreamModel | None
    request: dict[str, Any]
    created: datetime
    source: StreamSource | None
    frames: StreamFrames
    fps: float
    lag_s: float | None
    connections: int
    last_frame_s_ago: float | None
    summary: dict[str, Any]
    error: StreamError | None
    links: StreamLinks


class StreamsAnswer(TypedDict):
    """All live streams."""

    streams: list[StreamAnswer]
