"""``vitrail.v1.VisionService``: one call a task; streams stand in ``frames.py``."""

import asyncio
import time
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import grpc

from contract.proto.vitrail.v1 import vision_pb2
from contract.task import Task
from contract.tasks.definition import InvalidParameter
from service.api.grpc.call import Call, Context, answered, trailing
from service.api.grpc.messages import MESSAGES, parameters_of, response_of, timings_of
from service.errors import invalid_parameters
from service.inference import Answer, Inference, Query
from service.telemetry import Telemetry

SERVICE = "vitrail.v1.VisionService"

_MEDIA_TYPES: dict[int, str] = {vision_pb2.PICTURE_PNG: "image/png", vision_pb2.PICTURE_JPEG: "image/jpeg"}


@dataclass(frozen=True, slots=True)
class VisionCalls:
    """What the calls of the tasks need."""

    inference: Inference
    telemetry: Telemetry
    workers: Executor
    default_timeout_s: float

    def handlers(self) -> dict[str, "grpc.RpcMethodHandler[Any, Any]"]:
        """A handler for each unary call, by its name."""
        return {name: self._handler(task, name) for task, name in MESSAGES.items()}

    def _handler(self, task: Task, name: str) -> "grpc.RpcMethodHandler[Any, Any]":
        async def answer(request: Any, context: Context) -> bytes:
            return await self._answer(f"{SERVICE}/{name}", task, request, context)

        # The answer is serialised where the time of it can be told.
        return grpc.unary_unary_rpc_method_handler(
            answer, request_deserializer=getattr(vision_pb2, f"{name}Request").FromString, response_serializer=None
        )

    async def _answer(self, name: str, task: Task, request: Any, context: Context) -> bytes:
        async with Call(context, self.telemetry, name, self.default_timeout_s, task) as call:
            media_type = _wanted_picture(request)
            stages = call.account.stages
            call.account.received_bytes = sum(map(len, request.images))
            query = Query(
                task=task,
                model=request.model or None,
                images=list(request.images),
                parameters=parameters_of(request.parameters),
                deadline=call.deadline,
                stages=stages,
                metadata=call.metadata,
                request_id=call.id,
                priority=call.caller.priority,
            )
            answer = await self.inference.predict(query)
            data = await self._encode(query, answer, media_type)
            answered(call.account, answer.version_used, answer.alias, len(answer.results), len(data))
            context.set_trailing_metadata(trailing(call.id, stages, answer.stand_in))
            return data

    async def _encode(self, query: Query, answer: Answer, media_type: str | None) -> bytes:
        begun = time.monotonic()
        response = response_of(query.task, answer, query.request_id)
        if media_type:
            response.picture = await self._picture(query, answer, media_type)
        query.stages.encode = time.monotonic() - begun
        response.timings_ms.CopyFrom(timings_of(query.stages))
        data: bytes = response.SerializeToString()
        return data

    async def _picture(self, query: Query, answer: Answer, media_type: str) -> bytes:
        (image,) = query.images
        if not isinstance(image, bytes):
            raise TypeError("a call's image is encoded")

        def work() -> bytes:
            # Drawing is rare and its library large: it is imported when first wanted.
            from service.drawing import render  # noqa: PLC0415

            trimap = answer.version_used.card.preprocess.trimap
            limits = self.inference.decode_limits
            return render(query.task, image, answer.results[0], media_type, limits, trimap=trimap)

        try:
            return await asyncio.get_running_loop().run_in_executor(self.workers, work)
        except InvalidParameter as error:
            raise invalid_parameters(str(error)) from error


def _wanted_picture(request: Any) -> str | None:
    """The picture type that is asked for, if one is; ServiceError, before any work is done, if it cannot be had."""
    if not request.picture:
        return None
    if request.picture not in _MEDIA_TYPES:
        raise invalid_parameters("picture must be PICTURE_PNG, PICTURE_JPEG or PICTURE_NONE")
    if len(request.images) != 1:
        raise invalid_parameters("a picture can be drawn of one image only; ask for none, or send one image")
    return _MEDIA_TYPES[request.picture]
