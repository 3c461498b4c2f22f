"""What is asked of a service's live streams, as requests; and what stands in the answers."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

from vitrail_client._connection import Request, json_with
from vitrail_client._errors import VitrailError
from vitrail_client._retries import passes
from vitrail_client._video_requests import named
from vitrail_client.schemas import StreamAnswer

OVER = frozenset({"ended", "failed"})
"""The states that a stream stays in."""

_PATH = "/v1/streams"


def start(asked: Mapping[str, Any], sampling: Mapping[str, Any], parameters: Mapping[str, Any]) -> Request:
    """A new stream."""
    values = {name: value for name, value in asked.items() if value is not None}
    chosen = {name: value for name, value in sampling.items() if value is not None}
    values |= {"sampling": chosen} if chosen else {}
    given = named(parameters)
    return {"method": "POST", "url": _PATH, "json": values | ({"parameters": given} if given else {})}


def every() -> Request:
    """All streams."""
    return {"method": "GET", "url": _PATH}


def status_of(stream_id: str) -> Request:
    """How a stream stands."""
    return {"method": "GET", "url": _path_of(stream_id)}


def results_of(stream_id: str) -> Request:
    """Lines from now on."""
    return {"method": "GET", "url": f"{_path_of(stream_id)}/results"}


def picture_of(stream_id: str) -> Request:
    """The last processed frame, drawn."""
    return {"method": "GET", "url": f"{_path_of(stream_id)}/picture.jpg"}


def stop(stream_id: str) -> Request:
    """The end of a stream."""
    return {"method": "DELETE", "url": _path_of(stream_id)}


def never_begun(error: VitrailError) -> bool:
    """Whether a start may be tried again: the service has refused it, or nobody was there to hear of it."""
    return passes(error) and (error.status is not None or isinstance(error.__cause__, httpx.ConnectError))


def stream_in(response: httpx.Response) -> StreamAnswer:
    """A stream as the service describes it."""
    stream: StreamAnswer = json_with(response, "id", "state")
    return stream


def streams_in(response: httpx.Response) -> list[StreamAnswer]:
    """All of them."""
    streams: list[StreamAnswer] = json_with(response, "streams")["streams"]
    return streams


def _path_of(stream_id: str) -> str:
    return f"{_PATH}/{quote(stream_id, safe='')}"
