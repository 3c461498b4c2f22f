"""Anchors, and the boxes that a regression makes of them.

After Girshick et al., "Rich feature hierarchies …" (2014), appendix C, and Ren et al., "Faster R-CNN" (2015), section
3.1. All numbers are in 0…1 of the network's input, so that a box needs no division at the end.
"""

import math

import torch
from torch import Tensor

from build_engines.heads.maps import Map, Size

_LARGEST_GROWTH = math.log(1000 / 16)
"""No anchor grows more than 62 times, so that `exp` stays finite (the authors' own bound)."""


def grid(level: Map, size: Size) -> Tensor:
    """Centres f32 [h*w, 2] (x, y in 0…1) of the map's positions, row by row."""
    height, width = size
    rows = (torch.arange(level.height, dtype=torch.float32) + 0.5) * level.stride / height
    columns = (torch.arange(level.width, dtype=torch.float32) + 0.5) * level.stride / width
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x, y], dim=-1).reshape(-1, 2)


def anchors(level: Map, size: Size, edges: tuple[float, ...], ratios: tuple[float, ...]) -> Tensor:
    """Anchors f32 [h*w*A, 4] (centre x, y, width, height in 0…1), the A of one position side by side.

    Each has the area of a square with one of the ``edges`` (pixels) and one of the ``ratios`` of height to width.
    """
    height, width = size
    shapes = torch.tensor(
        [(edge / math.sqrt(ratio) / width, edge * math.sqrt(ratio) / height) for edge in edges for ratio in ratios]
    )
    centres = grid(level, size)
    return torch.cat(
        [
            centres.unsqueeze(1).expand(-1, len(shapes), -1),
            shapes.unsqueeze(0).expand(len(centres), -1, -1),
        ],
        dim=-1,
    ).reshape(-1, 4)


def centred(boxes: Tensor) -> Tensor:
    """Boxes f32 [...,4], xyxy → centre x, y, width, height."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return torch.cat([(low + high) / 2, high - low], dim=-1)


def decode(starts: Tensor, deltas: Tensor, weights: tuple[float, float] = (1.0, 1.0)) -> Tensor:
    """Boxes f32 [...,4] (xyxy, clipped to 0…1) from where they start f32 [...,4] (centred) and the regression.

    The deltas move the centre by shares of the start's size, and stretch it by powers of e; they are first divided by
    the ``weights`` for centre and size.
    """
    centre = starts[..., :2] + deltas[..., :2] / weights[0] * starts[..., 2:]
    growth = (deltas[..., 2:] / weights[1]).clamp(max=_LARGEST_GROWTH)
    half = starts[..., 2:] * growth.exp() / 2
    return torch.cat([centre - half, centre + half], dim=-1).clamp(0, 1)
