"""``StreamFrames``: frames in, answers out, no faster than either side goes."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc

from contract.proto.vitrail.v1 import vision_pb2
from contract.task import Task
from contract.tasks.table import TASKS
from service.api.grpc.call import Call, Context, answered, host_of, refused
from service.api.grpc.messages import model_of, parameters_of, result_of, timings_of
from service.errors import ErrorKind, ServiceError, invalid_parameters
from service.inference import Inference, Query, parse_parameters
from service.stream_places import StreamPlaces
from service.telemetry import Telemetry
from service.window import in_order

WINDOW = 4
"""Frames of one stream that are worked on, or whose answers wait to be read."""

_NAME = "vitrail.v1.VisionService/StreamFrames"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a stream asks of each of its frames."""

    task: Task
    model: str | None
    parameters: dict[str, Any]
    flow: object = field(default_factory=object)
    """What its frames have in common, in the queue of the engine."""


@dataclass(frozen=True, slots=True)
class FrameStreams:
    """What the streams need."""

    inference: Inference
    telemetry: Telemetry
    places: StreamPlaces
    frame_timeout_s: float
    """Seconds that a frame's answer may take."""
    stall_s: float
    """Seconds that a caller may leave an answer unread; then the stream ends."""

    def handler(self) -> "grpc.RpcMethodHandler[Any, Any]":
        """The handler of the call ``StreamFrames``."""
        return grpc.stream_stream_rpc_method_handler(
            self._stream,
            request_deserializer=vision_pb2.StreamFramesRequest.FromString,
            response_serializer=vision_pb2.StreamFramesResponse.SerializeToString,
        )

    async def _stream(self, requests: AsyncIterator[vision_pb2.StreamFramesRequest], context: Context) -> None:
        async with Call(context, self.telemetry, _NAME, self.frame_timeout_s) as call:
            messages = aiter(requests)
            start = await anext(messages, None)
            if start is None:
                return
            wanted = await self._wanted(start, call)
            call.account.task = wanted.task
            await context.send_initial_metadata((("x-request-id", call.id),))

            async def work(request: vision_pb2.StreamFramesRequest) -> vision_pb2.StreamFramesResponse:
                if not request.HasField("frame"):
                    raise invalid_parameters("a stream has one start, its first message; all others are frames")
                return await self._answer(request.frame, wanted, call)

            with self.places.place(call.caller.id or host_of(context)):
                await in_order(messages, work, call.stream(self.stall_s).write, WINDOW)

    async def _wanted(self, first: vision_pb2.StreamFramesRequest, call: Call) -> Wanted:
        """What the first message asks for; ServiceError at once if no frame could ever be answered."""
        chosen = first.start.WhichOneof("task") if first.HasField("start") else None
        if chosen is None:
            raise invalid_parameters("the first message of a stream is its start, and says the task")
        parameters = parameters_of(getattr(first.start, chosen))
        wanted = Wanted(Task(chosen), first.start.model or None, parameters)
        parse_parameters(TASKS[wanted.task], parameters)
        await self.inference.resolve(wanted.task, wanted.model, call.metadata, call.deadline)
        return wanted

    async def _answer(self, frame: vision_pb2.Frame, wanted: Wanted, call: Call) -> vision_pb2.StreamFramesResponse:
        account = call.of_its_own(wanted.task)
        account.received_bytes = len(frame.image)
        deadline, stages = time.monotonic() + self.frame_timeout_s, account.stages
        query = Query(
            wanted.task,
            wanted.model,
            [frame.image],
            wanted.parameters,
            deadline,
            stages,
            call.metadata,
            call.id,
            wanted.flow,
            call.caller.priority,
        )
        try:
            answer = await self.inference.predict(query)
        except asyncio.CancelledError:
            refused(account, ServiceError(ErrorKind.CANCELLED, "the stream has ended"))
            raise
        except ServiceError as error:
            refused(account, error)
            failure = vision_pb2.FrameError(code=error.kind, message=error.message)
            return vision_pb2.StreamFramesResponse(id=frame.id, error=failure)
        begun = time.monotonic()
        result: dict[str, Any] = {wanted.task: result_of(wanted.task, answer.results[0])}
        stages.encode = time.monotonic() - begun
        response = vision_pb2.StreamFramesResponse(
            id=frame.id, model=model_of(answer), timings_ms=timings_of(stages), **result
        )
        answered(account, answer.version_used, answer.alias, 1, response.ByteSize())
        return response
