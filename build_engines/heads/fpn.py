"""Feature Pyramid Network: maps of every stride that all know what the coarsest one knows.

After Lin et al., "Feature Pyramid Networks for Object Detection" (2017), section 3: a 1 x 1 convolution beside each of
the backbone's maps, the coarser sum enlarged (nearest) and added, and a 3 x 3 convolution after each sum.
"""

from torch import Tensor, nn
from torch.nn import functional

from build_engines.heads.maps import Map


class FeaturePyramid(nn.Module):
    """Maps f32 [B,C,h,w] of a backbone → maps f32 [B,width,h,w] of the same sizes, then ``extra`` coarser ones.

    Each extra map is a 3 x 3 convolution of stride 2 of the one before it, with a ReLU between them; the first is made
    of the backbone's last map, as in Lin et al., "Focal Loss for Dense Object Detection" (2017), section 4.
    """

    def __init__(self, maps: tuple[Map, ...], width: int, extra: int = 0) -> None:
        super().__init__()
        self.sizes = [(level.height, level.width) for level in maps]
        self.lateral = nn.ModuleList(nn.Conv2d(level.channels, width, 1) for level in maps)
        self.output = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in maps)
        incoming = [maps[-1].channels, *(width,) * extra][:extra]
        self.coarser = nn.ModuleList(nn.Conv2d(channels, width, 3, stride=2, padding=1) for channels in incoming)
        produced = [Map(width, level.stride, level.height, level.width) for level in maps]
        for _ in range(extra):
            produced.append(produced[-1].coarser(width))
        self.maps = tuple(produced)

    def forward(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """From the coarsest down, then the extra ones."""
        sums = [self.lateral[-1](maps[-1])]
        for index in reversed(range(len(maps) - 1)):
            above = functional.interpolate(sums[0], size=self.sizes[index], mode="nearest")
            sums.insert(0, self.lateral[index](maps[index]) + above)
        found = [output(summed) for output, summed in zip(self.output, sums, strict=True)]
        last = maps[-1]
        for index, layer in enumerate(self.coarser):
            last = layer(functional.relu(last) if index else last)
            found.append(last)
        return tuple(found)
