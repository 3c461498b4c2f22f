"""The fields of a catalogue entry."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from build_engines.catalog.decoding import Decoding, Rename
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
    options: dict[str, JsonValue] = Field(default_factory=dict)
    """Further arguments of `timm.create_model`."""


class TransformersSource(_Strict):
    """An architecture of transformers."""

    kind: Literal["transformers"] = "transformers"
    type: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """The model type, as transformers' configurations bear it: ``detr``, ``rt_detr_v2``, ``zoedepth`` …"""
    model_class: str | None = None
    """E.g. ``DetrForObjectDetection``; None: the one that transformers has for the entry's task."""
    options: dict[str, JsonValue] = Field(default_factory=dict)
    """Fields of the configuration that differ from the type's defaults; a mapping changes fields of a nested one."""


class ExternalSource(_Strict):
    """A user's own code, run in a process of its own."""

    kind: Literal["external"] = "external"
    entry: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$")
    """``package.module:factory``; the factory gives an `nn.Module`."""
    code_path: str = "."
    """The folder that the package is imported from."""
    options: dict[str, JsonValue] = Field(default_factory=dict)
    """The factory's arguments."""


class OnnxSource(_Strict):
    """A finished ONNX graph that takes one batch of images; the weights' file is the graph."""

    kind: Literal["onnx"] = "onnx"
    layout: Literal["nchw", "nhwc"] = "nchw"
    """Where the graph's input has its channels."""
    constants: dict[str, JsonValue] = Field(default_factory=dict)
    """Values of its other inputs, which become part of the graph; they hold for every image."""
    outputs: Decoding = Rename()
    """How its raw outputs become the task's tensors."""


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
    """Weights that the source's library fetches from its hub."""

    kind: Literal["hub"] = "hub"
    id: str | None = None
    """The name on the hub; None: the library's own choice for the architecture."""


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


class PyramidHead(_Strict):
    """A dense head that joins a backbone's feature pyramid; one file each in `build_engines.heads`."""

    kind: Literal["semantic_fpn", "upernet", "retinanet", "mask_rcnn", "fcos"]
    classes: int = Field(gt=0)
    width: int = Field(default=256, gt=0)
    """Channels of the head."""
    objects: int = Field(default=100, ge=1, le=1000)
    """Slots of a detector's answer."""
    checkpoint: str | None = None
    """A file with the head's weights; None: they come with the backbone's, or are random."""


class Published(_Strict):
    """What the authors say of the model, to hold the built one against."""

    parameters: int | None = Field(default=None, gt=0)
    gmacs: float | None = Field(default=None, gt=0)
    resolution: int | None = Field(default=None, gt=0)
    """The side of the image that ``gmacs`` holds for; None: that of the entry."""
    accuracy: dict[str, float] = Field(default_factory=dict)
    """By metric, in percent or as published: ``top-1``, ``mAP``, ``mIoU``, ``delta1`` …"""
    where: str | None = None
    """The page or paper, with its table."""


HEAD_TASKS: dict[str, tuple[Task, ...]] = {
    "cam": (Task.DETECT, Task.SEGMENT),
    "semantic_fpn": (Task.SEGMENT,),
    "upernet": (Task.SEGMENT,),
    "retinanet": (Task.DETECT,),
    "mask_rcnn": (Task.SEGMENT, Task.DETECT),
    "fcos": (Task.DETECT,),
}
"""What each head makes of a backbone."""


class Entry(_Strict):
    """One model that can be built."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,127}$")
    task: Task
    description: str
    source: Annotated[TimmSource | TransformersSource | ExternalSource | OnnxSource, Field(discriminator="kind")]
    weights: Annotated[PackageWeights | HubWeights, Field(discriminator="kind")] = HubWeights()
    head: Annotated[CamHead | PyramidHead, Field(discriminator="kind")] | None = None
    preprocess: PreprocessSpec | None = None
    """None: as the source's library states it for the architecture."""
    normalisation: Normalisation | None = None
    """None: as the source's library states it for the architecture."""
    multi_label: bool = False
    """A classifier's classes do not exclude each other: a sigmoid for each instead of one softmax."""
    labels: Literal["imagenet", "coco", "ade20k", "cityscapes", "voc", "kinetics400"] | tuple[str, ...] | None = None
    """A known set, or the labels in the order of the classes."""
    task_settings: dict[str, JsonValue] = Field(default_factory=dict)
    max_batch_size: int = Field(default=8, ge=3, le=64)
    """Every size up to this one is verified, and offered if it passes."""
    exporter: Literal["torch.export", "tracer"] = "torch.export"
    """The way to ONNX that is tried first; the other one follows where this one's outcome is not certified."""
    supervision: Supervision = Supervision.FULL
    licence: str
    reference: str | None = None
    notes: tuple[str, ...] = ()
    published: Published = Published()
    default: bool = False
    """Belongs to the models of a fresh installation."""

    @model_validator(mode="after")
    def _is_what_a_model_does(self) -> Self:
        if self.task is Task.EXPLAIN:
            raise ValueError("explain is asked of a model for classify: build that with --explain")
        return self

    @model_validator(mode="after")
    def _head_fits(self) -> Self:
        if isinstance(self.head, CamHead) and self.source.kind != "timm":
            raise ValueError("a CAM head makes a timm classifier detect or segment, nothing else")
        if self.head and self.task not in HEAD_TASKS[self.head.kind]:
            raise ValueError(f"a head {self.head.kind} can {' or '.join(HEAD_TASKS[self.head.kind])} only")
        if self.source.kind == "timm" and self.head is None and self.task not in {Task.CLASSIFY, Task.EMBED}:
            raise ValueError("a timm model without a head can classify or embed only")
        return self

    @model_validator(mode="after")
    def _onnx_is_complete(self) -> Self:
        if not isinstance(self.source, OnnxSource):
            return self
        if not (self.preprocess and self.normalisation):
            raise ValueError("an ONNX source needs preprocess and normalisation")
        decoding = self.source.outputs
        if self.task not in decoding.TASKS:
            raise ValueError(f"decoder {decoding.decoder} gives what {' or '.join(decoding.TASKS)} needs only")
        return self


def at_resolution(spec: PreprocessSpec, side: int) -> PreprocessSpec:
    """The same preprocessing for a square input of another side; what is cropped stays in proportion."""
    edge = spec.shortest_edge
    if spec.resize is Resize.SHORTEST_EDGE and edge is not None:
        edge = max(side, round(edge * side / max(spec.height, spec.width)))
    return PreprocessSpec.model_validate(spec.model_dump() | {"height": side, "width": side, "shortest_edge": edge})
