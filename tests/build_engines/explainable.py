"""Small classifiers of each kind that can be explained, and some that cannot."""

from typing import Any

import timm
import torch
from torch import Tensor, nn

from build_engines import random_weights
from contract.preprocess import PreprocessSpec
from tests.build_engines.orders import CLASSES, a_spec

SMALL_VIT = {"patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 3, "num_classes": CLASSES}


def vit(side: int = 32, **changes: Any) -> nn.Module:
    """A vision transformer of timm with drawn weights, for 4 x 4 patches."""
    network = timm.models.VisionTransformer(img_size=side, **{**SMALL_VIT, **changes}).eval()
    random_weights.fill(network)
    return network


class Headed(nn.Module):
    """A classifier whose pooled features go through layers of all sorts."""

    def __init__(self, *between: nn.Module, width: int = 8, classes: int = CLASSES) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.stem = nn.Conv2d(3, width, 3, stride=4, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.act = nn.ReLU(inplace=True)
        self.between = nn.Sequential(*between)
        self.head = nn.Linear(width, classes)
        random_weights.fill(self)

    def forward(self, pixels: Tensor) -> Tensor:
        features = self.act(self.norm(self.stem(pixels)))
        return self.head(self.between(features.mean(dim=(2, 3), keepdim=True)).flatten(1))


class Squared(Headed):
    """What no layer tells: the pooled features are squared on the way."""

    def forward(self, pixels: Tensor) -> Tensor:
        return self.head(self.act(self.norm(self.stem(pixels))).mean(dim=(2, 3)).square())


def spec_of(side: int) -> PreprocessSpec:
    """Stretching to a square of this side."""
    return a_spec(side)


def pixels_of(side: int, batch: int = 3) -> Tensor:
    """Normalised pictures f32 [B,3,side,side]."""
    return random_weights.pictures((batch, 3, side, side))
