"""The maps of a pyramid at one size of the input, as a head meets them."""

from dataclasses import dataclass

import torch
from torch import nn

from build_engines.artifact import BuildFailure, Level

Size = tuple[int, int]
"""Height and width of the network's input, in pixels."""


@dataclass(frozen=True, slots=True)
class Map:
    """One map f32 [B,channels,height,width]."""

    channels: int
    stride: int
    """Pixels of the input from one position to the next."""
    height: int
    width: int

    def coarser(self, channels: int) -> "Map":
        """What a convolution of stride 2 makes of it."""
        return Map(channels, self.stride * 2, (self.height + 1) // 2, (self.width + 1) // 2)


def measured(network: nn.Module, levels: tuple[Level, ...], size: Size) -> tuple[Map, ...]:
    """The maps that the network gives at this size, the finest first; BuildFailure if they are not those promised."""
    try:
        with torch.inference_mode():
            maps = network(torch.zeros(1, 3, *size))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise BuildFailure(
            f"the backbone does not run at {size[0]} x {size[1]}: {error}",
            "choose another --resolution (many networks want a multiple of 32)",
        ) from error
    if [level.channels for level in levels] != [found.shape[1] for found in maps]:
        raise BuildFailure("the backbone gives other maps than its source says", "mend the source's levels")
    return tuple(
        Map(level.channels, level.stride, int(found.shape[2]), int(found.shape[3]))
        for level, found in zip(levels, maps, strict=True)
    )
