"""The fields of a catalogue entry."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from contract.card import Supervision
from contract.preprocess import PreprocessSpec, Resize
from contract.task import Task

Triple = tuple[float, float, float]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Normalisation(_Strict):
    """What a network does to pixels before its first layer: ``(pixel / 255 - mean) / std`` for each channel."""

    mean: Triple
    std: Triple
    channels: Literal["rgb", "bgr"] = "rgb"
    """The order in which the network takes the channels; mean and std are in that order too."""


class TimmSource(_Strict):
    """An architecture of timm."""

    kind: Literal["timm"] = "timm"
    model: str


class OnnxSource(_Strict):
    """A finished ONNX graph, float NCHW in and one dense map [B, 1, h, w] out; the weights' file is the graph."""

    kind: Literal["onnx"] = "onnx"


class PackageWeights(_Strict):
    """Weights inside an installed Python package."""

    kind: Literal["package"] = "package"
    distribution: str
    """The package's name, as pip knows it."""
    file: str
    """The weights' path within the installed package, e.g. ``rapidocr/models/….onnx``."""
    mapping: Literal["by_name", "by_order"] = "by_name"
    """``by_order``: the tensors bear other names but come in the network's order; their shapes are checked."""


class HubWeights(_Strict):
    """Weights that timm fetches from its hub."""

    kind: Literal["hub"] = "hub"


class CamHead(_Strict):
    """The head of `build_engines.heads.cam`: where in the image the recognised classes are."""

    kind: Literal["cam"] = "cam"
    map_size: int = Field(gt=0)
    """Side of the masks."""
    window: int = Field(default=7, gt=0)
    """Side of the windows in which classes are judged, in features: that of the map at the training's size."""
    candidates: int = Field(default=5, ge=1, le=32)
    """How many of the most probable classes are considered."""
    level: float = Field(default=0.35, gt=0, lt=1)
    """Where the outline runs between an activation map's lowest value (0) and its highest (1)."""
    least_filled: float = Field(default=0.25, gt=0, le=1)
    """Rows and columns of a mask that are filled less than this share of the fullest one do not stretch the box."""
    suppress_iou: float = Field(default=0.5, gt=0, le=1)
    """A class whose box overlaps that of a more probable one by more than this is taken for the same object."""


class Published(_Strict):
    """What the authors say of the model, to hold the built one against."""

    parameters: int | None = Field(default=None, gt=0)


class Entry(_Strict):
    """One model that can be built."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,127}$")
    task: Task
    description: str
    source: Annotated[TimmSource | OnnxSource, Field(discriminator="kind")]
    weights: Annotated[PackageWeights | HubWeights, Field(discriminator="kind")]
    head: CamHead | None = None
    preprocess: PreprocessSpec | None = None
    """None: as timm states it for the architecture."""
    normalisation: Normalisation | None = None
    """None: as timm states it for the architecture."""
    labels: Literal["imagenet"] | None = None
    task_settings: dict[str, JsonValue] = Field(default_factory=dict)
    max_batch_size: int = Field(default=8, ge=3, le=64)
    """Every size up to this one is verified, and offered if it passes."""
    supervision: Supervision = Supervision.FULL
    licence: str
    reference: str | None = None
    notes: tuple[str, ...] = ()
    published: Published = Published()
    default: bool = False
    """Belongs to the models of a fresh installation."""

    @model_validator(mode="after")
    def _head_fits(self) -> Self:
        if self.head and (self.source.kind != "timm" or self.task not in {Task.DETECT, Task.SEGMENT}):
            raise ValueError("a CAM head makes a timm classifier detect or segment, nothing else")
        if self.source.kind == "timm" and self.head is None and self.task not in {Task.CLASSIFY, Task.EMBED}:
            raise ValueError("a timm model without a head can classify or embed only")
        return self

    @model_validator(mode="after")
    def _onnx_is_complete(self) -> Self:
        if self.source.kind == "onnx" and not (
            self.preprocess and self.normalisation and self.weights.kind == "package" and self.task is Task.REGIONS
        ):
            raise ValueError("an ONNX source needs task regions, preprocess, normalisation and a package's weights")
        return self


def at_resolution(spec: PreprocessSpec, side: int) -> PreprocessSpec:
    """The same preprocessing for a square input of another side; what is cropped stays in proportion."""
    edge = spec.shortest_edge
    if spec.resize is Resize.SHORTEST_EDGE and edge is not None:
        edge = max(side, round(edge * side / max(spec.height, spec.width)))
    return PreprocessSpec.model_validate(spec.model_dump() | {"height": side, "width": side, "shortest_edge": edge})
