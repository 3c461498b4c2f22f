"""``/v2…``: the Open Inference Protocol (KServe's V2) over REST, for clients of Triton and KServe."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from contract.preprocess import Pixels
from contract.tensors import TensorSpec
from service.api.rest import protocol_document as document
from service.api.rest.accounts import begin_account
from service.api.rest.body import BodyLimits, receive
from service.api.rest.departure import unless_caller_leaves
from service.api.rest.predict import headers_of, timeout_of
from service.api.rest.refusals import refused
from service.api.rest.tensor_codec import (
    HEADER,
    Encoded,
    Received,
    RequestInput,
    document_length,
    encode,
    inflate,
    take_apart,
)
from service.errors import ErrorKind, ServiceError
from service.pixel_tensors import from_bytes, from_numbers
from service.registry.registry import Registry
from service.registry.routing import Selector
from service.security.caller import caller_of
from service.served_models import SERVER, ServedModels, release, selector_of, text_of
from service.telemetry import Account, Stages, Telemetry
from service.tensor_inference import InputTensor, TensorAnswer, TensorInference, TensorQuery, batched, datatype_of

T = TypeVar("T")
STATUS: dict[ErrorKind, int] = {
    ErrorKind.INVALID_IMAGE: 400,
    ErrorKind.INVALID_VIDEO: 400,
    ErrorKind.INVALID_PARAMETERS: 400,
    ErrorKind.UNSUPPORTED_MEDIA_TYPE: 415,
    ErrorKind.TOO_LARGE: 413,
    ErrorKind.UNAUTHENTICATED: 401,
    ErrorKind.FORBIDDEN: 403,
    ErrorKind.MODEL_NOT_FOUND: 404,
    ErrorKind.VERSION_NOT_READY: 503,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.CONFLICT: 409,
    ErrorKind.RATE_LIMITED: 429,
    ErrorKind.OVERLOADED: 429,
    ErrorKind.STORAGE_FULL: 507,
    ErrorKind.DEADLINE_EXCEEDED: 504,
    ErrorKind.CANCELLED: 499,
    ErrorKind.ENGINE_UNAVAILABLE: 503,
    ErrorKind.INTERNAL: 500,
}
"""What this protocol's clients expect; ``/v1`` has a table of its own."""

_SMALL = 64 * 1024
"""Bytes that are read or written at once; more are the business of a worker thread."""
_NO_TASK = ""
"""The task of a request that was refused before its model was known, as a metric's label."""
_MODEL = "/v2/models/{name}"
_VERSION = "/v2/models/{name}/versions/{number}"


@dataclass(frozen=True, slots=True)
class InferenceProtocolRoutes:
    """What the protocol's routes need."""

    inference: TensorInference
    registry: Registry
    telemetry: Telemetry
    workers: Executor
    limits: BodyLimits
    default_timeout_s: float
    draining: Callable[[], bool]

    def router(self) -> APIRouter:
        """All routes of the protocol."""
        router = APIRouter(tags=["open inference protocol"])
        router.add_api_route("/v2", self._server, methods=["GET"], summary="Server metadata", **document.SERVER)
        router.add_api_route("/v2/health/live", self._live, methods=["GET"], summary="Alive", **document.LIVE)
        router.add_api_route("/v2/health/ready", self._ready, methods=["GET"], summary="Ready", **document.READY)
        for path, what, described in ((_MODEL, "model", document.OF_MODEL), (_VERSION, "version", document.OF_VERSION)):
            metadata, ready, infer = described
            router.add_api_route(path, self._metadata, methods=["GET"], summary=f"A {what}'s tensors", **metadata)
            router.add_api_route(
                f"{path}/ready", self._model_ready, methods=["GET"], summary=f"A {what} answers", **ready
            )
            router.add_api_route(
                f"{path}/infer", self._infer, methods=["POST"], summary=f"Tensors through a {what}", **infer
            )
        return router

    async def _server(self) -> Response:
        return _json({"name": SERVER, "version": release(), "extensions": ["binary_tensor_data"]})

    async def _live(self) -> Response:
        return _json({"live": True})

    async def _ready(self) -> Response:
        ready = self.registry.ready and not self.draining()
        return _json({"ready": ready}, 200 if ready else 503)

    async def _metadata(self, request: Request) -> Response:
        """The tensors, as of the version named, else of the one that the alias, or ``stable``, stands for."""
        models = ServedModels(self.registry)
        try:
            selector = _selector(request)
            card = models.card(selector)
        except ServiceError as error:
            return _error(error)
        return _json(
            {
                "name": card.name,
                "versions": [str(number) for number in models.numbers(selector.name)],
                "platform": card.platform,
                "inputs": [_described(card.input)],
                "outputs": [_described(output) for output in card.outputs],
            }
        )

    async def _model_ready(self, request: Request) -> Response:
        """200 if the next request would be taken; a version that gave its memory to others comes back for it."""
        try:
            ready = ServedModels(self.registry).ready(_selector(request))
        except ServiceError as error:
            return _error(error)
        return _json({"name": request.path_params["name"], "ready": ready}, 200 if ready else 503)

    async def _infer(self, request: Request) -> Response:
        account = begin_account(self.telemetry, request, _NO_TASK, "/v2/models/{name}/infer")
        try:
            answer, encoded = await self._answer(request, account)
        except ServiceError as error:
            return _refused(account, error)
        except ClientDisconnect:
            # Nobody reads this; the status is for the logs and the metrics.
            return _refused(account, ServiceError(ErrorKind.CANCELLED, "the caller has left"))
        account.answered(answer.version_used.metrics, answer.alias, "200", answer.images, len(encoded.body))
        headers = headers_of(account.id, account.stages, answer.stand_in)
        return Response(encoded.body, 200, headers | encoded.headers, encoded.media_type)

    async def _answer(self, request: Request, account: Account) -> tuple[TensorAnswer, Encoded]:
        begun, stages = time.monotonic(), account.stages
        time_left = timeout_of(request, self.default_timeout_s)
        selector = _selector(request)
        received = await self._receive(request, account)
        query = TensorQuery(
            model=text_of(selector),
            inputs=[self._input(*pair) for pair in zip(received.document.inputs, received.binaries, strict=True)],
            outputs=[output.name for output in received.document.outputs],
            deadline=begun + min(time_left, received.timeout_s or time_left),
            stages=stages,
            metadata=request.headers,
            resolved=account.of_task,
            priority=caller_of(request.scope).priority,
        )
        answer = await unless_caller_leaves(request, self.inference.infer(query))
        return answer, await self._encode(answer, received, stages)

    async def _receive(self, request: Request, account: Account) -> Received:
        stages = account.stages
        body = await receive(request, self.limits)
        begun = time.monotonic()
        stages.fetch = begun - account.begun
        account.received_bytes = len(body)
        header_length = request.headers.get(HEADER)
        encoding = request.headers.get("content-encoding", "")

        def work() -> Received:
            return take_apart(inflate(body, encoding, self.limits.max_bytes), header_length)

        small = not encoding and document_length(len(body), header_length) < _SMALL
        received = work() if small else await self._in_worker(work)
        stages.decode = time.monotonic() - begun
        return received

    def _input(self, described: RequestInput, binary: memoryview | None) -> InputTensor:
        name, shape = described.name, tuple(described.shape)
        made: list[Pixels] = []

        async def read() -> Pixels:
            if binary is not None:
                return from_bytes(name, binary, shape)
            if not made:
                made.append(await self._in_worker(lambda: from_numbers(name, described.data, shape)))
                # Numbers in a list take eight times the room; they are not kept while the request waits its turn.
                described.data = None
            return made[0]

        return InputTensor(described.name, described.datatype, shape, read)

    async def _encode(self, answer: TensorAnswer, received: Received, stages: Stages) -> Encoded:
        begun = time.monotonic()
        card = answer.version_used.card

        def work() -> Encoded:
            return encode(card.name, card.version, answer.outputs, received)

        small = sum(values.nbytes for values in answer.outputs.values()) < _SMALL
        encoded = work() if small else await self._in_worker(work)
        stages.encode = time.monotonic() - begun
        return encoded

    async def _in_worker(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.workers, work)


def _selector(request: Request) -> Selector:
    return selector_of(request.path_params["name"], request.path_params.get("number"))


def _described(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": datatype_of(spec.dtype), "shape": batched(spec)}


def _json(content: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")


def _refused(account: Account, error: ServiceError) -> Response:
    response = _error(error)
    response.headers["X-Request-Id"] = account.id
    return refused(account, error, response)


def _error(error: ServiceError) -> Response:
    response = _json({"error": error.message}, STATUS[error.kind])
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    return response
