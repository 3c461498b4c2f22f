"""``inference.GRPCInferenceService``: the Open Inference Protocol over gRPC, for clients of Triton and KServe.

Its messages are those that tritonclient ships.
"""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import text_format
from tritonclient.grpc import service_pb2  # type: ignore[import-untyped]

from contract.tensors import TensorSpec
from contract.triton import to_config
from service.api.grpc.call import Call, Context
from service.api.grpc.model_statistics import statistics_of
from service.api.grpc.tensor_calls import TensorCalls
from service.errors import ErrorKind, ServiceError, invalid_parameters
from service.registry.registry import Registry
from service.registry.version import Version, VersionState
from service.served_models import SERVER, ServedModels, answers, release, selector_of
from service.telemetry import Telemetry
from service.tensor_inference import TensorInference, batched, datatype_of

SERVICE = "inference.GRPCInferenceService"

_EXTENSIONS = ("binary_tensor_data", "model_configuration", "statistics")
"""What is offered of Triton's extensions, by its names."""

_ADMIN = "REST's admin routes load and unload versions: POST /v1/models/NAME/versions/N:load and …:unload"
_SHARED_MEMORY = "shared memory is not offered; send the tensors in raw_input_contents"
_NOT_OFFERED = {
    "RepositoryModelLoad": _ADMIN,
    "RepositoryModelUnload": _ADMIN,
    "SystemSharedMemoryStatus": _SHARED_MEMORY,
    "SystemSharedMemoryRegister": _SHARED_MEMORY,
    "SystemSharedMemoryUnregister": _SHARED_MEMORY,
    "CudaSharedMemoryStatus": _SHARED_MEMORY,
    "CudaSharedMemoryRegister": _SHARED_MEMORY,
    "CudaSharedMemoryUnregister": _SHARED_MEMORY,
    "TraceSetting": "trace settings are not offered",
    "LogSettings": "log settings are not offered",
}
"""The protocol's calls that are refused, and what is said to their callers."""

_STATES = {
    VersionState.LOADING: "LOADING",
    VersionState.READY: "READY",
    VersionState.UNREACHABLE: "UNAVAILABLE",
    VersionState.FAILED: "UNAVAILABLE",
    VersionState.UNLOADED: "UNAVAILABLE",
    # The next request is taken, and brings it back.
    VersionState.EVICTED: "READY",
}
"""Where a version stands, by Triton's words."""

_NO_TASK = ""
"""None of these calls is for a task, as a metric's label."""


@dataclass(slots=True)
class InferenceProtocolCalls:
    """What the protocol's calls need."""

    inference: TensorInference
    registry: Registry
    telemetry: Telemetry
    workers: Executor
    default_timeout_s: float
    stall_s: float
    """Seconds that a stream's answer may be left unread; then the stream ends."""
    ready: Callable[[], bool]
    """Whether the service takes requests."""
    name: str = field(default=SERVICE, init=False)

    def add_to(self, server: grpc.aio.Server) -> None:
        """Have the protocol's calls answered by a server."""
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, self.handlers()),))

    def handlers(self) -> "dict[str, grpc.RpcMethodHandler[Any, Any]]":
        """The handlers of all the protocol's calls, by their names."""
        described: dict[str, Callable[[Any], Any]] = {
            "ServerLive": self._live,
            "ServerReady": self._ready,
            "ModelReady": self._model_ready,
            "ServerMetadata": self._server,
            "ModelMetadata": self._metadata,
            "ModelConfig": self._config,
            "ModelStatistics": self._statistics,
            "RepositoryIndex": self._index,
        }
        tensors = TensorCalls(self.inference, self.telemetry, self.workers, self.default_timeout_s, self.stall_s)
        refused = {name: _not_offered(name, why) for name, why in _NOT_OFFERED.items()}
        return {name: self._handler(name, say) for name, say in described.items()} | tensors.handlers() | refused

    def _handler(self, name: str, say: Callable[[Any], Any]) -> "grpc.RpcMethodHandler[Any, Any]":
        async def answer(request: Any, context: Context) -> Any:
            async with Call(context, self.telemetry, _NO_TASK, self.default_timeout_s):
                return say(request)

        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=getattr(service_pb2, f"{name}Request").FromString,
            response_serializer=getattr(service_pb2, f"{name}Response").SerializeToString,
        )

    def _live(self, _: Any) -> Any:
        return service_pb2.ServerLiveResponse(live=True)

    def _ready(self, _: Any) -> Any:
        return service_pb2.ServerReadyResponse(ready=self.ready())

    def _server(self, _: Any) -> Any:
        return service_pb2.ServerMetadataResponse(name=SERVER, version=release(), extensions=_EXTENSIONS)

    def _model_ready(self, request: Any) -> Any:
        ready = ServedModels(self.registry).ready(selector_of(request.name, request.version))
        return service_pb2.ModelReadyResponse(ready=ready)

    def _metadata(self, request: Any) -> Any:
        """The tensors, as of the version named, else of the one that the alias, or ``stable``, stands for."""
        models, selector = ServedModels(self.registry), selector_of(request.name, request.version)
        card = models.card(selector)
        return service_pb2.ModelMetadataResponse(
            name=card.name,
            versions=[str(number) for number in models.numbers(selector.name)],
            platform=card.platform,
            inputs=[_described(card.input)],
            outputs=[_described(output) for output in card.outputs],
        )

    def _config(self, request: Any) -> Any:
        """The model's ``config.pbtxt``, as its card makes it."""
        card = ServedModels(self.registry).card(selector_of(request.name, request.version))
        response = service_pb2.ModelConfigResponse()
        text_format.Parse(to_config(card), response.config)
        return response

    def _statistics(self, request: Any) -> Any:
        return statistics_of(self.telemetry, self._meant(request.name, request.version))

    def _meant(self, name: str, number: str) -> list[Version]:
        """The versions that a caller means who may name no model, or no version."""
        if not name:
            return [version for version in self.registry.versions() if answers(version)]
        selector = selector_of(name, number)
        if selector.version is None and selector.alias is None:
            known = self.registry.models().get(selector.name, [])
            if found := [version for version in known if answers(version)]:
                return found
        card = ServedModels(self.registry).card(selector)
        version = self.registry.version(card.name, card.version)
        if version is None:
            raise ServiceError(ErrorKind.MODEL_NOT_FOUND, f"there is no model {name!r}; see /v1/models")
        return [version]

    def _index(self, request: Any) -> Any:
        """Every version in the repository and where it stands; those that answer only, where a caller wants that."""
        if request.repository_name:
            raise invalid_parameters("there is one repository, and it has no name; leave repository_name empty")
        response = service_pb2.RepositoryIndexResponse()
        for version in self.registry.versions():
            state = _STATES[version.state]
            if state == "READY" or not request.ready:
                reason = version.reason or ("" if version.state is VersionState.READY else str(version.state))
                response.models.add(name=version.model, version=str(version.number), state=state, reason=reason)
        return response


def _not_offered(name: str, why: str) -> "grpc.RpcMethodHandler[Any, Any]":
    async def refuse(_: Any, context: Context) -> None:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{name}: {why}")

    return grpc.unary_unary_rpc_method_handler(refuse)


def _described(spec: TensorSpec) -> Any:
    metadata = service_pb2.ModelMetadataResponse.TensorMetadata
    return metadata(name=spec.name, datatype=datatype_of(spec.dtype), shape=batched(spec))
