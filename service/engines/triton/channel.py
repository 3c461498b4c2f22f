"""The calls to one Triton, each with a deadline.

The stub and the messages are tritonclient's. Its client class is passed over: it copies every input once more, and
gives back a gRPC error's code as text.
"""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import cycle
from typing import Any, TypeVar

import grpc
from grpc.aio import AioRpcError
from tritonclient.grpc import service_pb2, service_pb2_grpc  # type: ignore[import-untyped]

from service.engines.triton.errors import Cause, Failure
from service.telemetry.tracing import CURRENT

T = TypeVar("T")

_MAX_MESSAGE = 2**31 - 1
_OPTIONS = (
    ("grpc.max_send_message_length", _MAX_MESSAGE),
    ("grpc.max_receive_message_length", _MAX_MESSAGE),
    # Channels of one process to one address share a connection otherwise.
    ("grpc.use_local_subchannel_pool", 1),
    # A replica that returns is found at once, not after gRPC's up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    # How long one attempt to connect may take.
    ("grpc.min_reconnect_backoff_ms", 2_000),
    ("grpc.max_reconnect_backoff_ms", 500),
    # Each replica is an address of its own: a proxy for the environment's web traffic knows nothing of them.
    ("grpc.enable_http_proxy", 0),
)


class TritonChannel:
    """Connections to one Triton. Every call raises Failure, and nothing else, where it is not answered."""

    def __init__(self, address: str, connections: int = 1) -> None:
        self.address = address
        self._channels = [grpc.aio.insecure_channel(address, options=_OPTIONS) for _ in range(connections)]
        self._stubs = [service_pb2_grpc.GRPCInferenceServiceStub(channel) for channel in self._channels]
        self._turns = cycle(self._stubs)

    async def close(self) -> None:
        """End the connections, and what still runs on them."""
        for channel in self._channels:
            await channel.close(None)

    async def live(self, timeout_s: float, *, patient: bool = False) -> bool:
        """Whether the server is alive; ``patient`` waits for a connection that is being made."""
        request = service_pb2.ServerLiveRequest()
        response = await _answer(self._stubs[0].ServerLive, request, timeout=timeout_s, wait_for_ready=patient)
        return bool(response.live)

    async def load(self, model: str, config: str, timeout_s: float) -> None:
        """Load a model with this configuration (JSON), which replaces the one in the repository."""
        request = service_pb2.RepositoryModelLoadRequest(model_name=model)
        request.parameters["config"].string_param = config
        await _answer(self._stubs[0].RepositoryModelLoad, request, timeout=timeout_s)

    async def unload(self, model: str, timeout_s: float) -> None:
        """Begin to unload all of a model; what runs is finished first."""
        request = service_pb2.RepositoryModelUnloadRequest(model_name=model)
        await _answer(self._stubs[0].RepositoryModelUnload, request, timeout=timeout_s)

    async def states(self, timeout_s: float) -> dict[tuple[str, int], tuple[str, str]]:
        """State (``READY``, ``LOADING``, ``UNLOADING``, ``UNAVAILABLE``) and reason, by model and version."""
        response = await _answer(
            self._stubs[0].RepositoryIndex, service_pb2.RepositoryIndexRequest(), timeout=timeout_s
        )
        entries = (entry for entry in response.models if entry.version)
        return {(entry.name, int(entry.version)): (entry.state, entry.reason) for entry in entries}

    async def register(self, region: str, size: int, timeout_s: float) -> None:
        """Make a region of system shared memory known by its own name, anew where it was known before."""
        forget = service_pb2.SystemSharedMemoryUnregisterRequest(name=region)
        await _answer(self._stubs[0].SystemSharedMemoryUnregister, forget, timeout=timeout_s)
        request = service_pb2.SystemSharedMemoryRegisterRequest(name=region, key=f"/{region}", byte_size=size)
        await _answer(self._stubs[0].SystemSharedMemoryRegister, request, timeout=timeout_s)

    async def unregister(self, region: str, timeout_s: float) -> None:
        """Forget a region; one that is unknown is no error."""
        request = service_pb2.SystemSharedMemoryUnregisterRequest(name=region)
        await _answer(self._stubs[0].SystemSharedMemoryUnregister, request, timeout=timeout_s)

    async def infer(self, request: Any, timeout_s: float) -> Any:
        """ModelInferRequest → ModelInferResponse. Cancelling the task that awaits this cancels the call in Triton."""
        trace = CURRENT.get()
        metadata = None if trace is None else tuple(trace.headers().items())
        return await _answer(next(self._turns).ModelInfer, request, timeout=timeout_s, metadata=metadata)


async def _answer(call: Callable[..., Awaitable[T]], request: Any, **options: Any) -> T:
    try:
        return await call(request, **options)
    except AioRpcError as error:
        raise Failure.of(error) from None
    except grpc.aio.UsageError:
        raise Failure(Cause.UNREACHABLE, _CLOSED) from None
    except asyncio.CancelledError:
        if _cancelled():
            raise
        # gRPC says so of calls whose channel was closed under them; their callers have cancelled nothing.
        raise Failure(Cause.CUT_OFF, _CLOSED) from None


def _cancelled() -> bool:
    """Whether it is the running task that was cancelled."""
    # Asked for here, for a frame that the error passes through must not know the task: it would refer to itself.
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


_CLOSED = "the replica has left the fleet"
