"""``ModelInfer`` and ``ModelStreamInfer``: tensors in, tensors out, one request or a stream of them.

Both take and give bytes: so large messages are read and written in the worker threads, not in the event loop.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from tritonclient.grpc import service_pb2  # type: ignore[import-untyped]

from contract.card import ModelCard
from service.api.grpc.call import Call, Context, answered, refused, trailing
from service.api.grpc.tensors import (
    Outputs,
    check,
    encode,
    encode_error,
    encode_streamed,
    inputs_of,
    parse,
    timeout_s_of,
)
from service.errors import ServiceError
from service.served_models import selector_of, text_of
from service.telemetry import Account, Stages, Telemetry
from service.tensor_inference import TensorInference, TensorQuery
from service.window import in_order

T = TypeVar("T")
Write = Callable[[ModelCard, Outputs, str], bytes]

WINDOW = 8
"""Requests of one stream that are worked on, or whose answers wait to be read."""

_SMALL = 512 * 1024
"""Bytes that are read or written at once; more are the business of a worker thread."""
_SERVICE = "inference.GRPCInferenceService"


@dataclass(frozen=True, slots=True)
class TensorCalls:
    """What the calls with tensors need."""

    inference: TensorInference
    telemetry: Telemetry
    workers: Executor
    default_timeout_s: float
    stall_s: float
    """Seconds that a stream's answer may be left unread; then the stream ends."""

    def handlers(self) -> "dict[str, grpc.RpcMethodHandler[Any, Any]]":
        """The handlers of the two calls, by their names."""
        return {
            "ModelInfer": grpc.unary_unary_rpc_method_handler(self._infer),
            "ModelStreamInfer": grpc.stream_stream_rpc_method_handler(self._stream),
        }

    async def _infer(self, data: bytes, context: Context) -> bytes:
        async with Call(context, self.telemetry, f"{_SERVICE}/ModelInfer", self.default_timeout_s) as call:
            account, stages = call.account, call.account.stages
            account.received_bytes = len(data)
            request = await self._parse(data, stages)
            query = self._query(request, len(data), call, call.deadline, account)
            response, stand_in = await self._answer(query, request.id, encode, account)
            context.set_trailing_metadata(trailing(call.id, stages, stand_in))
            return response

    async def _stream(self, requests: AsyncIterator[bytes], context: Context) -> None:
        async with Call(context, self.telemetry, f"{_SERVICE}/ModelStreamInfer", self.default_timeout_s) as call:

            async def work(data: bytes) -> bytes:
                # The stream's own deadline ends it as a whole, and all that is under way with it.
                return await self._streamed(data, call, time.monotonic() + self.default_timeout_s)

            await in_order(requests, work, call.stream(self.stall_s).write, WINDOW)

    async def _streamed(self, data: bytes, call: Call, deadline: float) -> bytes:
        """The answer to one request of a stream; what is wrong with it is an answer too, and the stream goes on."""
        request, account = service_pb2.ModelInferRequest(), call.of_its_own("")
        account.received_bytes = len(data)
        try:
            request = await self._parse(data, account.stages)
            query = self._query(request, len(data), call, deadline, account)
            return (await self._answer(query, request.id, encode_streamed, account))[0]
        except ServiceError as error:
            refused(account, error)
            return encode_error(error.message, request)

    async def _parse(self, data: bytes, stages: Stages) -> Any:
        begun = time.monotonic()
        request = parse(data) if len(data) < _SMALL else await self._in_worker(lambda: parse(data))
        stages.decode = time.monotonic() - begun
        return request

    def _query(self, request: Any, size: int, call: Call, deadline: float, account: Account) -> TensorQuery:
        check(request)
        timeout_s = timeout_s_of(request)
        return TensorQuery(
            model=text_of(selector_of(request.model_name, request.model_version)),
            inputs=inputs_of(request, self._in_worker, small=size < _SMALL),
            outputs=[output.name for output in request.outputs],
            deadline=deadline if timeout_s is None else min(deadline, time.monotonic() + timeout_s),
            stages=account.stages,
            metadata=call.metadata,
            resolved=account.of_task,
            priority=call.caller.priority,
        )

    async def _answer(self, query: TensorQuery, request_id: str, write: Write, account: Account) -> tuple[bytes, str]:
        """The response, and what stood in for the version's engine."""
        answer = await self.inference.infer(query)
        begun = time.monotonic()
        card, outputs = answer.version_used.card, answer.outputs
        if sum(values.nbytes for values in outputs.values()) < _SMALL:
            response = write(card, outputs, request_id)
        else:
            response = await self._in_worker(lambda: write(card, outputs, request_id))
        query.stages.encode = time.monotonic() - begun
        answered(account, answer.version_used, answer.alias, answer.images, len(response))
        return response, answer.stand_in

    async def _in_worker(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.workers, work)
