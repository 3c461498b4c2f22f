"""The messages say what the contract says."""

from typing import Any, get_type_hints

import pytest
from google.protobuf.descriptor import Descriptor

from contract.proto.vitrail.v1 import vision_pb2
from contract.task import Task
from contract.tasks.table import TASKS
from service.api.grpc.messages import MESSAGES, parameters_of, result_of
from service.telemetry import STAGES

OF_IMAGES = [task for task, definition in TASKS.items() if not definition.clips]
NOT_IN_MESSAGES = {Task.EMBED: {"encoding"}}
"""An embedding is always numbers there."""


def message_of(task: Task, suffix: str) -> Descriptor:
    """The message of a task by its kind."""
    return vision_pb2.DESCRIPTOR.message_types_by_name[f"{MESSAGES[task]}{suffix}"]


def parameters_message(task: Task) -> Descriptor:
    """The message of a task's parameters, which several tasks may share."""
    return message_of(task, "Request").fields_by_name["parameters"].message_type


def test_every_task_has_messages() -> None:
    """Every task that takes images is named, and has its call and its messages."""
    assert list(MESSAGES) == sorted(OF_IMAGES, key=list(MESSAGES).index)
    calls = vision_pb2.DESCRIPTOR.services_by_name["VisionService"].methods_by_name
    assert {*MESSAGES.values(), "StreamFrames"} == set(calls)


@pytest.mark.parametrize("task", OF_IMAGES)
def test_parameters_are_all_there(task: Task) -> None:
    """A task's parameters are the fields of its message, by the same names."""
    fields = {field.alias or name for name, field in TASKS[task].parameters.model_fields.items()}
    assert set(parameters_message(task).fields_by_name) == fields - NOT_IN_MESSAGES.get(task, set())


@pytest.mark.parametrize("task", OF_IMAGES)
def test_results_are_all_there(task: Task) -> None:
    """A task's result has the fields of its message, by the same names."""
    assert set(message_of(task, "Result").fields_by_name) == set(get_type_hints(TASKS[task].result))


@pytest.mark.parametrize("task", OF_IMAGES)
def test_enumerations_hold_the_parameters_choices(task: Task) -> None:
    """A parameter of a few words has exactly these in its enumeration."""
    schema = TASKS[task].parameters.model_json_schema()
    words = {name: set(choice["enum"]) for name, choice in schema.get("$defs", {}).items() if "enum" in choice}
    enums = {
        field.enum_type.name: {value.name.rsplit("_", 1)[1].lower() for value in field.enum_type.values[1:]}
        for field in parameters_message(task).fields
        if field.enum_type
    }
    assert list(enums.values()) == [words[name] for name in words if task is not Task.EMBED]


@pytest.mark.parametrize("task", OF_IMAGES)
def test_streams_know_every_task(task: Task) -> None:
    """A stream can be started for every task, with its parameters, and can answer its result."""
    start = vision_pb2.StreamStart.DESCRIPTOR.fields_by_name[task]
    answer = vision_pb2.StreamFramesResponse.DESCRIPTOR.fields_by_name[task]
    assert start.message_type is parameters_message(task)
    assert answer.message_type is message_of(task, "Result")


def test_every_stage_is_told() -> None:
    """The times have each stage, and their sum."""
    assert [field.name for field in vision_pb2.Timings.DESCRIPTOR.fields] == [*STAGES, "total"]


def test_parameters_that_are_set() -> None:
    """Only what a caller has set counts, zero too; words are those of REST."""
    message = vision_pb2.SegmentParameters(score_threshold=0, mask_format=vision_pb2.MASK_FORMAT_RLE, labels=["a", "b"])
    assert parameters_of(message) == {"score_threshold": 0.0, "mask_format": "rle", "labels": ("a", "b")}
    assert parameters_of(vision_pb2.SegmentParameters()) == {}


def test_an_unknown_word() -> None:
    """A value that this enumeration does not have is passed on as its number, to be refused by the task's own check."""
    message = vision_pb2.MapParameters.FromString(b"\x08\x63")
    assert parameters_of(message) == {"encoding": "99"}


@pytest.mark.parametrize(
    ("mask", "form", "fields"),
    [
        (
            {"format": "rle", "size": [4, 6], "counts": "abc", "origin": [1, 2]},
            "rle",
            {"height": 4, "width": 6, "counts": "abc"},
        ),
        ({"format": "bits", "size": [4, 6], "data": b"\x01"}, "bits", {"height": 4, "width": 6, "data": b"\x01"}),
        ({"format": "png", "data": b"\x89"}, "png", {"data": b"\x89"}),
        ({"format": "polygon", "points": [[[1, 2], [3, 4]]], "tolerance": 2.0}, "polygon", {"tolerance": 2.0}),
    ],
)
def test_masks(mask: Any, form: str, fields: dict[str, Any]) -> None:
    """A mask is the member of the message that its format names."""
    box = {"x1": 1, "y1": 2, "x2": 3, "y2": 4}
    segment = {"label": "a", "index": 1, "area": 2, "box": box, "mask": mask}
    message: Any = result_of(Task.SEGMENT, {"image": {"width": 6, "height": 4}, "segments": [segment]})
    found = message.segments[0].mask
    assert found.WhichOneof("form") == form
    assert {name: getattr(getattr(found, form), name) for name in fields} == fields
    assert not message.segments[0].HasField("score")


def test_polygons_keep_their_points() -> None:
    """Outlines travel as x, y, x, y."""
    box = {"x1": 0, "y1": 0, "x2": 3, "y2": 3}
    region = {"score": 0.5, "polygon": [[0.5, 1.0], [2.0, 2.5]], "box": box}
    message: Any = result_of(Task.REGIONS, {"image": {"width": 6, "height": 4}, "regions": [region]})
    assert list(message.regions[0].polygon.coordinates) == [0.5, 1.0, 2.0, 2.5]
