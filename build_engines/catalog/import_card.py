"""What a user writes about an ONNX file of their own, and the entry that it becomes."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from build_engines.catalog.decoding import Decoding, Rename
from build_engines.catalog.entry import Entry, Normalisation, OnnxSource, Published, Triple
from contract.card import Supervision
from contract.preprocess import PreprocessSpec
from contract.task import Task

KnownLabels = Literal["imagenet", "coco", "ade20k", "cityscapes", "voc", "kinetics400"]

_LARGEST_FILE = 2**20
"""Bytes of a card or of a file of labels; what is longer is neither."""

EXAMPLES = {
    "name": "name: my_detector",
    "task": "task: detect",
    "licence": "licence: Apache-2.0",
    "labels": "labels: coco        (or a list, or a file: labels: {file: labels.txt})",
    "preprocess": "preprocess: {height: 416, width: 416, resize: letterbox, interpolation: bilinear}",
    "normalisation": "normalisation: {mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], channels: rgb}",
    "layout": "layout: nhwc",
    "constants": "constants: {orig_target_sizes: [[640, 640]]}",
    "outputs": "outputs: {decoder: yolox}",
    "max_batch_size": "max_batch_size: 8",
    "supervision": "supervision: full",
    "task_settings": "task_settings: {score_threshold: 0.3}",
    "published": "published: {parameters: 910000}",
}
"""A line of the card for each field, shown where one is wrong."""


class CardError(ValueError):
    """A card that cannot be used; the message names the field and shows an example."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PixelRange(_Strict):
    """What the network was fed in training, as ``mean`` and ``std`` or as a ``range``."""

    mean: Triple | None = None
    """As fractions of white: pixel / 255."""
    std: Triple | None = None
    range: tuple[float, float] | None = None
    """The values of black and of white: ``[0, 255]`` for bare pixels, ``[0, 1]``, or ``[-1, 1]``."""
    channels: Literal["rgb", "bgr"] = "rgb"

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.range is None) == (self.mean is None or self.std is None) or (self.mean is None) != (self.std is None):
            raise ValueError("give either mean and std, or range")
        if self.range is not None and self.range[0] == self.range[1]:
            raise ValueError("black and white must differ in range")
        if self.std is not None and 0 in self.std:
            raise ValueError("std must not be 0")
        if self.mean is not None and max(self.mean) > 1:
            raise ValueError("mean and std are in units of pixel / 255: divide both by 255")
        return self

    def normalisation(self) -> Normalisation:
        """The same as ``(pixel / 255 - mean) / std``."""
        if self.range is None:
            return Normalisation.model_validate(self.model_dump(exclude={"range"}))
        black, white = self.range
        span = white - black
        return Normalisation(mean=(-black / span,) * 3, std=(1 / span,) * 3, channels=self.channels)


class LabelFile(_Strict):
    """Labels in a text file beside the card, one a line."""

    file: str


class ImportCard(_Strict):
    """All that an ONNX file does not say of itself."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,127}$")
    task: Task
    description: str = ""
    licence: str = Field(min_length=1)
    reference: str | None = None
    labels: KnownLabels | tuple[str, ...] | LabelFile | None = None
    preprocess: PreprocessSpec
    normalisation: PixelRange
    layout: Literal["nchw", "nhwc"] = "nchw"
    constants: dict[str, JsonValue] = Field(default_factory=dict)
    outputs: Annotated[Decoding, Field(default_factory=Rename)]
    task_settings: dict[str, JsonValue] = Field(default_factory=dict)
    max_batch_size: int = Field(default=8, ge=3, le=64)
    supervision: Supervision = Supervision.FULL
    notes: tuple[str, ...] = ()
    published: Published = Published()

    def entry(self, folder: Path) -> Entry:
        """The entry for this card, whose file of labels is sought in ``folder``."""
        source = OnnxSource(layout=self.layout, constants=self.constants, outputs=self.outputs)
        taken = {"labels", "normalisation", "layout", "constants", "outputs"}
        kept = {name: getattr(self, name) for name in ImportCard.model_fields if name not in taken}
        return Entry(
            **kept, source=source, normalisation=self.normalisation.normalisation(), labels=self._labels(folder)
        )

    def _labels(self, folder: Path) -> KnownLabels | tuple[str, ...] | None:
        if not isinstance(self.labels, LabelFile):
            return self.labels
        lines = _text(folder / self.labels.file).splitlines()
        return tuple(line.strip() for line in lines if line.strip())


def read(path: Path) -> Entry:
    """The entry that a card describes; CardError, with every field that is wrong, for one that does not."""
    try:
        content = yaml.safe_load(_text(path))
    except yaml.YAMLError as error:
        raise CardError(f"{path.name} is not YAML: {_one_line(str(error))}") from error
    if not isinstance(content, dict):
        raise CardError(f"{path.name} should hold fields such as\n  " + "\n  ".join(EXAMPLES.values()))
    try:
        return ImportCard.model_validate(content).entry(path.parent)
    except ValidationError as error:
        raise CardError(f"{path.name}:\n" + "\n".join(_told(error))) from error


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise CardError(f"{path.name} is too long to be a card or a list of labels")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CardError(f"{path.name} is not a text file") from error
    except OSError as error:
        raise CardError(f"{path} cannot be read: {error.strerror}") from error


def _told(error: ValidationError) -> list[str]:
    """One line for each field that is wrong, with an example."""
    lines: dict[str, None] = {}
    for problem in error.errors(include_url=False):
        names = [str(part) for part in problem["loc"] if not _is_branch(part)]
        field = names[0] if names else ""
        example = f"; for example: {EXAMPLES[field]}" if field in EXAMPLES else ""
        lines[f"  {'.'.join(names) or 'the card'}: {_words(problem)}{example}"] = None
    return list(lines)


def _words(problem: Any) -> str:
    if problem["type"] == "missing":
        return "is missing"
    if problem["type"] == "extra_forbidden":
        return "is unknown" + (f"; a card has {', '.join(ImportCard.model_fields)}" if len(problem["loc"]) == 1 else "")
    return str(problem["msg"]).removeprefix("Value error, ")


def _is_branch(part: str | int) -> bool:
    """Whether a part of a place names one of several forms that a field may take, which no card says."""
    decoders = {form.model_fields["decoder"].annotation for form in get_args(get_args(Decoding)[0])}
    names = {name for form in decoders for name in get_args(form)}
    return isinstance(part, str) and (part in names or bool(re.match(r"^(tuple|literal|LabelFile)\b", part)))


def _one_line(text: str) -> str:
    return " ".join(text.split())
