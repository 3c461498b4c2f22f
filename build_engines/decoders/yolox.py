"""YOLOX (Ge et al. 2021, arXiv 2107.08430): an anchor-free grid at three strides."""

import torch
from torch import Tensor

from build_engines.catalog.decoding import Yolox
from build_engines.decoders.boxes import corners, grid, in_fractions, suppressed
from build_engines.decoders.form import Decoder, Raw, Size, misfit, single


class YoloxDecoder(Decoder):
    """Raw f32 [B,N,5+C]: centre within the cell, logarithm of the size in strides, objectness, classes."""

    cells: Tensor
    strides: Tensor

    def __init__(self, decoding: Yolox, raw: tuple[Raw, ...], size: Size) -> None:
        super().__init__(("boxes", "scores", "labels"))
        self.decoding, self.size = decoding, size
        cells, strides = grid(size, decoding.strides)
        wanted = f"one output [B, {len(cells)}, 5 + classes] at strides {list(decoding.strides)}"
        output = single(raw, "yolox", wanted)
        if len(output.shape) != 3 or output.shape[1] != len(cells) or output.shape[2] < 6:
            raise misfit(raw, "yolox", wanted)
        self.classes = output.shape[2] - 5
        self.register_buffer("cells", cells, persistent=False)
        self.register_buffer("strides", strides, persistent=False)

    def forward(self, output: Tensor) -> tuple[Tensor, ...]:
        """Decode, multiply objectness and class, suppress."""
        centres = (output[..., :2] + self.cells) * self.strides
        boxes = corners(torch.cat([centres, output[..., 2:4].exp() * self.strides], dim=-1), "cxcywh")
        sure = output[..., 4:] if self.decoding.activated else output[..., 4:].sigmoid()
        scores = (sure[..., :1] * sure[..., 1:]).transpose(1, 2)
        settings = self.decoding
        return suppressed(
            in_fractions(boxes, "pixels", self.size),
            scores,
            settings.objects,
            settings.iou_threshold,
            settings.least_score,
        )[:3]
