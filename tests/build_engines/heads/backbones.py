"""A backbone small enough to carry every head in a moment."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from build_engines import random_weights
from build_engines.artifact import Artifact
from build_engines.catalog.entry import PyramidHead
from build_engines.heads.maps import Map
from build_engines.pictures import draw
from build_engines.sources import pyramid
from contract.task import Task
from tests.build_engines.orders import a_spec, an_artifact, an_entry, an_order

SIDE = 64
CLASSES = 5
KINDS = {
    "semantic_fpn": Task.SEGMENT,
    "upernet": Task.SEGMENT,
    "retinanet": Task.DETECT,
    "fcos": Task.DETECT,
    "mask_rcnn": Task.SEGMENT,
}


class Stages(nn.Module):
    """Maps of the strides 4, 8, 16 and 32, of 8 channels each."""

    def __init__(self) -> None:
        super().__init__()
        strides = (4, 2, 2, 2)
        self.stages = nn.ModuleList(
            nn.Conv2d(8 if index else 3, 8, 3, stride=stride, padding=1) for index, stride in enumerate(strides)
        )
        random_weights.fill(self)

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        maps = [pixels]
        for stage in self.stages:
            maps.append(torch.tanh(2 * stage(maps[-1])))
        return tuple(maps[1:])


def some_maps(side: int = SIDE) -> tuple[Map, ...]:
    """What `Stages` gives at this size."""
    return tuple(Map(8, stride, side // stride, side // stride) for stride in (4, 8, 16, 32))


def settings(kind: str, **changes: Any) -> PyramidHead:
    """A small head of this kind."""
    return PyramidHead(
        **{"kind": kind, "classes": CLASSES, "width": 64 if kind == "fcos" else 32, "objects": 10, **changes}
    )


def a_backbone(root: Path, kind: str, task: Task | None = None, weights: Any = "random", **changes: Any) -> Artifact:
    """What is known before the head is joined."""
    entry = an_entry(task=task or KINDS[kind], head=settings(kind, **changes), labels=None)
    network, levels = pyramid.of_network(Stages(), SIDE, SIDE)
    order = an_order(root, entry, weights=weights, resolution=SIDE)
    samples = np.stack([draw(index, SIDE, SIDE) for index in range(4)])
    return an_artifact(root, network, order=order, preprocess=a_spec(SIDE), pyramid=levels, labels=(), samples=samples)
