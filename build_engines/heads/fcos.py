"""FCOS: a one-stage detector without anchors.

After Tian et al., "FCOS: Fully Convolutional One-Stage Object Detection" (2019), section 3: each position of P3 to P7
predicts its class, the distances from it to the box's four sides, and how central it lies in the box; the product of
class score and centre-ness ranks it. The distances are powers of e with one trained factor a level (section 3.2), in
strides, and centre-ness is read from the box branch, both as in the authors' code.
"""

import torch
from torch import Tensor, nn

from build_engines.artifact import BuildFailure
from build_engines.catalog.entry import PyramidHead
from build_engines.heads import slots
from build_engines.heads.anchors import grid
from build_engines.heads.fpn import FeaturePyramid
from build_engines.heads.maps import Map, Size

LEVELS = 5
FINEST_STRIDE = 8
_GROUPS = 32
_IOU = 0.6
_FARTHEST = 8.0
"""Largest exponent: a side is at most some 3000 strides away, so that `exp` stays finite."""


class Fcos(nn.Module):
    """Maps f32 [B,C,h,w] → boxes f32 [B,N,4], scores f32 [B,N], labels i32 [B,N], as the contract has them."""

    reach: Tensor

    def __init__(self, maps: tuple[Map, ...], settings: PyramidHead, size: Size) -> None:
        super().__init__()
        if settings.width % _GROUPS or settings.width == _GROUPS:
            raise BuildFailure(
                f"a head of {settings.width} channels cannot be normalised in {_GROUPS} groups",
                f"choose a width of {2 * _GROUPS} or a larger multiple of {_GROUPS}",
            )
        self.skipped = sum(level.stride < FINEST_STRIDE for level in maps)
        used = maps[self.skipped :]
        self.fpn = FeaturePyramid(used, settings.width, extra=max(0, LEVELS - len(used)))
        self.objects, width = settings.objects, settings.width
        self.class_tower, self.box_tower = _tower(width), _tower(width)
        self.classifier = nn.Conv2d(width, settings.classes, 3, padding=1)
        self.regressor = nn.Conv2d(width, 4, 3, padding=1)
        self.centreness = nn.Conv2d(width, 1, 3, padding=1)
        self.factors = nn.ParameterList(nn.Parameter(torch.ones(1)) for _ in self.fpn.maps)
        height, length = size
        strides = torch.tensor([[level.stride / length, level.stride / height] * 2 for level in self.fpn.maps])
        self.register_buffer("reach", strides, persistent=False)
        for index, level in enumerate(self.fpn.maps):
            self.register_buffer(f"centres{index}", grid(level, size), persistent=False)

    def forward(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The best predictions of each level, then the best of all."""
        found = [self._on_level(level, index) for index, level in enumerate(self.fpn(maps[self.skipped :]))]
        boxes, scores, labels = (torch.cat(parts, dim=1) for parts in zip(*found, strict=True))
        return slots.answer(slots.suppressed((boxes, scores, labels), self.objects, _IOU))

    def _on_level(self, level: Tensor, index: int) -> slots.Detections:
        classes, box = self.class_tower(level), self.box_tower(level)
        centred = self.centreness(box).sigmoid()
        scores = (self.classifier(classes).sigmoid() * centred).flatten(2).transpose(1, 2)
        sides = (self.regressor(box) * self.factors[index]).clamp(max=_FARTHEST).exp().flatten(2).transpose(1, 2)
        position, best, labels = slots.best_pairs(scores)
        centres = getattr(self, f"centres{index}")[position]
        return around(centres, slots.rows(sides, position) * self.reach[index]), best, labels


def around(centres: Tensor, distances: Tensor) -> Tensor:
    """Boxes f32 [...,4] (xyxy, in 0…1) from points f32 [...,2] and the distances to left, top, right, bottom."""
    return torch.cat([centres - distances[..., :2], centres + distances[..., 2:]], dim=-1).clamp(0, 1)


def _tower(width: int) -> nn.Sequential:
    layers = [
        layer
        for _ in range(4)
        for layer in (nn.Conv2d(width, width, 3, padding=1), nn.GroupNorm(_GROUPS, width), nn.ReLU())
    ]
    return nn.Sequential(*layers)
