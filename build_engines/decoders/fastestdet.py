"""FastestDet (github.com/dog-qiuqiu/FastestDet): one map, one candidate a cell."""

import torch
from torch import Tensor

from build_engines.catalog.decoding import FastestDet
from build_engines.decoders.boxes import corners, suppressed
from build_engines.decoders.form import Decoder, Raw, misfit, single

_OBJECTNESS, _CLASS = 0.6, 0.4
"""The weights of the two scores, as exponents, by the authors' own runtime."""


class FastestDetDecoder(Decoder):
    """Raw f32 [B,5+C,h,w]: objectness, box (tanh of the centre in cells, sigmoid of the size in inputs), classes."""

    cells: Tensor
    sides: Tensor

    def __init__(self, decoding: FastestDet, raw: tuple[Raw, ...]) -> None:
        super().__init__(("boxes", "scores", "labels"))
        self.decoding = decoding
        output = single(raw, "fastestdet", "one output [B, 5 + classes, h, w]")
        if len(output.shape) != 4 or output.shape[1] < 6:
            raise misfit(raw, "fastestdet", "one output [B, 5 + classes, h, w]")
        self.classes = output.shape[1] - 5
        height, width = output.shape[2:]
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        cells = torch.stack([columns, rows], dim=-1).reshape(-1, 2)
        self.register_buffer("cells", cells.float(), persistent=False)
        self.register_buffer("sides", torch.tensor([width, height], dtype=torch.float32), persistent=False)

    def forward(self, output: Tensor) -> tuple[Tensor, ...]:
        """Decode, weigh, suppress."""
        rows = output.flatten(2).transpose(1, 2)
        centres = (rows[..., 1:3].tanh() + self.cells) / self.sides
        boxes = corners(torch.cat([centres, rows[..., 3:5].sigmoid()], dim=-1), "cxcywh")
        scores = rows[..., :1].clamp(min=0).pow(_OBJECTNESS) * rows[..., 5:].clamp(min=0).pow(_CLASS)
        settings = self.decoding
        return suppressed(
            boxes, scores.transpose(1, 2), settings.objects, settings.iou_threshold, settings.least_score
        )[:3]
