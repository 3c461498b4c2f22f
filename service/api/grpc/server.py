"""The gRPC server: what it listens on, its limits, and its end."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health import SERVICE_NAME
from grpc_reflection.v1alpha import reflection

from service.api.grpc.frames import FrameStreams
from service.api.grpc.health import Health
from service.api.grpc.vision import SERVICE, VisionCalls
from service.descriptors import descriptors

_log = logging.getLogger("vitrail")

_MAX_METADATA_BYTES = 64 * 1024
_ENVELOPE_BYTES = 64 * 1024
"""What a message may hold beside its images."""


class AddressTaken(OSError):
    """Nobody can listen at the address."""


class Service(Protocol):
    """A service beside Vitrail's own."""

    name: str

    def add_to(self, server: grpc.aio.Server) -> None:
        """Have its calls answered by a server."""
        ...


@dataclass(frozen=True, slots=True)
class GrpcLimits:
    """What one message, and all calls together, may take."""

    max_body_bytes: int
    max_calls: int
    """Calls and streams under way at the same time; more are refused as RESOURCE_EXHAUSTED."""
    max_connections: int = field(default_factory=lambda: max(descriptors() // 8, 1))
    """At a time; more are closed at once. They are an eighth of the descriptors that the process may have: REST has
    three quarters, and the rest is for files."""


class GrpcServer:
    """Answers gRPC calls on one address, from `start` until `stop`."""

    def __init__(
        self,
        calls: VisionCalls,
        streams: FrameStreams,
        others: tuple[Service, ...],
        limits: GrpcLimits,
        ready: Callable[[], bool],
        *,
        entrance: grpc.aio.ServerInterceptor | None = None,
        credentials: grpc.ServerCredentials | None = None,
    ) -> None:
        """``entrance`` is passed by every call; without ``credentials`` there is no TLS."""
        self._handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            **calls.handlers(),
            "StreamFrames": streams.handler(),
        }
        self._others = others
        self._limits = limits
        self._interceptors = [entrance] if entrance is not None else []
        self._credentials = credentials
        self._names = (SERVICE, *(other.name for other in others))
        self._health = Health(ready, self._names)
        self._following: asyncio.Task[None] | None = None
        self._server: grpc.aio.Server | None = None
        self._abandoned: asyncio.Task[None] | None = None
        self.port = 0
        """Where it listens; 0 before `start`."""

    async def start(self, address: str) -> None:
        """Listen at ``host:port``; port 0 means any that is free. AddressTaken if that cannot be."""
        server = grpc.aio.server(
            interceptors=self._interceptors, options=self._options(), maximum_concurrent_rpcs=self._limits.max_calls
        )
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, self._handlers),))
        for other in self._others:
            other.add_to(server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health.servicer, server)
        reflection.enable_server_reflection((*self._names, SERVICE_NAME, reflection.SERVICE_NAME), server)
        try:
            if self._credentials is None:
                self.port = server.add_insecure_port(address)
            else:
                self.port = server.add_secure_port(address, self._credentials)
        except RuntimeError as error:
            raise AddressTaken(f"nobody can listen at {address}, or somebody does already") from error
        self._server = server
        await server.start()
        self._following = asyncio.create_task(self._health.follow(), name="telling gRPC's health")

    def _options(self) -> list[tuple[str, int]]:
        return [
            ("grpc.max_receive_message_length", self._limits.max_body_bytes + _ENVELOPE_BYTES),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_metadata_size", _MAX_METADATA_BYTES),
            # Whoever connects and says nothing, or nothing any more, would else keep others out for ever.
            ("grpc.max_allowed_incoming_connections", self._limits.max_connections),
            ("grpc.server_handshake_timeout_ms", 20_000),
            ("grpc.max_connection_idle_ms", 300_000),
            # A caller who is gone without a word is noticed, and what its calls hold is let go.
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 20_000),
            # Two services on one port would share its callers between them without a word.
            ("grpc.so_reuseport", 0),
        ]

    async def stop(self, grace_s: float) -> None:
        """Take no more calls, and let those under way end within so many seconds."""
        if self._server is None:
            return
        if self._following is not None:
            self._following.cancel()
        await self._health.begin_drain()
        await self._server.stop(grace_s)

    def abandon(self) -> None:
        """End all calls under way at once, also those that `stop` waits for."""
        if self._server is not None:
            self._abandoned = asyncio.create_task(self._server.stop(None))
