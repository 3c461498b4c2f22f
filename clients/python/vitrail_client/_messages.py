"""Between the client's values and the messages of ``vision.proto``; what is not named here has the same form."""

import struct
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from vitrail_client._call import Answer, Call, Form, FrameAnswer
from vitrail_client._errors import VitrailError
from vitrail_client.proto import vision_pb2

SERVICE = vision_pb2.DESCRIPTOR.services_by_name["VisionService"]

_PACKED = "base64"
"""The encoding of an embedding that has no use in gRPC, and is made here for equal results."""
_UNKNOWN = ("alias", "degraded", "quantity", "method")
"""Words that are left out where they are empty."""


def method_of(task: str) -> str:
    """The name of a task's call."""
    return task.capitalize()


def request_of(call: Call, form: Form | None = None) -> Any:
    """A call as its task's request; VitrailError for parameters that it cannot hold."""
    request: Any = GetMessageClass(SERVICE.methods_by_name[method_of(call.task)].input_type)()
    request.images.extend(call.images)
    request.model = call.model or ""
    _set_parameters(request.parameters, call.parameters)
    if form is not None:
        request.picture = vision_pb2.Picture.Value(f"PICTURE_{form.upper()}")
    return request


def start_of(call: Call) -> vision_pb2.StreamFramesRequest:
    """A call as the first message of a stream."""
    start = vision_pb2.StreamStart(model=call.model or "")
    parameters = getattr(start, call.task)
    parameters.SetInParent()
    _set_parameters(parameters, call.parameters)
    return vision_pb2.StreamFramesRequest(start=start)


def _set_parameters(message: Message, parameters: Mapping[str, Any]) -> None:
    fields = message.DESCRIPTOR.fields_by_name
    for name, value in parameters.items():
        if value is None or (name == "encoding" and _is_for_packing(message)):
            continue
        if name not in fields:
            raise _refused(f"{name}: there is no such parameter; there are {', '.join(fields)}")
        try:
            _set(message, fields[name], value)
        except (TypeError, ValueError, KeyError) as error:
            raise _refused(f"{name}: {value!r} cannot be taken: {error}") from error


def _set(message: Message, field: Any, value: Any) -> None:
    if field.is_repeated:
        items = value if isinstance(value, list | tuple) else [item.strip() for item in str(value).split(",")]
        getattr(message, field.name).extend(map(str, items))
    elif field.enum_type is not None:
        prefix = field.enum_type.values[0].name.rpartition("_")[0]
        setattr(message, field.name, field.enum_type.values_by_name[f"{prefix}_{value.upper()}"].number)
    else:
        setattr(message, field.name, str(value) if field.type == FieldDescriptor.TYPE_STRING else value)


def _is_for_packing(message: Message) -> bool:
    return message.DESCRIPTOR is vision_pb2.EmbedParameters.DESCRIPTOR


def _refused(message: str) -> VitrailError:
    return VitrailError(message, code="invalid_parameters")


def answer_of(call: Call, response: Any) -> Answer[Any]:
    """A task's response as REST would have told it."""
    return {
        "model": _plain(response.model),
        "results": [_result(call, result) for result in response.results],
        "timings_ms": _plain(response.timings_ms),
        "request_id": response.request_id,
    }


def frame_of(call: Call, response: vision_pb2.StreamFramesResponse) -> FrameAnswer:
    """The answer for one frame."""
    if response.HasField("error"):
        return {"frame": response.id, "error": {"code": response.error.code, "message": response.error.message}}
    return {
        "frame": response.id,
        "model": _plain(response.model),
        "timings_ms": _plain(response.timings_ms),
        "result": _result(call, getattr(response, call.task)),
    }


def _result(call: Call, message: Message) -> Any:
    result = _plain(message)
    if call.task == "embed" and call.parameters.get("encoding") == _PACKED:
        result["embedding"] = struct.pack(f"<{len(result['embedding'])}f", *result["embedding"])
    return result


def _plain(message: Any) -> Any:
    """A message as the dict, or whatever else REST has in its place."""
    descriptor = message.DESCRIPTOR
    if (change := _CHANGES.get(descriptor.name)) is not None:
        return change(message)
    return {
        name: convert(getattr(message, name))
        for name, convert, is_there in _fields(descriptor)
        if is_there is None or is_there(message)
    }


@cache
def _fields(
    descriptor: Descriptor,
) -> list[tuple[str, Callable[[Any], Any], Callable[[Any], bool] | None]]:
    """A message's fields: the name, how to make the value plain, and what tells whether it is there at all."""
    return [(field.name, _converter(field), _presence(field)) for field in descriptor.fields]


def _converter(field: FieldDescriptor) -> Callable[[Any], Any]:
    if field.message_type is None:
        return list if field.is_repeated else _same
    return _each_plain if field.is_repeated else _plain


def _same(value: Any) -> Any:
    return value


def _each_plain(messages: Any) -> list[Any]:
    return [_plain(message) for message in messages]


def _presence(field: FieldDescriptor) -> Callable[[Any], bool] | None:
    name = field.name
    if field.has_presence:
        return lambda message: bool(message.HasField(name))
    if name in _UNKNOWN:
        return lambda message: bool(getattr(message, name))
    return None


def _mask(mask: vision_pb2.Mask) -> dict[str, Any]:
    form = str(mask.WhichOneof("form"))
    inner = getattr(mask, form)
    if form == "palette":
        return {"format": form, "value": inner}
    if form == "polygon":
        points = [_outline(outline) for outline in inner.outlines]
        return {"format": form, "tolerance": inner.tolerance, "points": points}
    plain: dict[str, Any] = {"format": form}
    if form != "png":
        plain["size"] = [inner.height, inner.width]
    plain |= {"counts": inner.counts} if form == "rle" else {"data": inner.data}
    if inner.HasField("origin"):
        plain["origin"] = [int(inner.origin.x), int(inner.origin.y)]
    return plain


def _outline(outline: vision_pb2.Outline) -> list[list[float]]:
    coordinates = outline.coordinates
    return [list(point) for point in zip(coordinates[::2], coordinates[1::2], strict=True)]


def _palette(picture: vision_pb2.MaskPicture) -> dict[str, Any]:
    return {"format": "png", "data": picture.data}


_CHANGES: dict[str, Callable[[Any], Any]] = {"Mask": _mask, "MaskPicture": _palette, "Outline": _outline}
"""Messages that have another form in REST."""
