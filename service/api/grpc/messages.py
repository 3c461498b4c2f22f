"""Between the contract's values and the messages of ``vision.proto``; what is not named here has the same form."""

from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from contract.proto.vitrail.v1 import vision_pb2
from contract.task import Task
from service.inference import Answer
from service.telemetry import Stages

MESSAGES: dict[Task, str] = {
    Task.CLASSIFY: "Classify",
    Task.DETECT: "Detect",
    Task.SEGMENT: "Segment",
    Task.EMBED: "Embed",
    Task.REGIONS: "Regions",
    Task.DEPTH: "Depth",
    Task.MATTE: "Matte",
    Task.KEYPOINTS: "Keypoints",
    Task.RESTORE: "Restore",
    Task.EXPLAIN: "Explain",
}
"""How the messages and the call of a task begin; every task that takes images has one."""


def parameters_of(message: Message) -> dict[str, Any]:
    """The parameters that a caller has set, as REST's query has them."""
    return {field.name: _plain(field, value) for field, value in message.ListFields()}


def _plain(field: FieldDescriptor, value: Any) -> Any:
    if field.enum_type is not None:
        return _word(field.enum_type, value)
    return tuple(value) if field.is_repeated else value


def _word(enum: EnumDescriptor, number: int) -> str:
    """An enumeration's value as REST calls it: MASK_FORMAT_RLE is ``rle``; one that is not known is its number."""
    known = enum.values_by_number.get(number)
    if known is None:
        return str(number)
    prefix = enum.values_by_number[0].name.rpartition("_")[0]
    return known.name.removeprefix(f"{prefix}_").lower()


def result_of(task: Task, result: Any) -> Message:
    """A task's result as its message."""
    message: Callable[..., Message] = getattr(vision_pb2, f"{MESSAGES[task]}Result")
    change = _CHANGES.get(task)
    return message(**(change(result) if change else result))


def response_of(task: Task, answer: Answer, request_id: str) -> Any:
    """An answer as its task's response, still without times and picture."""
    response: Callable[..., Any] = getattr(vision_pb2, f"{MESSAGES[task]}Response")
    results = [result_of(task, result) for result in answer.results]
    return response(model=model_of(answer), results=results, request_id=request_id)


def model_of(answer: Answer) -> vision_pb2.ModelUsed:
    """The version that answered, and what did in its stead."""
    return vision_pb2.ModelUsed(
        name=answer.model, version=str(answer.version), alias=answer.alias or "", degraded=answer.stand_in
    )


def timings_of(stages: Stages) -> vision_pb2.Timings:
    """Where the time went."""
    return vision_pb2.Timings(**stages.as_milliseconds())


def _segments(result: Any) -> Any:
    changed = result | {"segments": [_segment(segment) for segment in result["segments"]]}
    if palette := result.get("palette"):
        changed["palette"] = {"data": palette["data"]}
    return changed


def _segment(segment: Any) -> Any:
    return segment | {"mask": _mask(segment["mask"])} if "mask" in segment else segment


def _mask(mask: Any) -> Any:
    """A mask as the member of ``Mask.form`` that its format names."""
    form = mask["format"]
    if form == "palette":
        return {form: mask["value"]}
    if form == "polygon":
        outlines = [_outline(points) for points in mask["points"]]
        return {form: {"outlines": outlines, "tolerance": mask.get("tolerance", 0.0)}}
    fields = {name: mask[name] for name in ("counts", "data") if name in mask}
    if form != "png":
        fields["height"], fields["width"] = mask["size"]
    if "origin" in mask:
        fields["origin"] = dict(zip("xy", mask["origin"], strict=True))
    return {form: fields}


def _outline(points: list[list[float]]) -> Any:
    return {"coordinates": [coordinate for point in points for coordinate in point]}


def _regions(result: Any) -> Any:
    return result | {
        "regions": [region | {"polygon": _outline(region["polygon"])} for region in result["regions"]],
    }


_CHANGES: dict[Task, Callable[[Any], Any]] = {Task.SEGMENT: _segments, Task.REGIONS: _regions}
"""The tasks whose results have another form in the messages, and the way there."""
