"""How the Open Inference Protocol's routes look in the OpenAPI document; the routes themselves parse by hand."""

from typing import Any, NotRequired

from typing_extensions import TypedDict

from service.api.rest.answers import JSON
from service.api.rest.document import (
    BINARY,
    MODEL_NAME,
    REQUEST_ID,
    SERVER_TIMING,
    VERSION_NUMBER,
    ProtocolError,
    Responses,
    Schema,
    inlined,
    reference,
    refusals,
)
from service.api.rest.tensor_codec import HEADER, InferDocument

_OCTETS = "application/octet-stream"


class ServerMetadata(TypedDict):
    """What the server is."""

    name: str
    version: str
    extensions: list[str]


class ServerLive(TypedDict):
    """Whether the process is alive."""

    live: bool


class ServerReady(TypedDict):
    """Whether requests will be answered."""

    ready: bool


class ModelReady(TypedDict):
    """Whether the next request for the model would be taken."""

    name: str
    ready: bool


class TensorMetadata(TypedDict):
    """A tensor; -1 in its shape stands for any number of images."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(TypedDict):
    """A model's tensors, and the versions that may be named."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class TensorParameters(TypedDict):
    """How many bytes the tensor has behind the JSON."""

    binary_data_size: int


class OutputTensor(TensorMetadata):
    """An output: its values in one flat list, or where they come as bytes, how many."""

    data: NotRequired[list[float | None]]
    parameters: NotRequired[TensorParameters]


class InferAnswer(TypedDict):
    """The outputs asked for."""

    model_name: str
    model_version: str
    id: NotRequired[str]
    outputs: list[OutputTensor]


def _answer(model: Any, said: str) -> dict[str, Any]:
    return {"model": model, "description": said}


def _refusals(*statuses: int, headers: Schema | None = None) -> Responses:
    return refusals(JSON, reference(ProtocolError), headers or {}, *statuses)


def _described(responses: Responses, parameters: list[Schema], body: Schema | None = None) -> dict[str, Any]:
    """Keyword arguments for FastAPI's ``add_api_route``."""
    extra: dict[str, Any] = {"parameters": parameters}
    if body is not None:
        extra["requestBody"] = {"required": True, "content": body}
    return {"response_model": None, "responses": responses, "openapi_extra": extra}


def _infer_document() -> Schema:
    schema = InferDocument.model_json_schema()
    document: Schema = inlined(schema, schema["$defs"])
    return document


SERVER = _described({200: _answer(ServerMetadata, "What it is.")}, [])
LIVE = _described({200: _answer(ServerLive, "It is.")}, [])
_NOT_NOW = {"description": "Not now.", "content": {JSON: {"schema": {"type": "object", "required": ["ready"]}}}}
READY = _described({200: _answer(ServerReady, "It is."), 503: _NOT_NOW}, [])

_LENGTH: Schema = {
    "name": HEADER,
    "in": "header",
    "description": "Length of the body's JSON, where tensors follow it as bytes.",
    "schema": {"type": "integer", "minimum": 0},
}
_LENGTH_ANSWERED: Schema = {
    HEADER: {
        "description": "Length of the body's JSON, where tensors follow it as bytes.",
        "schema": {"type": "integer", "minimum": 0},
    }
}
_INFERRED: dict[str, Any] = {
    **_answer(InferAnswer, "The outputs."),
    "headers": REQUEST_ID | SERVER_TIMING | _LENGTH_ANSWERED,
    "content": {_OCTETS: {"schema": BINARY}},
}
_BODY: Schema = {JSON: {"schema": _infer_document()}, _OCTETS: {"schema": BINARY}}


def _of(parameters: list[Schema]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    metadata = {200: _answer(ModelMetadata, "The tensors."), **_refusals(404, 503)}
    ready = {200: _answer(ModelReady, "It does."), 503: _NOT_NOW, **_refusals(404)}
    statuses = (400, 404, 413, 415, 429, 500, 503, 504)
    infer = {200: _INFERRED, **_refusals(*statuses, headers=REQUEST_ID)}
    return (
        _described(metadata, parameters),
        _described(ready, parameters),
        _described(infer, [*parameters, _LENGTH], _BODY),
    )


OF_MODEL = _of([MODEL_NAME])
"""The metadata of a model, whether it is ready, and its inference."""
OF_VERSION = _of([MODEL_NAME, VERSION_NUMBER])
"""The same of a version."""
