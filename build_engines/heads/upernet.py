"""UPerNet: a class for every pixel, with the whole scene in view.

After Xiao et al., "Unified Perceptual Parsing for Scene Understanding" (2018), section 3.1: a pyramid pooling module
(Zhao et al., "Pyramid Scene Parsing Network", 2017, section 3.2) on the coarsest map, a feature pyramid below it, and
all levels fused at the finest one's size.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from build_engines.catalog.entry import PyramidHead
from build_engines.heads.class_map import class_map
from build_engines.heads.maps import Map, Size

_POOLS = (1, 2, 3, 6)


class UperNet(nn.Module):
    """Maps f32 [B,C,h,w] → class_map u8 (i16 for more than 255 classes) [B,h,w] of the finest map's size.

    That is a quarter of the input's for most backbones.
    """

    def __init__(self, maps: tuple[Map, ...], settings: PyramidHead, _: Size) -> None:
        super().__init__()
        width = settings.width
        self.sizes = [(level.height, level.width) for level in maps]
        self.scene = _PyramidPooling(maps[-1], width)
        self.lateral = nn.ModuleList(_convolution(level.channels, width, 1) for level in maps[:-1])
        self.output = nn.ModuleList(_convolution(width, width, 3) for _ in maps[:-1])
        self.fusion = _convolution(width * len(maps), width, 3)
        self.classifier = nn.Conv2d(width, settings.classes, 1)

    def forward(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """From the coarsest down, all levels enlarged to the finest, fused and classified."""
        sums = [self.scene(maps[-1])]
        for index in reversed(range(len(self.lateral))):
            sums.insert(0, self.lateral[index](maps[index]) + _enlarged(sums[0], self.sizes[index]))
        levels = [*(output(level) for output, level in zip(self.output, sums[:-1], strict=True)), sums[-1]]
        fine = [levels[0], *(_enlarged(level, self.sizes[0]) for level in levels[1:])]
        return (class_map(self.classifier(self.fusion(torch.cat(fine, dim=1)))),)


class _PyramidPooling(nn.Module):
    """A map f32 [B,C,h,w] with its own means over halves, thirds and sixths beside it → f32 [B,width,h,w]."""

    def __init__(self, level: Map, width: int) -> None:
        super().__init__()
        self.size = (level.height, level.width)
        self.branches = nn.ModuleList(_convolution(level.channels, width, 1) for _ in _POOLS)
        self.bottleneck = _convolution(level.channels + width * len(_POOLS), width, 3)
        for count in _POOLS:
            # Matrices, because exporters know adaptive pooling for sizes without remainder only.
            self.register_buffer(f"rows{count}", means(count, level.height), persistent=False)
            self.register_buffer(f"columns{count}", means(count, level.width).T.contiguous(), persistent=False)

    def forward(self, level: Tensor) -> Tensor:
        parts = [level]
        for count, branch in zip(_POOLS, self.branches, strict=True):
            pooled = torch.matmul(torch.matmul(getattr(self, f"rows{count}"), level), getattr(self, f"columns{count}"))
            parts.append(_enlarged(branch(pooled), self.size))
        return self.bottleneck(torch.cat(parts, dim=1))  # type: ignore[no-any-return]  # nn.Module is untyped


def means(count: int, length: int) -> Tensor:
    """The matrix f32 [count, length] that pools a line adaptively, as `torch.nn.AdaptiveAvgPool1d` parts it."""
    matrix = torch.zeros(count, length)
    for index in range(count):
        start, end = index * length // count, -(-(index + 1) * length // count)
        matrix[index, start:end] = 1 / (end - start)
    return matrix


def _enlarged(level: Tensor, size: Size) -> Tensor:
    return functional.interpolate(level, size=size, mode="bilinear", align_corners=False)


def _convolution(incoming: int, outgoing: int, side: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(incoming, outgoing, side, padding=side // 2, bias=False), nn.BatchNorm2d(outgoing), nn.ReLU()
    )
