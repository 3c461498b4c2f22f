"""The three forms of a request's body → encoded images and parameters, within bounds of size and time."""

import asyncio
import binascii
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from contract.validation import first_problem
from service.errors import ErrorKind, ServiceError, deadline_exceeded, invalid_parameters, overloaded

_LONG_JSON, _MOST_VALUES = 1 << 20, 20_000
"""Bytes from which JSON is looked through before it is parsed, and the values that it may then hold: base64 has no
commas, and a megabyte of small values would take the event loop 0.2 s and 20 MB."""

_RAW = ("application/octet-stream", "application/x-www-form-urlencoded", "")
"""Types under which the body is the image itself; the second is what curl sends when no type is named."""


_MOST_ARRIVING = 16
"""Bodies of the largest size that may be on their way at a time; smaller ones in proportion."""


@dataclass(slots=True)
class Arriving:
    """What has come so far of all bodies that are on their way: slow callers must not fill the memory."""

    held: int = 0
    """Bytes."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How large a body may be, and how long it may take."""

    max_bytes: int
    max_images: int
    timeout_s: float
    stall_s: float
    arriving: Arriving = field(default_factory=Arriving)

    def hold(self, size: int) -> None:
        """So many bytes more are held; ServiceError (overloaded) where that would be too many."""
        if self.arriving.held + size > _MOST_ARRIVING * self.max_bytes:
            raise overloaded("the bodies that arrive fill the memory that is meant for them; try again in a moment")
        self.arriving.held += size

    def let_go(self, size: int) -> None:
        """They are held no more, or belong to a request that is whole."""
        self.arriving.held -= size


@dataclass(frozen=True, slots=True)
class Body:
    """What a request carries: encoded images, and the parameters that stood beside them."""

    images: list[bytes]
    parameters: dict[str, Any]
    size: int
    """Bytes."""


_MOST_FIELDS = 16
"""Of an object whose names are known; beyond it there is no use in naming those that are not."""


class ImageReference(BaseModel):
    """An image within JSON: its bytes in base64 (a data URL is taken as well), or the address of one."""

    model_config = ConfigDict(extra="forbid")

    b64: str | None = None
    url: str | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.b64 is None) == (self.url is None):
            raise ValueError("each image needs either b64 or url")
        return self


class JsonBody(BaseModel):
    """The JSON form of a request."""

    model_config = ConfigDict(extra="forbid")

    images: list[ImageReference] = Field(min_length=1)
    parameters: dict[str, Any] = {}


async def read_body(request: Request, limits: BodyLimits) -> Body:
    """Read and take apart the body; ServiceError says what is wrong with it."""
    content_type = request.headers.get("content-type", "")
    media_type = content_type.partition(";")[0].strip().lower()
    is_raw = media_type in _RAW or media_type.startswith("image/")
    if not is_raw and media_type not in ("multipart/form-data", "application/json"):
        raise ServiceError(
            ErrorKind.UNSUPPORTED_MEDIA_TYPE,
            f"{media_type!r} is not taken; send the image itself as image/*, or multipart/form-data, or JSON",
        )
    data = await receive(request, limits)
    if is_raw:
        return Body([data], {}, len(data))
    if media_type == "application/json":
        return _from_json(data, limits)
    return await _from_multipart(request, data, limits)


async def receive(request: Request, limits: BodyLimits) -> bytes:
    """The whole body; ServiceError at its declared length, else as soon as it is too long or too slow."""
    declared = request.headers.get("content-length")
    if declared is not None and declared.isdecimal() and int(declared) > limits.max_bytes:
        raise _too_large(limits)
    # One growing buffer: a long body in many small pieces would lie scattered in the allocator's heap.
    received = bytearray()
    loop = asyncio.get_running_loop()
    end = loop.time() + limits.timeout_s
    try:
        async with asyncio.timeout(min(limits.stall_s, limits.timeout_s)) as patience:
            while True:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                chunk: bytes = message.get("body", b"")
                if len(received) + len(chunk) > limits.max_bytes:
                    raise _too_large(limits)
                more = message.get("more_body", False)
                if not more and not received:
                    return chunk
                limits.hold(len(chunk))
                received += chunk
                if not more:
                    return bytes(received)
                patience.reschedule(min(end, loop.time() + limits.stall_s))
    except TimeoutError:
        raise deadline_exceeded(f"the body stopped arriving after {len(received)} bytes") from None
    finally:
        limits.let_go(len(received))


def _too_large(limits: BodyLimits) -> ServiceError:
    return ServiceError(ErrorKind.TOO_LARGE, f"the body is larger than {limits.max_bytes:,} bytes")


def _from_json(data: bytes, limits: BodyLimits) -> Body:
    if len(data) > _LONG_JSON and data.count(b",") > _MOST_VALUES:
        raise invalid_parameters(f"the JSON body holds more than {_MOST_VALUES:,} values")
    try:
        given = orjson.loads(data)
        _check_form(given, limits)
        parsed = JsonBody.model_validate(given)
    except orjson.JSONDecodeError as error:
        raise invalid_parameters(f"the body is not JSON: {error}") from error
    except ValidationError as error:
        raise invalid_parameters(f"the JSON body is not of the documented form: {first_problem(error)}") from error
    return Body([_decode(index, image) for index, image in enumerate(parsed.images)], parsed.parameters, len(data))


def _check_form(given: Any, limits: BodyLimits) -> None:
    """Refuse what pydantic would find very many problems with: each costs a kilobyte, whatever its own length."""
    images = given.get("images") if isinstance(given, dict) else None
    if isinstance(images, list):
        _check_count(len(images), limits)
    for fields in (given, *(images if isinstance(images, list) else ())):
        if isinstance(fields, dict) and len(fields) > _MOST_FIELDS:
            raise invalid_parameters(f"the JSON body is not of the documented form: {len(fields):,} names in an object")


def _decode(index: int, image: ImageReference) -> bytes:
    if image.b64 is None:
        raise ServiceError(ErrorKind.FORBIDDEN, f"image {index}: this service fetches no images by URL; send the bytes")
    text = image.b64.partition(",")[2] if image.b64.startswith("data:") else image.b64
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise invalid_parameters(f"image {index}: b64 is not base64: {error}") from error


class _WholeForm(MultiPartParser):
    """Starlette's parser, which by itself answers a form that was cut short with those of its parts that were whole."""

    spool_max_size = 0
    """No part goes to a file: the whole body is in memory already, and a disk may be full."""

    _ended = False

    def on_end(self) -> None:
        """The closing boundary was seen."""
        self._ended = True

    async def parse(self) -> FormData:
        """All parts, or MultiPartException."""
        form = await super().parse()
        if self._ended:
            return form
        for file in self._files_to_close_on_error:
            file.close()
        raise MultiPartException("It ends before its closing boundary.")


async def _from_multipart(request: Request, data: bytes, limits: BodyLimits) -> Body:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield data
        yield b""

    parser = _WholeForm(
        request.headers, stream(), max_files=limits.max_images + 1, max_fields=64, max_part_size=64 * 1024
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if error.message.startswith("Too many files"):
            message = f"the request holds more than {limits.max_images} images"
            raise ServiceError(ErrorKind.TOO_LARGE, message) from error
        raise invalid_parameters(f"the multipart body cannot be read: {error.message}") from error
    try:
        body = await _from_form(form, len(data))
    finally:
        await form.close()
    _check_count(len(body.images), limits)
    return body


async def _from_form(form: FormData, size: int) -> Body:
    images: list[bytes] = []
    parameters: dict[str, Any] = {}
    for name, value in form.multi_items():
        if not isinstance(value, UploadFile):
            parameters[name] = value
        elif name == "image":
            images.append(await value.read())
        else:
            raise invalid_parameters("the multipart body has a file that is not named 'image'")
    if not images:
        raise invalid_parameters("the multipart body has no file named 'image'")
    return Body(images, parameters, size)


def _check_count(images: int, limits: BodyLimits) -> None:
    if images > limits.max_images:
        raise ServiceError(
            ErrorKind.TOO_LARGE, f"the request holds {images} images; at most {limits.max_images} are taken"
        )
