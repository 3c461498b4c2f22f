"""``/v1/videos``: videos taken in as jobs, how these stand, and what they have made."""

import re
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, cast

import orjson
from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.types import Send

from contract.task import Task
from contract.tasks.table import TASKS
from service.api.rest.accounts import begin_account
from service.api.rest.body import BodyLimits
from service.api.rest.departure import unless_caller_leaves
from service.api.rest.guarded import guarded
from service.api.rest.last_answer import LastAnswer
from service.api.rest.predict import request_id_of
from service.api.rest.problems import http_problem, problem
from service.api.rest.refusals import refused
from service.api.rest.video_body import Arriving, VideoBody, opened_body
from service.api.rest.video_status import links_of, status_document
from service.api.rest.videos_document import (
    ANNOTATED,
    CANCEL,
    DELETE,
    LAST_FRAME,
    LIST,
    MOST,
    NDJSON,
    POST,
    RESULTS,
    STATUS,
    USUAL,
)
from service.errors import ErrorKind, ServiceError, invalid_parameters
from service.inference import Inference
from service.security.caller import Caller, caller_of
from service.security.own_pages import OwnPages
from service.telemetry import Account, Telemetry
from service.video.disk import on_disk
from service.video.download import Download
from service.video.job import Job, JobState
from service.video.jobs import Jobs
from service.video.probe import Probe
from service.video.progress import JobStatus
from service.video.video_request import VideoRequest, check_labels

_KEY = re.compile("[!-~]{1,255}")
_NUMBER = re.compile("[0-9]{1,15}")
_RANGE = re.compile("bytes=([0-9]{1,15})-[0-9]*")


@dataclass(frozen=True, slots=True)
class VideoRoutes:
    """What the routes of video jobs need."""

    jobs: Jobs
    inference: Inference
    telemetry: Telemetry
    limits: BodyLimits
    """``stall_s`` holds for videos too, ``timeout_s`` for small bodies only: how large a video may be, jobs say."""
    probe: Probe
    download: Download | None = None
    """Without it no video is fetched by URL."""
    resolve_timeout_s: float = 30.0
    """Within which a model that is out of memory must be back."""
    pages: OwnPages = field(default_factory=OwnPages)
    """Whose pages may send, end and remove videos."""

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(prefix="/v1/videos", tags=["videos"])
        router.add_api_route(
            "", self._post, methods=["POST"], summary="Take in a video", name="Take in a video", **POST
        )
        for path, method, work, name, described in (
            ("", "GET", self._list, "Video jobs, the newest first", LIST),
            ("/{id:no_colon}", "GET", self._get, "How a video job stands", STATUS),
            ("/{id:no_colon}", "DELETE", self._delete, "Remove a video job", DELETE),
            ("/{id:no_colon}:cancel", "POST", self._cancel, "End a video job", CANCEL),
            ("/{id:no_colon}/results", "GET", self._results, "What was found, frame by frame", RESULTS),
            (
                "/{id:no_colon}/annotated.mp4",
                "GET",
                self._annotated,
                "The video with what was found drawn in",
                ANNOTATED,
            ),
        ):
            router.add_api_route(
                path,
                guarded(work, lambda _: self.jobs.require()),
                methods=[method],
                summary=name,
                name=name,
                **described,
            )
        return router

    async def _post(self, request: Request) -> Response:
        # Else it may be any string that a caller made up.
        task = task if (task := request.query_params.get("task", "")) in TASKS else ""
        account = begin_account(self.telemetry, request, task, "/v1/videos")
        arriving = Arriving(request, self.limits.stall_s)
        try:
            return await self._take_in(request, arriving, account)
        except ServiceError as error:
            refusal = error
        except ClientDisconnect:
            # Nobody reads this; the status is for the logs and the metrics.
            refusal = ServiceError(ErrorKind.CANCELLED, "the caller has left")
            arriving.ended = True
        response = refused(account, refusal, problem(refusal, account.id))
        return response if arriving.ended else LastAnswer(response)

    async def _take_in(self, request: Request, arriving: Arriving, account: Account) -> Response:
        self.jobs.require()
        self.pages.require(request.headers)
        key = _idempotency_key(request)
        query = dict(request.query_params)
        async with opened_body(request, arriving, self.limits, self.download) as body:
            wanted = VideoRequest.from_query({**body.parameters, **query})
            self.jobs.check(wanted.as_json())
            deadline = time.monotonic() + self.resolve_timeout_s
            version = (await self.inference.resolve(wanted.task, wanted.model, {}, deadline)).version
            if wanted.reidentify is not None:
                await self.inference.resolve(Task.EMBED, wanted.reidentify.model, {}, deadline)
            check_labels(version.card, wanted.task, wanted.parameters)
            job = await self._submitted(request, arriving, body, wanted, key)
        status = await self.jobs.get(job.id)
        account.received_bytes = job.input_bytes
        account.accepted(version.metrics, "202")
        headers = {"Location": links_of(job)["self"], "X-Request-Id": account.id}
        return _json(status_document(status or JobStatus(job, None)), 202, headers)

    async def _submitted(
        self, request: Request, arriving: Arriving, body: VideoBody, wanted: VideoRequest, key: str | None
    ) -> Job:
        async with self.jobs.receive(body.declared_bytes) as upload:
            reading = upload.read(body.chunks)
            # While the body arrives, whoever reads it notices that the caller has left; behind it nobody else does.
            await (unless_caller_leaves(request, reading) if arriving.ended else reading)
            await upload.finish()
            await self.probe.check(upload.folder.input)
            self.jobs.require()
            owner = caller_of(request.scope).id
            return await self.jobs.submit(
                upload, wanted.as_json(), input_name=body.name, idempotency_key=key, owner=owner
            )

    async def _list(self, request: Request) -> Response:
        query = dict(request.query_params)
        limit = _number(query.pop("limit", str(USUAL)), "limit", 1, MOST)
        before, state = query.pop("before", None), query.pop("state", None)
        _refuse_unknown(query, ("limit", "before", "state"))
        owner = _only_of(caller_of(request.scope))
        wanted = None if state is None else _state(state)
        found = await self.jobs.page(limit + 1, before=before, state=wanted, owner=owner)
        last = found[limit - 1].job.id if len(found) > limit else None
        return _json({"videos": [status_document(status) for status in found[:limit]], "next": last})

    async def _get(self, request: Request) -> Response:
        return _json(status_document(await self._known(request)))

    async def _delete(self, request: Request) -> Response:
        self.pages.require(request.headers)
        status = await self._known(request)
        await self.jobs.delete(status.job.id)
        return Response(status_code=204)

    async def _cancel(self, request: Request) -> Response:
        self.pages.require(request.headers)
        status = await self._known(request)
        await self.jobs.cancel(status.job.id)
        return _json(status_document(await self._known(request)))

    async def _results(self, request: Request) -> Response:
        query = dict(request.query_params)
        from_frame = _number(query.pop("from_frame", "0"), "from_frame", 0, LAST_FRAME)
        _refuse_unknown(query, ("from_frame",))
        job_id = (await self._known(request)).job.id
        return _Lines(self._lines(job_id, from_frame))

    async def _lines(self, job_id: str, from_frame: int) -> AsyncGenerator[bytes, None]:
        """Whole lines, until the job has ended or its files are removed."""
        file = self.jobs.folder(job_id).results
        try:
            results = cast("AsyncGenerator[bytes, None]", self.jobs.results(job_id).read(from_frame))
            async with aclosing(results) as lines:
                async for some in lines:
                    yield some
                    if not await on_disk(file.exists):
                        return
        except FileNotFoundError:  # removed before the first line was read
            return

    async def _annotated(self, request: Request) -> Response:
        job = (await self._known(request)).job
        if not job.request.get("annotate"):
            raise ServiceError(ErrorKind.NOT_FOUND, "no annotated video was asked for; annotate=true does that")
        if not job.state.ended:
            raise ServiceError(ErrorKind.CONFLICT, f"the job is {job.state}; its annotated video is there once it ends")
        path = self.jobs.folder(job.id).annotated
        try:
            found = await on_disk(path.stat)
        except FileNotFoundError:
            raise ServiceError(ErrorKind.NOT_FOUND, "nothing was drawn before the job ended") from None
        if _is_beyond(request, found.st_size):
            response = http_problem(416, request_id_of(request))
            response.headers["Content-Range"] = f"bytes */{found.st_size}"
            return response
        name = f"{job.id}.mp4"
        return FileResponse(
            path, media_type="video/mp4", stat_result=found, filename=name, content_disposition_type="inline"
        )

    async def _known(self, request: Request) -> JobStatus:
        """The job that the path names, if it is the caller's business: else there is none."""
        job_id = request.path_params["id"]
        status = await self.jobs.get(job_id)
        if status is None or not caller_of(request.scope).may_see(status.job.owner):
            raise ServiceError(ErrorKind.NOT_FOUND, f"there is no video job {job_id[:64]!r}")
        return status


class _Lines(StreamingResponse):
    """Lines as they come; whatever ends the answer, what they are read from is closed at once."""

    def __init__(self, lines: AsyncGenerator[bytes, None]) -> None:
        # Proxies that gather an answer before they pass it on would hold back what streams.
        super().__init__(lines, headers={"X-Accel-Buffering": "no"}, media_type=NDJSON)
        self._lines = lines

    async def stream_response(self, send: Send) -> None:
        """See `StreamingResponse`."""
        async with aclosing(self._lines):
            await super().stream_response(send)


def _only_of(caller: Caller) -> str | None:
    """Whose jobs a caller is told of; None: everybody's."""
    return None if caller.sees_all else caller.id


def _idempotency_key(request: Request) -> str | None:
    """The key, with the caller's name before it: what one caller has used is free for all others."""
    key = request.headers.get("idempotency-key")
    if key is not None and _KEY.fullmatch(key) is None:
        raise invalid_parameters("Idempotency-Key is 1 to 255 visible ASCII characters")
    caller = caller_of(request.scope)
    return f"{caller.id} {key}" if key is not None and caller.id else key


def _number(text: str, name: str, least: int, most: int) -> int:
    number = int(text) if _NUMBER.fullmatch(text) else -1
    if not least <= number <= most:
        raise invalid_parameters(f"{name} is a whole number, {least} to {most}")
    return number


def _is_beyond(request: Request, size: int) -> bool:
    """Whether a range is asked for that begins behind the end; the library would say so in plain text."""
    found = _RANGE.fullmatch(request.headers.get("range", ""))
    return found is not None and int(found[1]) >= size and "if-range" not in request.headers


def _state(text: str) -> JobState:
    try:
        return JobState(text)
    except ValueError:
        raise invalid_parameters(f"state is one of {', '.join(JobState)}") from None


def _refuse_unknown(query: Mapping[str, str], known: tuple[str, ...]) -> None:
    for name in query:
        raise invalid_parameters(f"there is no parameter {name[:64]!r}; there are {', '.join(known)}")


def _json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, headers, "application/json")
