"""``/v1/streams``: live sources begun, watched and ended."""

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from service.api.rest.body import BodyLimits, receive
from service.api.rest.guarded import guarded
from service.api.rest.stream_schemas import StreamAnswer, StreamSource
from service.api.rest.streams_document import DELETE, JPEG, JSON, LIST, NDJSON, PICTURE, POST, RESULTS, STATUS
from service.errors import ErrorKind, ServiceError, invalid_parameters
from service.security.caller import caller_of
from service.security.own_pages import OwnPages
from service.video.live_readers import Reader
from service.video.live_request import LiveRequest
from service.video.live_status import LiveStatus
from service.video.live_stream import LiveStream
from service.video.source import VideoInfo
from service.video.streams import Streams

PREFIX = "/v1/streams"


@dataclass(frozen=True, slots=True)
class StreamRoutes:
    """What the routes of live streams need."""

    streams: Streams
    limits: BodyLimits
    """Of a body of a few words: see `service.api.rest.admin.limits_of`."""
    workers: Executor
    """Draw pictures."""
    pages: OwnPages = field(default_factory=OwnPages)
    """Whose pages may begin and end streams."""

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(prefix=PREFIX, tags=["live streams"])
        for path, method, work, summary, described in (
            ("", "POST", self._begin, "Begin a live stream", POST),
            ("", "GET", self._list, "List live streams", LIST),
            ("/{id}", "GET", self._get, "How a live stream stands", STATUS),
            ("/{id}", "DELETE", self._end, "End a live stream, or forget one that is over", DELETE),
            ("/{id}/results", "GET", self._results, "Read a live stream's results as they come", RESULTS),
            ("/{id}/picture.jpg", "GET", self._picture, "The last processed frame, drawn", PICTURE),
        ):
            router.add_api_route(path, guarded(work), methods=[method], summary=summary, name=summary, **described)
        return router

    async def _begin(self, request: Request) -> Response:
        self.pages.require(request.headers)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
            raise ServiceError(ErrorKind.UNSUPPORTED_MEDIA_TYPE, f"send what is wanted as {JSON}")
        wanted = LiveRequest.of(_object(await receive(request, self.limits)))
        host = request.client.host if request.client else ""
        stream = await self.streams.begin(wanted, caller_of(request.scope).id or host)
        return _json(_described(stream), 201, {"Location": _links(stream.id)["self"]})

    async def _list(self, request: Request) -> Response:
        caller = caller_of(request.scope)
        own = [_described(stream) for stream in self.streams.all() if caller.may_see(stream.owner)]
        return _json({"streams": own})

    async def _get(self, request: Request) -> Response:
        return _json(_described(self._known(request)))

    async def _end(self, request: Request) -> Response:
        self.pages.require(request.headers)
        await self.streams.end(self._known(request).id)
        return Response(status_code=204)

    async def _results(self, request: Request) -> Response:
        return _Lines(self._known(request).readers.add())

    async def _picture(self, request: Request) -> Response:
        picture = self._known(request).picture
        if picture is None:
            raise ServiceError(ErrorKind.NOT_FOUND, "there is no picture: none yet, or none any more")
        content = await picture.drawn(self.workers)
        return Response(content, headers={"Cache-Control": "no-store"}, media_type=JPEG)

    def _known(self, request: Request) -> LiveStream:
        """The stream that the path names, if it is the caller's business: else there is none."""
        stream_id = request.path_params["id"]
        stream = self.streams.get(stream_id)
        if stream is None or not caller_of(request.scope).may_see(stream.owner):
            raise ServiceError(ErrorKind.NOT_FOUND, f"there is no live stream {stream_id[:64]!r}; see {PREFIX}")
        return stream


class _Lines(StreamingResponse):
    """Lines as they come; a caller who leaves frees the place at once."""

    def __init__(self, reader: Reader) -> None:
        # Proxies that gather an answer before they pass it on would hold back what streams.
        super().__init__(reader, headers={"X-Accel-Buffering": "no"}, media_type=NDJSON)
        self._reader = reader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See `StreamingResponse`."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._reader.close()


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise invalid_parameters(f"the body is not JSON: {error}") from None
    if not isinstance(given, dict):
        raise invalid_parameters('send an object, e.g. {"url": "rtsp://…", "task": "detect"}')
    return given


def _described(stream: LiveStream) -> StreamAnswer:
    status = stream.status()
    return {
        "id": status.id,
        "state": status.state,
        "url": status.url,
        "task": status.request["task"],
        "model": None if status.model is None else {"name": status.model[0], "version": str(status.model[1])},
        "request": dict(status.request),
        "created": datetime.fromtimestamp(status.created_s, UTC),
        "source": None if status.source is None else _source(status.source),
        "frames": {
            "received": status.received,
            "processed": status.processed,
            "carried": status.carried,
            "dropped": status.dropped,
        },
        "fps": round(status.frames_per_s, 3),
        "lag_s": _rounded(status.lag_s),
        "connections": status.connections,
        "last_frame_s_ago": _rounded(status.last_frame_s_ago),
        "summary": dict(status.summary),
        "error": _error(status),
        "links": _links(status.id),  # type: ignore[typeddict-item]
    }


def _source(info: VideoInfo) -> StreamSource:
    return {"codec": info.codec, "width": info.width, "height": info.height, "frame_rate": info.frame_rate}


def _error(status: LiveStatus) -> Any:
    return None if status.problem is None else {"code": status.problem.code, "detail": status.problem.detail}


def _links(stream_id: str) -> dict[str, str]:
    path = f"{PREFIX}/{stream_id}"
    return {"self": path, "results": f"{path}/results", "picture": f"{path}/picture.jpg"}


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content, option=orjson.OPT_UTC_Z), status, headers, JSON)
