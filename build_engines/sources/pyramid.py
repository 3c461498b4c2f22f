"""Any backbone as a pyramid: maps f32 [B,C,h,w] of the strides 4, 8, 16 and 32, the finest first.

A network with one stride only, as a plain vision transformer, gets a simple feature pyramid after Li et al.,
"Exploring Plain Vision Transformer Backbones for Object Detection" (2022), section 3: its last map, enlarged by
transposed convolutions and reduced by pooling.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from build_engines import checkpoint, random_weights
from build_engines.artifact import Artifact, BuildFailure, Level, WeightsOrigin, known

STRIDES = (4, 8, 16, 32)
_FEWEST = 3
"""A network with fewer strides than this is given all of them."""
_SMALLEST_STRIDE = 4
BACKBONE = "backbone."
"""What the names of a backbone's tensors begin with in a checkpoint that holds a head's too."""

Pyramid = tuple[nn.Module, tuple[Level, ...]]
"""Pixels f32 [B,3,H,W], normalised → a tuple of maps, and what these are."""


def of_timm(network: Any, height: int, width: int) -> Pyramid:
    """A model of timm without its classifier; BuildFailure if timm cannot say what its layers give."""
    information = getattr(network, "feature_info", None)
    if not information or not hasattr(network, "forward_intermediates"):
        raise BuildFailure(
            f"timm gives no feature maps of {type(network).__name__}", "choose another backbone for the head"
        )
    return of_network(_TimmMaps(network, _last_of_each_stride(information)), height, width)


def of_transformers(backbone: Any, height: int, width: int) -> Pyramid:
    """What transformers' `AutoBackbone` makes; all maps that its ``out_features`` name are taken."""
    return of_network(_TransformersMaps(backbone), height, width)


def loaded(prepared: Artifact, made: Pyramid, origin: WeightsOrigin, labels: tuple[str, ...]) -> Artifact:
    """The network as a backbone; a checkpoint that holds a head too is loaded only now, for it has no classifier.

    Where a pyramid had to be added to a plain backbone, the whole is trained only if such a checkpoint brings it too.
    """
    (backbone, levels), order, spec = made, prepared.order, known(prepared.preprocess)
    if isinstance(order.weights, Path) and (own := checkpoint.part(checkpoint.read(order.weights), BACKBONE)):
        checkpoint.load(backbone, own, order.weights.name, "by_name")
    elif not origin.trained:
        random_weights.fill(backbone)
        random_weights.settle(backbone, (4, 3, spec.height, spec.width))
    elif isinstance(backbone, SimplePyramid):
        random_weights.fill(backbone.branches)
        origin = WeightsOrigin(f"{origin.name}, with a random pyramid", origin.sha256, trained=False)
    return prepared.having(
        network=backbone.eval(),
        output_names=("maps",),
        pyramid=levels,
        labels=labels,
        origin=origin,
    )


def of_network(network: nn.Module, height: int, width: int) -> Pyramid:
    """Any network that gives maps as a tuple, list or dict, of pixels of this size; BuildFailure if it does not.

    Of several maps of one stride the last one is taken. Where there are fewer than three strides, a simple feature
    pyramid follows the last map; its weights are torch's initial ones until they are loaded or drawn.
    """
    network.eval()
    maps = _maps(network, height, width)
    chosen = _chosen([_stride(level, height, width) for level in maps])
    if len(chosen) >= _FEWEST:
        levels = tuple(Level(int(maps[index].shape[1]), stride) for stride, index in chosen.items())
        return _Chosen(network, tuple(chosen.values())).eval(), levels
    last = maps[-1]
    simple = SimplePyramid(network, int(last.shape[1]), _stride(last, height, width), (height, width))
    return simple.eval(), simple.levels


class SimplePyramid(nn.Module):
    """The last map of a network f32 [B,C,h,w] → maps of strides 4, 8, 16, 32 (Li et al., 2022, section 3).

    Each doubling is a transposed convolution that halves the channels (not below 64), with layer normalisation and
    GELU between two of them; each halving is max pooling. A map whose stride is no power of two, as of patches of 14
    pixels, is first resampled to stride 16.
    """

    def __init__(self, network: nn.Module, channels: int, stride: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.network = network
        self.resampled: tuple[int, int] | None = None
        if stride not in (*STRIDES, STRIDES[-1] * 2):
            stride, self.resampled = 16, (math.ceil(size[0] / 16), math.ceil(size[1] / 16))
        self.branches = nn.ModuleList()
        levels = []
        for goal in STRIDES:
            branch, outgoing = _scaled(channels, stride, goal)
            self.branches.append(branch)
            levels.append(Level(outgoing, goal))
        self.levels = tuple(levels)

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Every branch sees the same map."""
        last = _as_sequence(self.network(pixels))[-1]
        if self.resampled is not None:
            last = functional.interpolate(last, size=self.resampled, mode="bilinear", align_corners=False)
        return tuple(branch(last) for branch in self.branches)


class _Norm(nn.LayerNorm):
    """Layer normalisation of each position of f32 [B,C,h,w]."""

    def forward(self, values: Tensor) -> Tensor:
        return super().forward(values.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class _Chosen(nn.Module):
    """Those maps of a network that make the pyramid."""

    def __init__(self, network: nn.Module, indices: tuple[int, ...]) -> None:
        super().__init__()
        self.network = network
        self.indices = indices

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        maps = _as_sequence(self.network(pixels))
        return tuple(maps[index] for index in self.indices)


class _TimmMaps(nn.Module):
    """A model of timm → the maps after the layers named, channels first whatever its own layout is."""

    def __init__(self, model: Any, indices: list[int]) -> None:
        super().__init__()
        self.indices = model.prune_intermediate_layers(indices, prune_norm=True, prune_head=True)
        self.model = model

    def forward(self, pixels: Tensor) -> list[Tensor]:
        maps = self.model.forward_intermediates(
            pixels, indices=self.indices, output_fmt="NCHW", intermediates_only=True
        )
        return list(maps)


class _TransformersMaps(nn.Module):
    """A backbone of transformers → its feature maps."""

    def __init__(self, backbone: Any) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, pixels: Tensor) -> list[Tensor]:
        return list(self.backbone(pixel_values=pixels).feature_maps)


def _last_of_each_stride(information: Any) -> list[int]:
    """Of timm's ``feature_info``: the index of the last layer of each stride from 4 on."""
    rows = list(getattr(information, "info", information))
    last = {int(row["reduction"]): index for index, row in enumerate(rows)}
    return sorted(index for stride, index in last.items() if stride >= _SMALLEST_STRIDE)


def _scaled(channels: int, stride: int, goal: int) -> tuple[nn.Module, int]:
    """The branch from one stride to another, and its channels."""
    if goal >= stride:
        return (nn.Identity() if goal == stride else nn.MaxPool2d(goal // stride)), channels
    layers: list[nn.Module] = []
    while stride > goal:
        if layers:
            layers += [_Norm(channels), nn.GELU()]
        halved = max(channels // 2, min(channels, 64))
        layers.append(nn.ConvTranspose2d(channels, halved, 2, stride=2))
        channels, stride = halved, stride // 2
    return nn.Sequential(*layers), channels


def _maps(network: nn.Module, height: int, width: int) -> Sequence[Tensor]:
    try:
        with torch.inference_mode():
            maps = _as_sequence(network(torch.zeros(1, 3, height, width)))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise BuildFailure(
            f"the backbone does not run at {height} x {width}: {error}",
            "choose another --resolution (many networks want a multiple of 32)",
        ) from error
    if not maps or any(not isinstance(level, Tensor) or level.ndim != 4 for level in maps):
        raise BuildFailure("the network gives no feature maps [B,C,h,w]", "choose another backbone for the head")
    return maps


def _as_sequence(maps: Any) -> Sequence[Tensor]:
    if isinstance(maps, Mapping):
        return list(maps.values())
    return [maps] if isinstance(maps, Tensor) else list(maps)


def _stride(level: Tensor, height: int, width: int) -> int:
    """Pixels between two positions: the input's side may be no multiple of it."""
    return round(math.sqrt(height / level.shape[2] * width / level.shape[3]))


def _chosen(strides: list[int]) -> dict[int, int]:
    """The map to take for each stride from 4 on, the finest first: the last one of its stride."""
    last = {stride: index for index, stride in enumerate(strides)}
    return {stride: last[stride] for stride in sorted(last) if stride >= _SMALLEST_STRIDE}
