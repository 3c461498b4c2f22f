"""A small backbone in the manner of official repositories for dense prediction: a list of maps, the finest first."""

from itertools import pairwise

from torch import Tensor, nn


class Backbone(nn.Module):
    """Pixels f32 [B,3,H,W] → maps f32 [B,C,h,w] of the strides 4, 8, 16 and 32."""

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [width * 2**stage for stage in range(4)]
        self.stem = nn.Conv2d(3, width, 4, stride=4)
        self.stages = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairwise(widths))

    def forward(self, x: Tensor) -> list[Tensor]:
        """All four."""
        maps = [self.stem(x).relu()]
        for stage in self.stages:
            maps.append(stage(maps[-1]).relu())
        return maps


def backbone(width: int = 8) -> nn.Module:
    """Such a backbone."""
    return Backbone(width)
