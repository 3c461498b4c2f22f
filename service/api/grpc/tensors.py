"""Messages of the Open Inference Protocol ↔ tensors.

Inputs come as bytes (``raw_input_contents``, little-endian, row by row) or as numbers (``contents.uint_contents``);
outputs go as bytes. The classes of the messages are those that tritonclient ships.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError
from tritonclient.grpc import service_pb2  # type: ignore[import-untyped]

from contract.card import ModelCard
from contract.preprocess import Pixels
from contract.tensors import DType
from service.errors import invalid_parameters
from service.pixel_tensors import from_bytes, from_numbers
from service.tensor_inference import InputTensor, datatype_of

Outputs = Mapping[str, npt.NDArray[Any]]
"""Tensors by name, each with the batch axis first."""
Work = Callable[[Callable[[], Pixels]], Awaitable[Pixels]]
"""Runs a function in a worker thread."""

_FOREIGN = ("classification", "shared_memory_region")
"""Parameters of Triton's other extensions that would change what an answer is."""
_SEQUENCE = ("sequence_id", "sequence_start", "sequence_end")
_MAX_ID = 1024
_SHOWN = 64
"""Letters of a caller's own words that a message repeats."""


def parse(data: bytes) -> Any:
    """The ModelInferRequest that this is; ServiceError (invalid_parameters) if it is none."""
    try:
        return service_pb2.ModelInferRequest.FromString(data)
    except DecodeError as error:
        raise invalid_parameters("the request is not of the protocol's form: it is no ModelInferRequest") from error


def check(request: Any) -> None:
    """ServiceError (invalid_parameters) if a request asks for what is not offered."""
    if len(request.id) > _MAX_ID:
        raise invalid_parameters(f"the request's id is longer than {_MAX_ID} letters")
    for name in _SEQUENCE:
        if name in request.parameters and _value(request.parameters[name]):
            raise invalid_parameters(f"the request asks for {name}, of an extension that is not offered: sequences")
    for tensor in (*request.inputs, *request.outputs):
        if foreign := [name for name in _FOREIGN if name in tensor.parameters and _value(tensor.parameters[name])]:
            name = tensor.name[:_SHOWN]
            raise invalid_parameters(f"{name!r} asks for {foreign[0]}, an extension that is not offered")


def timeout_s_of(request: Any) -> float | None:
    """The time that the caller gives the request; Triton's ``timeout`` is in microseconds."""
    timeout = _value(request.parameters["timeout"]) if "timeout" in request.parameters else None
    return timeout / 1e6 if type(timeout) is int and timeout > 0 else None


def inputs_of(request: Any, in_worker: Work, *, small: bool) -> list[InputTensor]:
    """The inputs as they are described; their arrays are made when they are read.

    That is at once where the request is ``small`` and holds bytes, for numbers take long: else in a worker thread.
    """
    raw = len(request.raw_input_contents)
    if raw not in (0, len(request.inputs)):
        raise invalid_parameters(f"the request has {len(request.inputs)} inputs, and {raw} raw_input_contents")
    return [_input(request, index, in_worker, small=small) for index in range(len(request.inputs))]


def _input(request: Any, index: int, in_worker: Work, *, small: bool) -> InputTensor:
    described = request.inputs[index]
    name, shape = described.name, tuple(described.shape)
    if shape and min(shape) < 0:
        raise invalid_parameters(f"input {name[:_SHOWN]!r} has a negative size in its shape")
    raw = len(request.raw_input_contents) > 0
    if raw == described.HasField("contents"):
        raise invalid_parameters(f"input {name[:_SHOWN]!r} needs either raw_input_contents or contents")

    def make() -> Pixels:
        if raw:
            return from_bytes(name, request.raw_input_contents[index], shape)
        return from_numbers(name, np.array(described.contents.uint_contents, np.uint32), shape)

    async def read() -> Pixels:
        return make() if raw and small else await in_worker(make)

    return InputTensor(name, described.datatype, shape, read)


def encode(card: ModelCard, outputs: Outputs, request_id: str) -> bytes:
    """An answer of the card's version as a ModelInferResponse on the wire."""
    return b"".join(_pieces(card, outputs, request_id))


def encode_streamed(card: ModelCard, outputs: Outputs, request_id: str) -> bytes:
    """The same as a ModelStreamInferResponse; each request has one answer, so each is its last."""
    pieces = list(_pieces(card, outputs, request_id, triton_final_response=True))
    return b"".join((_head(_INFER_RESPONSE, sum(len(piece) for piece in pieces)), *pieces))


def encode_error(message: str, request: Any) -> bytes:
    """What a stream says, as a ModelStreamInferResponse on the wire, of a request that has no answer."""
    response = service_pb2.ModelStreamInferResponse(error_message=message)
    response.infer_response.id = request.id
    response.infer_response.model_name = request.model_name
    response.infer_response.model_version = request.model_version
    response.infer_response.parameters["triton_final_response"].bool_param = True
    data: bytes = response.SerializeToString()
    return data


def _pieces(card: ModelCard, outputs: Outputs, request_id: str, **parameters: bool) -> Iterator[bytes | memoryview]:
    """The message in pieces: joined, each output is copied once, and not thrice as by protobuf's own classes."""
    response = service_pb2.ModelInferResponse(model_name=card.name, model_version=str(card.version), id=request_id)
    for name, value in parameters.items():
        response.parameters[name].bool_param = value
    for name, values in outputs.items():
        response.outputs.add(name=name, datatype=datatype_of(DType(values.dtype.name)), shape=values.shape)
    yield response.SerializeToString()
    for values in outputs.values():
        data = _little_endian(values)
        yield _head(_RAW_OUTPUT_CONTENTS, len(data))
        yield data


def _little_endian(values: npt.NDArray[Any]) -> memoryview:
    ordered = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    return ordered.reshape(-1).view(np.uint8).data


def _head(field: int, length: int) -> bytes:
    """How a field of bytes, or a message in a message, begins: https://protobuf.dev/programming-guides/encoding/."""
    return _varint(field << 3 | 2) + _varint(length)


def _varint(number: int) -> bytes:
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits.append(number)
    return bytes(digits)


_RAW_OUTPUT_CONTENTS: int = service_pb2.ModelInferResponse.DESCRIPTOR.fields_by_name["raw_output_contents"].number
_INFER_RESPONSE: int = service_pb2.ModelStreamInferResponse.DESCRIPTOR.fields_by_name["infer_response"].number


def _value(parameter: Any) -> Any:
    """What an InferParameter holds, None for one that is empty."""
    chosen = parameter.WhichOneof("parameter_choice")
    return getattr(parameter, chosen) if chosen else None
