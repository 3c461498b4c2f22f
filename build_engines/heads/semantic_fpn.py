"""Semantic FPN: a class for every pixel from a feature pyramid.

After Kirillov et al., "Panoptic Feature Pyramid Networks" (2019), section 3 and figure 3: every level of the pyramid
is brought to the finest one's size in steps of 3 x 3 convolution, group normalisation, ReLU and doubling; the sum is
classified.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from build_engines.catalog.entry import PyramidHead
from build_engines.heads.class_map import class_map
from build_engines.heads.fpn import FeaturePyramid
from build_engines.heads.maps import Map, Size

_GROUPS = 32


class SemanticFpn(nn.Module):
    """Maps f32 [B,C,h,w] → class_map u8 (i16 for more than 255 classes) [B,h,w] of the finest map's size.

    That is a quarter of the input's for most backbones. The branches have half of the pyramid's ``width``.
    """

    def __init__(self, maps: tuple[Map, ...], settings: PyramidHead, _: Size) -> None:
        super().__init__()
        self.fpn = FeaturePyramid(maps, settings.width)
        sizes = [(level.height, level.width) for level in maps]
        branch = max(settings.width // 2, 1)
        self.branches = nn.ModuleList(_Branch(settings.width, branch, sizes[: index + 1]) for index in range(len(maps)))
        self.classifier = nn.Conv2d(branch, settings.classes, 1)

    def forward(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The sum of all branches, classified."""
        branches = [branch(level) for branch, level in zip(self.branches, self.fpn(maps), strict=True)]
        return (class_map(self.classifier(torch.stack(branches).sum(dim=0))),)


class _Branch(nn.Module):
    """One level → the finest one's size; ``sizes`` are those from the finest to its own."""

    def __init__(self, width: int, branch: int, sizes: list[Size]) -> None:
        super().__init__()
        self.goals = sizes[-2::-1] if len(sizes) > 1 else sizes
        self.steps = nn.ModuleList()
        for index in range(len(self.goals)):
            convolution = nn.Conv2d(branch if index else width, branch, 3, padding=1, bias=False)
            # Few channels cannot be parted into 32 groups.
            groups = _GROUPS if branch % _GROUPS == 0 else 1
            self.steps.append(nn.Sequential(convolution, nn.GroupNorm(groups, branch), nn.ReLU()))

    def forward(self, level: Tensor) -> Tensor:
        for step, goal in zip(self.steps, self.goals, strict=True):
            level = functional.interpolate(step(level), size=goal, mode="bilinear", align_corners=False)
        return level
