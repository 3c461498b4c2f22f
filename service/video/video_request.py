"""What a caller wants of a video: checked once, kept with the job as JSON, read again when the job runs."""

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from contract.card import ModelCard
from contract.task import Task
from contract.tasks.definition import InvalidParameter, label_indices
from contract.tasks.table import TASKS
from contract.validation import first_problem
from service.errors import ServiceError, invalid_parameters
from service.inference import parse_parameters
from service.registry.version import LoadedVersion
from service.video.counts import CountParameters
from service.video.reidentify import ReidentifyParameters
from service.video.sampling import SamplingParameters
from service.video.track import TrackParameters
from service.video.windows import ClipParameters

MAX_WINDOW = 32
_TRACKABLE = frozenset({Task.DETECT, Task.SEGMENT, Task.KEYPOINTS})
_OBJECTS = ("track", "reidentify", "counts", "sampling", "clips", "parameters")
"""Query parameters that may be JSON."""
_PART = re.compile(r"^(sampling|clips)(\.|: )")
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


def _as_parameters(value: object) -> object:
    """``true`` for the defaults, ``false`` for none."""
    if isinstance(value, bool):
        return {} if value else None
    return value


class VideoRequest(BaseModel):
    """What is done with a video; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    task: Task
    model: str | None = Field(
        default=None, max_length=512, description="``name``, ``name@alias`` or ``name:version``; else the default."
    )
    parameters: dict[str, Any] = Field(default_factory=dict, description="The task's own.")
    sampling: SamplingParameters = SamplingParameters()
    clips: ClipParameters = ClipParameters()
    track: Annotated[TrackParameters | None, BeforeValidator(_as_parameters)] = Field(
        default=None, description="Objects get a track_id: true, or how they are tracked."
    )
    reidentify: Annotated[ReidentifyParameters | None, BeforeValidator(_as_parameters)] = Field(
        default=None,
        description="Who comes back after a while has the id of before, by how they look: true, or how; with track.",
    )
    counts: CountParameters | None = Field(default=None, description="What is counted; with track.")
    annotate: bool = Field(default=False, description="Make an MP4 with the findings drawn in, too.")
    window: Annotated[int, Field(ge=1, le=MAX_WINDOW)] | None = Field(
        default=None, description="So many frames are under way at a time; else as many as keep the model busy."
    )
    webhook: str | None = Field(default=None, max_length=2048, description="An address to tell of the end.")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.track is not None and self.task not in _TRACKABLE:
            raise ValueError(
                f"nothing can be tracked with task={self.task}; it can with {', '.join(sorted(_TRACKABLE))}"
            )
        if self.counts is not None and self.track is None:
            raise ValueError("what is counted is tracks; ask for track too")
        if self.reidentify is not None and self.track is None:
            raise ValueError("who is recognised is a track; ask for track too")
        if TASKS[self.task].clips:
            if self.sampling != SamplingParameters():
                raise ValueError(
                    f"task={self.task} looks at windows: window_s and overlap say which, not fps or sample"
                )
        elif self.clips != ClipParameters():
            raise ValueError(f"window_s and overlap go with clips, and task={self.task} looks at single frames")
        return self

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """From what JSON can say: a request's body, or what a job has kept.

        Raises:
            ServiceError: invalid_parameters, which names what is wrong.
        """
        try:
            request = cls.model_validate_json(orjson.dumps(dict(values)))
        except ValidationError as error:
            raise invalid_parameters(first_problem(error)) from error
        except (orjson.JSONEncodeError, TypeError) as error:
            raise invalid_parameters(f"the request is not JSON: {error}") from error
        parse_parameters(TASKS[request.task], request.parameters)
        return request

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self:
        """From the query of ``POST /v1/videos``: its own names, those of sampling and clips, the task's parameters.

        ``track`` is true, false or JSON; ``counts`` is JSON.

        Raises:
            ServiceError: invalid_parameters.
        """
        values: dict[str, Any] = {}
        parts: dict[str, dict[str, str]] = {"sampling": {}, "clips": {}, "parameters": {}}
        for name, text in query.items():
            if name in SamplingParameters.model_fields:
                parts["sampling"][name] = text
            elif name in ClipParameters.model_fields:
                parts["clips"][name] = text
            elif name in cls.model_fields:
                values[name] = _value(name, text)
            else:
                parts["parameters"][name] = text
        for name, given in parts.items():
            if given:
                # Both may be given: as JSON, and as names of their own.
                values[name] = {**_mapping(name, values.get(name, {})), **given}
        if "task" not in values:
            raise invalid_parameters("task is missing: what is to be found in the video?")
        try:
            return cls.of(values)
        except ServiceError as error:
            # In a query the parts have no names of their own.
            raise invalid_parameters(_PART.sub("", error.message)) from error

    def as_json(self) -> dict[str, Any]:
        """What a job keeps of it: `of` makes it again."""
        return self.model_dump(mode="json", exclude_none=True, exclude_unset=True)


def score_threshold(version: LoadedVersion, request: VideoRequest) -> float:
    """From which score on objects are answered: the caller's, or the card's. For tasks that can be tracked."""
    asked: Any = parse_parameters(TASKS[request.task], request.parameters)
    settings: Any = version.settings
    return float(settings.score_threshold if asked.score_threshold is None else asked.score_threshold)


def check_labels(card: ModelCard, task: Task, parameters: Mapping[str, Any]) -> None:
    """Raise ServiceError (invalid_parameters) for a label that the model does not know: no frame could be answered."""
    asked: Any = parse_parameters(TASKS[task], dict(parameters))
    if "labels" not in type(asked).model_fields:
        return
    try:
        label_indices(card, asked.labels)
    except InvalidParameter as error:
        raise invalid_parameters(str(error)) from error


def _value(name: str, text: str) -> Any:
    """A query parameter as JSON has it."""
    if name in ("track", "reidentify", "annotate") and text.lower() in _FLAGS:
        return _FLAGS[text.lower()]
    if name == "annotate":
        raise invalid_parameters("annotate is true or false")
    if name == "window":
        return _whole_number(name, text)
    if name in _OBJECTS:
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise invalid_parameters(f"{name} is not JSON: {error}") from error
    return text


def _whole_number(name: str, text: str) -> int:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not number.is_integer():
        raise invalid_parameters(f"{name} is a whole number")
    return int(number)


def _mapping(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid_parameters(f"{name} is a JSON object")
    return value
