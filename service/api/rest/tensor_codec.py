"""Bodies of the Open Inference Protocol ↔ tensors, in JSON and by the binary tensor data extension.

A binary body is a JSON document of the length that ``Inference-Header-Content-Length`` states, then the tensors' bytes,
little-endian, row by row, in the document's order.
"""

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import orjson
from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError

from contract.tensors import DType
from contract.validation import first_problem
from service.errors import ErrorKind, ServiceError, invalid_parameters
from service.tensor_inference import datatype_of

HEADER = "Inference-Header-Content-Length"
_LENGTH = re.compile(r"[0-9]{1,15}")
_MAX_ID = 1024
_ANY_CONTAINER = 32 + zlib.MAX_WBITS
"""zlib's name for "gzip's or zlib's, whichever it is"."""
_FOREIGN = ("classification", "shared_memory_region")
"""Parameters of Triton's other extensions that would change what an answer is."""


class _Described(BaseModel):
    # Triton's own example states a model_name that its documents do not know: what is unknown is left aside.
    model_config = ConfigDict(strict=True, extra="ignore")

    parameters: dict[str, Any] = {}


class RequestOutput(_Described):
    """An output that is asked for."""

    name: str


class RequestInput(RequestOutput):
    """An input as the document describes it, and perhaps states it."""

    shape: Annotated[list[Annotated[int, Field(ge=0, lt=2**63)]], FailFast()]
    datatype: str
    data: Any = None


class InferDocument(_Described):
    """The JSON part of a request."""

    id: str | None = Field(default=None, max_length=_MAX_ID)
    # At the first problem it ends: each costs a kilobyte, and a body of some bytes could have millions.
    inputs: Annotated[list[RequestInput], FailFast()] = Field(min_length=1)
    outputs: Annotated[list[RequestOutput], FailFast()] = []


@dataclass(frozen=True, slots=True)
class Received:
    """A request taken apart: its document, and the bytes of each input that came as bytes."""

    document: InferDocument
    binaries: list[memoryview | None]

    @property
    def timeout_s(self) -> float | None:
        """The time that the caller gives the request; Triton's ``timeout`` is in microseconds."""
        timeout = self.document.parameters.get("timeout")
        return timeout / 1e6 if type(timeout) is int and timeout > 0 else None

    def is_binary(self, output: str) -> bool:
        """Whether the caller wants an output as bytes: what is said of it, else what is said of all."""
        default = self.document.parameters.get("binary_data_output", False)
        said = {wanted.name: wanted.parameters.get("binary_data", default) for wanted in self.document.outputs}
        return bool(said.get(output, default))


def inflate(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """The body that was sent compressed, by its ``Content-Encoding``; never more than ``max_bytes`` are made."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "deflate"):
        raise ServiceError(
            ErrorKind.UNSUPPORTED_MEDIA_TYPE, "bodies are taken plain, or with Content-Encoding gzip or deflate"
        )
    machine = zlib.decompressobj(_ANY_CONTAINER)
    try:
        plain = machine.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise invalid_parameters(f"the body is not {encoding}: {error}") from error
    if len(plain) > max_bytes:
        raise ServiceError(ErrorKind.TOO_LARGE, f"the body is larger than {max_bytes:,} bytes once it is inflated")
    if not machine.eof or machine.unused_data:
        raise invalid_parameters(f"the body is not one whole {encoding} stream")
    return plain


def document_length(body_length: int, header_length: str | None) -> int:
    """Where a body's JSON ends, by the header; without one the body is all JSON."""
    if header_length is None:
        return body_length
    if not _LENGTH.fullmatch(header_length) or int(header_length) > body_length:
        raise invalid_parameters(f"{HEADER} must be the length of the body's JSON; the body has {body_length} bytes")
    return int(header_length)


def take_apart(body: bytes, header_length: str | None) -> Received:
    """Read a request's document, and cut the rest of its body; ServiceError says what is wrong with it."""
    view, length = memoryview(body), document_length(len(body), header_length)
    document = _read_document(view[:length])
    tensors: tuple[RequestOutput, ...] = (*document.inputs, *document.outputs)
    for tensor in tensors:
        if foreign := [name for name in _FOREIGN if tensor.parameters.get(name)]:
            raise invalid_parameters(f"{tensor.name[:64]!r} asks for {foreign[0]}, an extension that is not offered")
    binaries = _cut(document.inputs, view[length:])
    return Received(document, binaries)


def _read_document(data: memoryview) -> InferDocument:
    try:
        return InferDocument.model_validate(orjson.loads(data))
    except orjson.JSONDecodeError as error:
        raise invalid_parameters(f"the request is not JSON: {error}") from error
    except ValidationError as error:
        raise invalid_parameters(f"the request is not of the protocol's form: {first_problem(error)}") from error


def _cut(inputs: Sequence[RequestInput], rest: memoryview) -> list[memoryview | None]:
    """Each input's bytes, None for those in the document; together they must be all that there is."""
    binaries: list[memoryview | None] = []
    for tensor in inputs:
        size = tensor.parameters.get("binary_data_size")
        if (size is None) == (tensor.data is None):
            raise invalid_parameters(f"input {tensor.name[:64]!r} needs either data or binary_data_size")
        if size is None:
            binaries.append(None)
            continue
        if type(size) is not int or not 0 <= size <= len(rest):
            raise invalid_parameters(
                f"input {tensor.name[:64]!r} states a binary_data_size that the body does not have after its JSON; "
                f"{HEADER} states where that ends"
            )
        binaries.append(rest[:size])
        rest = rest[size:]
    if len(rest):
        raise invalid_parameters(f"the body has {len(rest)} bytes more than its inputs state")
    return binaries


@dataclass(frozen=True, slots=True)
class Encoded:
    """An answer's body, and the length of its JSON if bytes follow."""

    body: bytes
    header_length: int | None

    @property
    def headers(self) -> dict[str, str]:
        """What tells the two forms apart."""
        return {} if self.header_length is None else {HEADER: str(self.header_length)}

    @property
    def media_type(self) -> str:
        """By the form."""
        return "application/json" if self.header_length is None else "application/octet-stream"


def encode(model: str, version: int, outputs: Mapping[str, npt.NDArray[Any]], received: Received) -> Encoded:
    """The answer to a request; values that JSON has no words for (NaN, infinities) are null in it."""
    described: list[dict[str, Any]] = []
    binaries: list[memoryview] = []
    for name, values in outputs.items():
        datatype = datatype_of(DType(values.dtype.name))
        tensor: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(values.shape)}
        if received.is_binary(name):
            ordered = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
            binaries.append(ordered.reshape(-1).view(np.uint8).data)
            tensor["parameters"] = {"binary_data_size": ordered.nbytes}
        else:
            tensor["data"] = np.ascontiguousarray(values).reshape(-1)
        described.append(tensor)
    document: dict[str, Any] = {"model_name": model, "model_version": str(version)}
    if received.document.id is not None:
        document["id"] = received.document.id
    head = orjson.dumps(document | {"outputs": described}, option=orjson.OPT_SERIALIZE_NUMPY)
    if not any(received.is_binary(name) for name in outputs):
        return Encoded(head, None)
    return Encoded(b"".join((head, *binaries)), len(head))
