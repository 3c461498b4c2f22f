"""Where gRPC calls come in: nothing behind it is reached by callers who may not; see `service.security.gate`."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import grpc

from service.api.grpc.call import CALLER, Call, Context, host_of
from service.errors import ErrorKind, ServiceError, deadline_exceeded
from service.security.caller import Caller, Scope
from service.security.gate import Admitted, Gate, credential_of
from service.telemetry import Telemetry

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

OPEN = frozenset(
    {
        "/grpc.health.v1.Health/Check",
        "/inference.GRPCInferenceService/ServerLive",
        "/inference.GRPCInferenceService/ServerReady",
    }
)
"""What probes ask, which bring no keys. Not ``Watch``: it has no end, so that a few who watch would take every place
that there is for calls (``--max-grpc-calls``)."""

_ASKS = frozenset({Scope.INFER})
_ANSWERS = frozenset({Scope.INFER, Scope.ADMIN})
_ASKING = (
    "/vitrail.v1.VisionService/",
    "/inference.GRPCInferenceService/ModelInfer",
    "/inference.GRPCInferenceService/ModelStreamInfer",
)
"""What the names of those methods begin with that ask models; all others tell what is served."""
_NO_WAIT_S = 1.0
_MESSAGE_S = 30.0
"""Within which a call's message must have arrived."""


class CallEntrance(grpc.aio.ServerInterceptor):
    """Looks at every call before its handler does."""

    def __init__(self, gate: Gate, telemetry: Telemetry) -> None:
        self._gate = gate
        self._telemetry = telemetry

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """See `grpc.aio.ServerInterceptor`; who may not come in has not even its message read."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method in OPEN:
            return handler
        given = handler_call_details.invocation_metadata or ()
        metadata = {name: value for name, value in given if isinstance(value, str)}
        try:
            needed = _ASKS if method.startswith(_ASKING) else _ANSWERS
            caller = await self._gate.caller(credential_of(metadata), needed)
        except ServiceError as error:
            return self._refusal(method, error)
        return self._guarded(handler, method, caller)

    def _refusal(self, method: str, error: ServiceError) -> Handler:
        async def refuse(_: Any, context: Context) -> None:
            async with Call(context, self._telemetry, method[1:], _NO_WAIT_S):
                raise error

        return grpc.stream_stream_rpc_method_handler(refuse)

    def _guarded(self, handler: Handler, method: str, caller: Caller) -> Handler:
        """The handler, which then works for that caller, as long as that is not too much.

        To the library each call is a stream of messages, so that it is counted before its first one is waited for:
        calls that never send theirs would else take the places of all, and be nobody's.
        """
        how = ("unary", "stream")
        response = how[handler.response_streaming]
        work = getattr(handler, f"{how[handler.request_streaming]}_{response}")

        async def answer(requests: Any, context: Context) -> Any:
            admitted = await self._begun(context, method, caller)
            with self._inside(admitted):
                given = requests if handler.request_streaming else await self._only(requests, context, method)
                return await work(given, context)

        async def stream(requests: Any, context: Context) -> Any:
            admitted = await self._begun(context, method, caller)
            with self._inside(admitted):
                given = requests if handler.request_streaming else await self._only(requests, context, method)
                async for message in work(given, context):
                    yield message

        make = getattr(grpc, f"stream_{response}_rpc_method_handler")
        guarded = stream if inspect.isasyncgenfunction(work) else answer
        made: Handler = make(guarded, handler.request_deserializer, handler.response_serializer)
        return made

    async def _begun(self, context: Context, method: str, caller: Caller) -> Admitted:
        try:
            return self._gate.begin(caller, host_of(context))
        except ServiceError as error:
            async with Call(context, self._telemetry, method[1:], _NO_WAIT_S):
                raise error from None
        raise AssertionError("a call that is refused has ended")

    async def _only(self, requests: Any, context: Context, method: str) -> Any:
        """The one message of a call that has just one."""
        try:
            async with asyncio.timeout(_MESSAGE_S):
                return await anext(aiter(requests))
        except TimeoutError:
            error = deadline_exceeded("the call's message did not come")
        except (StopAsyncIteration, grpc.aio.InternalError):
            # The library refuses what is too large, also once it is unpacked, by itself, and says no more here.
            error = ServiceError(ErrorKind.TOO_LARGE, "the call has no message, or one beyond the limit of a body")
        async with Call(context, self._telemetry, method[1:], _NO_WAIT_S):
            raise error
        raise AssertionError("a call that is refused has ended")

    @contextmanager
    def _inside(self, admitted: Admitted) -> Iterator[None]:
        CALLER.set(admitted.caller)
        try:
            yield
        finally:
            self._gate.leave(admitted)
