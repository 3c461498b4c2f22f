"""RetinaNet: a one-stage detector with anchors.

After Lin et al., "Focal Loss for Dense Object Detection" (2017), section 4: a pyramid P3 to P7, nine anchors for each
position (three scales, three ratios), and two subnets of four convolutions that all levels share. The best thousand
predictions of each level are decoded; non-maximum suppression within each class leaves the answer.
"""

import torch
from torch import Tensor, nn

from build_engines.catalog.entry import PyramidHead
from build_engines.heads import slots
from build_engines.heads.anchors import anchors, decode
from build_engines.heads.fpn import FeaturePyramid
from build_engines.heads.maps import Map, Size

LEVELS = 5
FINEST_STRIDE = 8
_SCALES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
_RATIOS = (0.5, 1.0, 2.0)
_BASE = 4
"""Edge of a level's smallest anchor, in strides: 32 pixels at P3."""
_IOU = 0.5


class RetinaNet(nn.Module):
    """Maps f32 [B,C,h,w] → boxes f32 [B,N,4], scores f32 [B,N], labels i32 [B,N], as the contract has them."""

    def __init__(self, maps: tuple[Map, ...], settings: PyramidHead, size: Size) -> None:
        super().__init__()
        self.skipped = sum(level.stride < FINEST_STRIDE for level in maps)
        used = maps[self.skipped :]
        self.fpn = FeaturePyramid(used, settings.width, extra=max(0, LEVELS - len(used)))
        self.objects, count = settings.objects, len(_SCALES) * len(_RATIOS)
        self.class_tower, self.box_tower = _tower(settings.width), _tower(settings.width)
        self.classifier = nn.Conv2d(settings.width, count * settings.classes, 3, padding=1)
        self.regressor = nn.Conv2d(settings.width, count * 4, 3, padding=1)
        self.kinds = count
        for index, level in enumerate(self.fpn.maps):
            edges = tuple(_BASE * level.stride * scale for scale in _SCALES)
            self.register_buffer(f"anchors{index}", anchors(level, size, edges, _RATIOS), persistent=False)

    def forward(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The best predictions of each level, then the best of all."""
        levels = self.fpn(maps[self.skipped :])
        found = [self._on_level(level, getattr(self, f"anchors{index}")) for index, level in enumerate(levels)]
        boxes, scores, labels = (torch.cat(parts, dim=1) for parts in zip(*found, strict=True))
        return slots.answer(slots.suppressed((boxes, scores, labels), self.objects, _IOU))

    def _on_level(self, level: Tensor, starts: Tensor) -> slots.Detections:
        logits = by_position(self.classifier(self.class_tower(level)), self.kinds)
        deltas = by_position(self.regressor(self.box_tower(level)), self.kinds)
        index, best, labels = slots.best_pairs(logits)
        return decode(starts[index], slots.rows(deltas, index)), best.sigmoid(), labels


def by_position(predicted: Tensor, kinds: int) -> Tensor:
    """Predictions f32 [B,A*K,h,w] for A anchors a position → f32 [B,h*w*A,K], in the order of the anchors."""
    return torch.unflatten(predicted, 1, (kinds, -1)).permute(0, 3, 4, 1, 2).flatten(1, 3)


def _tower(width: int) -> nn.Sequential:
    layers = [layer for _ in range(4) for layer in (nn.Conv2d(width, width, 3, padding=1), nn.ReLU())]
    return nn.Sequential(*layers)
