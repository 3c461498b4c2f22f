"""The step that puts a dense head on a backbone's feature pyramid."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from torch import Tensor, nn

from build_engines import checkpoint, random_weights
from build_engines.artifact import Artifact, BuildFailure, Step, WeightsOrigin, known
from build_engines.catalog.entry import PyramidHead
from build_engines.heads.balance import balance
from build_engines.heads.fcos import Fcos
from build_engines.heads.maps import Map, Size, measured
from build_engines.heads.mask_rcnn import MaskRcnn
from build_engines.heads.retinanet import RetinaNet
from build_engines.heads.semantic_fpn import SemanticFpn
from build_engines.heads.upernet import UperNet
from contract.task import Task

_BOXES = ("boxes", "scores", "labels")
_OUTPUTS = {
    "semantic_fpn": ("class_map",),
    "upernet": ("class_map",),
    "retinanet": _BOXES,
    "fcos": _BOXES,
    "mask_rcnn": (*_BOXES, "masks"),
}
_SETTLING_BATCH = 2
_LOUDNESS = 4
"""Photographs excite a network settled on drawn pictures up to four times as much; scores must not saturate."""
_UNTRAINED = "the head's weights are random: train it, and give its checkpoint"


class Joined(nn.Module):
    """Pixels f32 [B,3,H,W], normalised → the task's tensors.

    A checkpoint of all of it has names that begin with ``backbone.`` and ``head.``.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """First the maps, then what the head makes of them."""
        return self.head(self.backbone(pixels))  # type: ignore[no-any-return]  # nn.Module is untyped


def attach(artifact: Artifact) -> Artifact:
    """Join the head that the entry names; BuildFailure if backbone, head and weights do not fit each other.

    The head's weights are those of the head's own checkpoint; else those under ``head.`` in the checkpoint that the
    order names; else random, and then the whole is not called trained.
    """
    settings, backbone, order = artifact.order.entry.head, artifact.network, artifact.order
    if not isinstance(settings, PyramidHead) or not isinstance(backbone, nn.Module):
        raise TypeError(f"{order.entry.name} asks for no head on a pyramid")
    spec, origin = known(artifact.preprocess), known(artifact.origin)
    size = (spec.height, spec.width)
    with_masks = order.entry.task is Task.SEGMENT
    head = _head(settings, measured(backbone, artifact.pyramid, size), size, with_masks=with_masks)
    joined = Joined(backbone, head).eval()
    loaded = _load(head, settings, order.weights)
    if not loaded:
        random_weights.fill(head)
        if order.weights == "random":
            shape = (_SETTLING_BATCH, 3, *size)
            balance(head, partial(joined, _LOUDNESS * random_weights.pictures(shape)))
            random_weights.settle(joined, shape)
    names = _OUTPUTS[settings.kind] if with_masks else _BOXES
    return artifact.having(
        network=joined,
        output_names=names,
        labels=_labels(artifact, settings.classes),
        origin=_origin(origin, loaded),
        warnings=artifact.warnings + (() if loaded else (_UNTRAINED,)),
    )


STEP = Step(
    "head",
    attach,
    requires=("network", "pyramid", "preprocess", "origin"),
    ensures=("network", "output_names"),
)


def _head(settings: PyramidHead, maps: tuple[Map, ...], size: Size, *, with_masks: bool) -> nn.Module:
    if settings.kind == "mask_rcnn":
        return MaskRcnn(maps, settings, size, with_masks=with_masks)
    makers: dict[str, Callable[[tuple[Map, ...], PyramidHead, Size], nn.Module]] = {
        "semantic_fpn": SemanticFpn,
        "upernet": UperNet,
        "retinanet": RetinaNet,
        "fcos": Fcos,
    }
    return makers[settings.kind](maps, settings, size)


def _load(head: nn.Module, settings: PyramidHead, weights: str | Path) -> bool:
    """Whether weights for the head were found, and are in it now."""
    path = Path(settings.checkpoint) if settings.checkpoint else weights
    if not isinstance(path, Path):
        return False
    tensors = checkpoint.read(path)
    own = checkpoint.part(tensors, "head.")
    if not own and not settings.checkpoint:
        return False
    checkpoint.load(head, own or tensors, path.name, "by_name")
    return True


def _labels(artifact: Artifact, classes: int) -> tuple[str, ...]:
    """The labels of the head's classes; BuildFailure where the entry lists another number of them."""
    labels = artifact.labels or ()
    if labels and len(labels) != classes:
        raise BuildFailure(
            f"the head has {classes} classes and the entry {len(labels)} labels", "make the two equal in the entry"
        )
    return labels


def _origin(backbone: WeightsOrigin, loaded: bool) -> WeightsOrigin:  # noqa: FBT001  one fact
    if loaded or backbone.name == "random":
        return replace(backbone, trained=backbone.trained and loaded)
    return WeightsOrigin(f"{backbone.name}, with a random head", backbone.sha256, trained=False)
