"""RoIAlign over a whole feature pyramid, of gathers alone.

After He et al., "Mask R-CNN" (2017), section 3: each cell of a region is the mean of bilinear samples, nothing is
rounded. Regions choose their level by size (Lin et al., "Feature Pyramid Networks …", 2017, equation 1). Here the
levels lie in one table, so that each region is sampled once, on its own level, and the number of regions of a level
need not be known: the sizes of all tensors are fixed.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from build_engines.heads.maps import Map, Size

_SAMPLES = 2
"""Samples a cell along each axis."""
_CANONICAL = 224 / 16
"""A region of 224 pixels belongs to the level of stride 16."""
_TINY = 1e-6


class RoiAlign(nn.Module):
    """Maps f32 [B,C,h,w] and boxes f32 [B,N,4] (xyxy in 0…1 of the input) → f32 [B,N,side,side,C]."""

    levels: Tensor
    scales: Tensor
    places: Tensor

    def __init__(self, maps: tuple[Map, ...], size: Size, side: int) -> None:
        super().__init__()
        self.side, self.size = side, size
        self.finest, self.coarsest = maps[0].stride, len(maps) - 1
        starts = [sum(level.height * level.width for level in maps[:index]) for index in range(len(maps))]
        rows = [(level.height, level.width, start) for level, start in zip(maps, starts, strict=True)]
        # Height and width of each level in positions, and where its rows begin in the table.
        self.register_buffer("levels", torch.tensor(rows), persistent=False)
        # Positions per unit of the input; not height and width where these were rounded up.
        scales = [(size[0] / level.stride, size[1] / level.stride) for level in maps]
        self.register_buffer("scales", torch.tensor(scales), persistent=False)
        count = side * _SAMPLES
        places = (torch.arange(count, dtype=torch.float32) + 0.5) / count
        self.register_buffer("places", places, persistent=False)

    def forward(self, maps: tuple[Tensor, ...], boxes: Tensor) -> Tensor:
        """Sample each box on its level."""
        level = self.level_of(boxes)
        shape, scale = functional.embedding(level, self.levels), functional.embedding(level, self.scales)
        x = self._coordinates(boxes[..., 0], boxes[..., 2], scale[..., 1], shape[..., 1])
        y = self._coordinates(boxes[..., 1], boxes[..., 3], scale[..., 0], shape[..., 0])
        table = torch.cat([values.flatten(2) for values in maps], dim=2).transpose(1, 2)
        first = torch.arange(table.shape[0], device=table.device) * table.shape[1]
        start = shape[..., 2] + first.unsqueeze(-1)
        return self._pooled(table.flatten(0, 1), start[..., None, None], shape[..., 1, None, None], y, x)

    def level_of(self, boxes: Tensor) -> Tensor:
        """Which map each box is sampled on, i64 [B,N]."""
        height, width = self.size
        spans = boxes[..., 2:] - boxes[..., :2]
        edge = (spans[..., 0] * width * spans[..., 1] * height).clamp(min=0).sqrt()
        level = torch.log2(edge / (_CANONICAL * self.finest) + _TINY).floor()
        return level.clamp(0, self.coarsest).to(torch.int64)

    def _coordinates(self, low: Tensor, high: Tensor, scale: Tensor, count: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Along one axis, for each sample: the position before it, the one after, i64 [B,N,S], and its share."""
        place = low.unsqueeze(-1) + (high - low).unsqueeze(-1) * self.places
        last = (count - 1).unsqueeze(-1)
        position = torch.minimum((place * scale.unsqueeze(-1) - 0.5).clamp(min=0), last.to(place.dtype))
        before = position.floor()
        index = before.to(torch.int64)
        return index, torch.minimum(index + 1, last), position - before

    def _pooled(
        self,
        table: Tensor,
        start: Tensor,
        width: Tensor,
        y: tuple[Tensor, Tensor, Tensor],
        x: tuple[Tensor, Tensor, Tensor],
    ) -> Tensor:
        """Bilinear samples of the table f32 [rows,C], averaged by cell: f32 [B,N,side,side,C]."""
        row_share, column_share = y[2][..., :, None, None], x[2][..., None, :, None]
        lines = []
        for row in y[:2]:
            left, right = (
                functional.embedding(start + row.unsqueeze(-1) * width + column.unsqueeze(-2), table)
                for column in x[:2]
            )
            lines.append(left + (right - left) * column_share)
        samples = lines[0] + (lines[1] - lines[0]) * row_share
        cells = torch.unflatten(torch.unflatten(samples, 3, (self.side, _SAMPLES)), 2, (self.side, _SAMPLES))
        return cells.mean(dim=(3, 5))
