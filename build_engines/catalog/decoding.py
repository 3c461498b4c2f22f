"""How the raw outputs of a foreign graph become the task's tensors, as a card or a catalogue entry says it."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contract.task import Task

BoxForm = Literal["xyxy", "yxyx", "xywh", "cxcywh"]
"""``xywh``: the left upper corner and the size; ``cxcywh``: the centre and the size."""
Unit = Literal["fraction", "pixels"]
"""What boxes are measured in: the input's sides, or its pixels."""
Activation = Literal["none", "sigmoid", "softmax"]


class _Decoding(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    TASKS: ClassVar[tuple[Task, ...]] = (Task.DETECT,)
    """What it can give the tensors of."""


class Step(BaseModel):
    """One of the task's tensors, made of one raw output; what is set is done in the order of the fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    output: str | None = None
    """The raw output's name; None: the only one."""
    transpose: tuple[int, ...] | None = None
    """The axes in their new order, the batch (0) first."""
    squeeze: tuple[int, ...] = ()
    """Axes of length 1 to take away."""
    resize: tuple[int, int] | None = None
    """Height and width to interpolate a map [B,C,h,w] or [B,h,w] to, bilinearly."""
    activation: Activation = "none"
    axis: int = 1
    """The axis of the softmax and the argmax: that of the classes."""
    argmax: bool = False
    """Answer with the number of the greatest instead of the values."""
    scale: float = 1.0
    offset: float = 0.0
    """Values are multiplied by ``scale``, then ``offset`` is added."""


class Rename(_Decoding):
    """The raw outputs are the task's tensors, or nearly: an activation, an axis or a name is missing."""

    TASKS: ClassVar = tuple(Task)
    decoder: Literal["rename"] = "rename"
    tensors: dict[str, Step] = Field(default_factory=dict)
    """By the task's names; nothing for the only output of a task that has one tensor. A map [B,1,h,w] loses its
    channel axis by itself."""


class _Boxes(_Decoding):
    iou_threshold: float = Field(default=0.45, gt=0, le=1)
    """Of two boxes of one class that overlap by more, the one with the lower score goes."""
    least_score: float = Field(default=0.01, ge=0, lt=1)
    """What scores no more than this is never an object; the card's ``score_threshold`` decides later and per call."""
    objects: int = Field(default=100, ge=1, le=1000)
    """Slots of the answer."""


class Yolox(_Boxes):
    """YOLOX: one output [B,N,5+C] over all strides; centre within a cell, logarithm of the size."""

    decoder: Literal["yolox"]
    strides: tuple[int, ...] = (8, 16, 32)
    activated: bool = True
    """Objectness and classes went through their sigmoid inside the graph."""


class Yolo(_Boxes):
    """Ready boxes and classes in one output [B,N,4+C] or [B,4+C,N], as YOLOv5 to YOLO11 export it."""

    TASKS: ClassVar = (Task.DETECT, Task.KEYPOINTS)
    decoder: Literal["yolo"]
    order: Literal["channels_first", "channels_last"] = "channels_first"
    """``channels_first``: [B,4+C,N] (v8 and later); ``channels_last``: [B,N,5+C] (v5, v7)."""
    objectness: bool = False
    """A fifth number says how sure it is of an object at all (v5, v7)."""
    boxes: BoxForm = "cxcywh"
    unit: Unit = "pixels"
    activated: bool = True
    """Scores went through their sigmoid inside the graph."""
    keypoints: int = Field(default=0, ge=0, le=256)
    """Points (x, y, score) behind the classes, in the boxes' unit: what task keypoints needs."""

    @model_validator(mode="after")
    def _no_points_without_one(self) -> Self:
        if self.objectness and self.keypoints:
            raise ValueError("a graph with objectness has no keypoints; take one of them away")
        return self


class FastestDet(_Boxes):
    """FastestDet: one map [B,5+C,h,w] of objectness, raw box and class probabilities."""

    decoder: Literal["fastestdet"]


class Yunet(_Boxes):
    """YuNet: class, objectness, box and five points at each stride, twelve outputs in all."""

    TASKS: ClassVar = (Task.DETECT, Task.KEYPOINTS)
    decoder: Literal["yunet"]
    strides: tuple[int, ...] = (8, 16, 32)
    points: int = Field(default=5, ge=1)
    iou_threshold: float = Field(default=0.3, gt=0, le=1)


class _Pairs(_Boxes):
    scores: str | None = None
    """The output [B,N,C] of the classes; None: the first."""
    locations: str | None = None
    """The output [B,N,4] of the boxes; None: the second."""
    unit: Unit = "fraction"


class Detr(_Pairs):
    """DETR and its kin: class logits [B,Q,C] and boxes [B,Q,4] that need no suppression."""

    decoder: Literal["detr"]
    boxes: BoxForm = "cxcywh"
    activation: Activation = "softmax"
    """``sigmoid`` for Deformable DETR, RT-DETR, D-FINE and others that are trained with a focal loss."""
    background: Literal["none", "first", "last"] = "last"
    """Which class means that nothing is there; ``none`` goes with a sigmoid."""


class Ssd(_Pairs):
    """SSD and its kin: class scores [B,N,C] and ready boxes [B,N,4], to be suppressed."""

    decoder: Literal["ssd"]
    boxes: BoxForm = "xyxy"
    activation: Activation = "none"
    background: Literal["none", "first", "last"] = "first"


Decoding = Annotated[Rename | Yolox | Yolo | FastestDet | Yunet | Detr | Ssd, Field(discriminator="decoder")]
