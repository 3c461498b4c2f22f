"""``POST /v1/{task}``: encoded images in, the task's typed answer or a picture of it out."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from contract.tasks.definition import InvalidParameter, TaskDefinition
from contract.tasks.table import TASKS
from service.api.json_answers import json_answer
from service.api.request_id import request_id
from service.api.rest.accounts import begin_account
from service.api.rest.answers import JSON, MASKS, PICTURES, answer_type, masks_answer, parameters_of_masks
from service.api.rest.body import BodyLimits, read_body
from service.api.rest.departure import unless_caller_leaves
from service.api.rest.openapi import describe
from service.api.rest.problems import problem
from service.api.rest.refusals import refused
from service.errors import ErrorKind, ServiceError, invalid_parameters
from service.inference import Answer, Inference, Query, parse_parameters
from service.security.caller import caller_of
from service.telemetry import Account, Stages, Telemetry

DEGRADED = "X-Vitrail-Degraded"
"""Of an answer whose version's engine is away: what answered in its stead."""


_REQUEST_ID = "vitrail.request_id"


@dataclass(frozen=True, slots=True)
class PredictRoutes:
    """What the routes of the tasks need."""

    inference: Inference
    telemetry: Telemetry
    workers: Executor
    limits: BodyLimits
    default_timeout_s: float

    def router(self) -> APIRouter:
        """One route for each task that takes images."""
        router = APIRouter(tags=["tasks"])
        for task in (task for task in TASKS.values() if not task.clips):
            router.add_api_route(
                f"/v1/{task.task}", self._route(task), methods=["POST"], name=task.task, **describe(task)
            )
        return router

    def _route(self, task: TaskDefinition) -> Any:
        async def route(request: Request) -> Response:
            return await self._answer(request, task)

        return route

    async def _answer(self, request: Request, task: TaskDefinition) -> Response:
        account = begin_account(self.telemetry, request, task.task, f"/v1/{task.task}")
        try:
            answer, response = await self._predict(request, task, account)
        except ServiceError as error:
            refusal = error
        except ClientDisconnect:
            # Nobody reads this; the status is for the logs and the metrics.
            refusal = ServiceError(ErrorKind.CANCELLED, "the caller has left")
        except asyncio.CancelledError:
            account.refused(ServiceError(ErrorKind.CANCELLED, "the service has ended before it"))
            raise
        else:
            used = answer.version_used.metrics
            account.answered(used, answer.alias, "200", len(answer.results), len(response.body))
            return response
        return refused(account, refusal, problem(refusal, account.id))

    async def _predict(self, request: Request, task: TaskDefinition, account: Account) -> tuple[Answer, Response]:
        stages, request_id = account.stages, account.id
        deadline = time.monotonic() + timeout_of(request, self.default_timeout_s)
        wanted = answer_type(request.headers.get("accept", ""), task.task)
        body = await read_body(request, self.limits)
        stages.fetch = time.monotonic() - account.begun
        account.received_bytes = body.size
        if wanted in PICTURES and len(body.images) != 1:
            raise invalid_parameters("a picture can be drawn of one image only; ask for JSON, or send one image")
        parameters = body.parameters | dict(request.query_params)
        model = parameters.pop("model", None)
        if not isinstance(model, str | None):
            raise invalid_parameters("model must be name, name@alias or name:version")
        if wanted in PICTURES:
            parameters |= parse_parameters(task, parameters).for_picture()
        elif wanted == MASKS:
            parameters = parameters_of_masks(parameters)
        query = Query(
            task.task,
            model,
            body.images,
            parameters,
            deadline,
            stages,
            request.headers,
            request_id,
            priority=caller_of(request.scope).priority,
        )
        answer = await unless_caller_leaves(request, self.inference.predict(query))
        if wanted == JSON:
            content = json_answer(answer, request_id, stages)
        elif wanted == MASKS:
            content = await self._in_worker(lambda: masks_answer(answer, request_id, stages), stages)
        else:
            content = await self._in_worker(lambda: self._picture(task, answer, body.images[0], wanted), stages)
        return answer, Response(content, 200, headers_of(request_id, stages, answer.stand_in), wanted)

    async def _in_worker(self, work: Callable[[], bytes], stages: Stages) -> bytes:
        begun = time.monotonic()
        try:
            content = await asyncio.get_running_loop().run_in_executor(self.workers, work)
        except InvalidParameter as error:
            raise invalid_parameters(str(error)) from error
        stages.encode = time.monotonic() - begun
        return content

    def _picture(self, task: TaskDefinition, answer: Answer, image: bytes, media_type: str) -> bytes:
        # Drawing is rare and its library large: it is imported when first wanted.
        from service.drawing import render  # noqa: PLC0415

        trimap = answer.version_used.card.preprocess.trimap
        limits = self.inference.decode_limits
        return render(task.task, image, answer.results[0], media_type, limits, trimap=trimap)


def request_id_of(request: Request) -> str:
    """The caller's X-Request-Id if it is a sane one, else a new one, which is the request's from then on."""
    given = request.scope.get(_REQUEST_ID) or request_id(request.headers.get("x-request-id"))
    request.scope[_REQUEST_ID] = given
    return str(given)


def timeout_of(request: Request, default_s: float) -> float:
    """Seconds that the caller waits, at most the default; ServiceError for a header that makes no sense."""
    text = request.headers.get("x-request-timeout-ms")
    if text is None:
        return default_s
    try:
        milliseconds = float(text)
    except ValueError:
        milliseconds = 0.0
    if not 0 < milliseconds < float("inf"):
        raise invalid_parameters("X-Request-Timeout-Ms must be a positive number of milliseconds")
    return min(milliseconds / 1e3, default_s)


def headers_of(request_id: str, stages: Stages, stand_in: str) -> dict[str, str]:
    """The headers of every good answer; ``stand_in`` is what gave it where the version's engine was away."""
    headers = {"X-Request-Id": request_id, "Server-Timing": stages.as_server_timing()}
    return headers | {DEGRADED: stand_in} if stand_in else headers
