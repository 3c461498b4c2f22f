"""A Mask R-CNN: objects with their masks, in two stages, wholly in the graph.

After He et al., "Mask R-CNN" (2017), section 3, on a feature pyramid (Lin et al., "Feature Pyramid Networks …", 2017,
section 4): a region proposal network on P2 to P6, RoIAlign, a box head of two layers, and a mask head of four
convolutions on the boxes that the box head has refined. What differs from the paper: the number of proposals is fixed
(`PROPOSALS`, not a thousand), empty slots are carried along with score 0, and each mask is pasted into the whole image.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from build_engines.catalog.entry import PyramidHead
from build_engines.heads import slots
from build_engines.heads.anchors import anchors, centred, decode
from build_engines.heads.fpn import FeaturePyramid
from build_engines.heads.maps import Map, Size
from build_engines.heads.retinanet import by_position
from build_engines.heads.roi_align import RoiAlign

PROPOSALS = 256
"""Regions that the second stage looks at."""
MASK_STRIDE = 4
"""Pixels of the input for one of the masks' maps."""
_RATIOS = (0.5, 1.0, 2.0)
_ANCHOR = 8
"""Edge of a level's anchors, in strides: 32 pixels at P2."""
_PROPOSAL_IOU = 0.7
_IOU = 0.5
_BOX_SIDE = 7
_MASK_SIDE = 14
_BOX_WEIGHTS = (10.0, 5.0)


class MaskRcnn(nn.Module):
    """Maps f32 [B,C,h,w] → boxes f32 [B,N,4], scores f32 [B,N], labels i32 [B,N], masks f32 [B,N,H/4,W/4].

    The masks lie over the whole input at a quarter of its resolution, inside from 0.5 on.
    """

    def __init__(self, maps: tuple[Map, ...], settings: PyramidHead, size: Size, *, with_masks: bool = True) -> None:
        super().__init__()
        self.fpn = FeaturePyramid(maps, settings.width)
        self.proposals = _Proposals((*self.fpn.maps, self.fpn.maps[-1].coarser(settings.width)), size)
        self.boxes = _BoxHead(self.fpn.maps, settings, size)
        self.masks = _MaskHead(self.fpn.maps, settings, size) if with_masks else None

    def forward(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Regions, then boxes, then masks."""
        levels = self.fpn(maps)
        regions, likely, _ = self.proposals((*levels, functional.max_pool2d(levels[-1], 1, stride=2)))
        found = self.boxes(levels, regions, likely > 0)
        return slots.answer(found) if self.masks is None else (*slots.answer(found), self.masks(levels, *found))


class _Proposals(nn.Module):
    """The region proposal network: where something is, whatever it is."""

    def __init__(self, maps: tuple[Map, ...], size: Size) -> None:
        super().__init__()
        width = maps[0].channels
        self.convolution = nn.Conv2d(width, width, 3, padding=1)
        self.objectness = nn.Conv2d(width, len(_RATIOS), 1)
        self.regressor = nn.Conv2d(width, len(_RATIOS) * 4, 1)
        for index, level in enumerate(maps):
            starts = anchors(level, size, (_ANCHOR * level.stride,), _RATIOS)
            self.register_buffer(f"anchors{index}", starts, persistent=False)

    def forward(self, levels: tuple[Tensor, ...]) -> slots.Detections:
        found = [self._on_level(level, index) for index, level in enumerate(levels)]
        boxes, scores, labels = (torch.cat(parts, dim=1) for parts in zip(*found, strict=True))
        return slots.suppressed((boxes, scores, labels), PROPOSALS, _PROPOSAL_IOU, least_score=0.0)

    def _on_level(self, level: Tensor, number: int) -> slots.Detections:
        hidden = functional.relu(self.convolution(level))
        index, best, _ = slots.best_pairs(by_position(self.objectness(hidden), len(_RATIOS)))
        deltas = slots.rows(by_position(self.regressor(hidden), len(_RATIOS)), index)
        starts = getattr(self, f"anchors{number}")[index]
        # Suppression is within a level, so its number stands for the class. (The tracer would freeze `full_like`.)
        return decode(starts, deltas), best.sigmoid(), index * 0 + number


class _BoxHead(nn.Module):
    """What is in each region, and where exactly."""

    def __init__(self, maps: tuple[Map, ...], settings: PyramidHead, size: Size) -> None:
        super().__init__()
        hidden = 4 * settings.width
        self.align = RoiAlign(maps, size, _BOX_SIDE)
        self.first = nn.Linear(settings.width * _BOX_SIDE**2, hidden)
        self.second = nn.Linear(hidden, hidden)
        # The last class is the background.
        self.classifier = nn.Linear(hidden, settings.classes + 1)
        self.regressor = nn.Linear(hidden, settings.classes * 4)
        self.classes, self.objects = settings.classes, settings.objects

    def forward(self, levels: tuple[Tensor, ...], regions: Tensor, full: Tensor) -> slots.Detections:
        hidden = self.align(levels, regions).flatten(2)
        hidden = functional.relu(self.second(functional.relu(self.first(hidden))))
        scores = self.classifier(hidden).softmax(dim=-1)[..., :-1] * full.unsqueeze(-1)
        deltas = torch.unflatten(self.regressor(hidden), 2, (self.classes, 4)).flatten(1, 2)
        index, best, labels = slots.best_pairs(scores)
        boxes = decode(
            centred(slots.rows(regions, index)), slots.rows(deltas, index * self.classes + labels), _BOX_WEIGHTS
        )
        return slots.suppressed((boxes, best, labels), self.objects, _IOU)


class _MaskHead(nn.Module):
    """The outline of each object, of its own class only."""

    rows: Tensor
    columns: Tensor

    def __init__(self, maps: tuple[Map, ...], settings: PyramidHead, size: Size) -> None:
        super().__init__()
        width = settings.width
        self.align = RoiAlign(maps, size, _MASK_SIDE)
        layers = [layer for _ in range(4) for layer in (nn.Conv2d(width, width, 3, padding=1), nn.ReLU())]
        self.tower = nn.Sequential(*layers, nn.ConvTranspose2d(width, width, 2, stride=2), nn.ReLU())
        self.classifier = nn.Linear(width, settings.classes)
        self.objects = settings.objects
        height, length = (-(-side // MASK_STRIDE) for side in size)
        self.register_buffer("rows", (torch.arange(height) + 0.5) / height, persistent=False)
        self.register_buffer("columns", (torch.arange(length) + 0.5) / length, persistent=False)

    def forward(self, levels: tuple[Tensor, ...], boxes: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
        regions = self.align(levels, boxes).flatten(0, 1).permute(0, 3, 1, 2)
        hidden = torch.unflatten(self.tower(regions).flatten(2), 0, (-1, self.objects))
        chosen = functional.embedding(labels, self.classifier.weight).unsqueeze(2)
        bias = self.classifier.bias[labels]
        logits = torch.matmul(chosen, hidden).flatten(2) + bias.unsqueeze(-1)
        side = 2 * _MASK_SIDE
        masks = torch.unflatten(logits.sigmoid(), 2, (side, side)) * (scores > 0)[..., None, None]
        return pasted(masks, boxes, self.rows, self.columns)


def pasted(masks: Tensor, boxes: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Masks f32 [B,N,S,S] of boxes f32 [B,N,4], resampled to where they lie in the image: f32 [B,N,h,w], 0 outside.

    ``rows`` f32 [h] and ``columns`` f32 [w] are the centres of the image's pixels in 0…1.
    """
    vertical = _shares(rows, boxes[..., 1], boxes[..., 3], masks.shape[2])
    horizontal = _shares(columns, boxes[..., 0], boxes[..., 2], masks.shape[3])
    return torch.matmul(torch.matmul(vertical, masks), horizontal.transpose(2, 3))


def _shares(centres: Tensor, low: Tensor, high: Tensor, count: int) -> Tensor:
    """How much each of ``count`` cells from low to high adds to each pixel, f32 [B,N,pixels,count].

    A pixel sees an interval as wide as a cell, which is bilinear interpolation, or as wide as itself where that is
    more: else a small box's mask would be undersampled, and change much with the box's last digits.
    """
    span = (high - low).clamp(min=torch.finfo(torch.float32).eps).unsqueeze(-1)
    position = (centres - low.unsqueeze(-1)) / span * count - 0.5
    cells = torch.arange(count, dtype=torch.float32, device=centres.device)
    seen = (count / (span * len(centres))).clamp(min=1)
    first, last = ((position + side * seen).unsqueeze(-1) for side in (-0.5, 0.5))
    return (torch.minimum(last, cells + 0.5) - torch.maximum(first, cells - 0.5)).clamp(min=0) / seen.unsqueeze(-1)
