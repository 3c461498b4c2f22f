"""Orders, networks and artifacts for the builder's tests: real ones, small enough to be built in a moment."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from build_engines.artifact import Artifact, Order, WeightsOrigin
from build_engines.catalog.entry import Entry, HubWeights, Normalisation, TimmSource
from build_engines.pictures import draw
from contract.card import Figures
from contract.preprocess import Interpolation, PreprocessSpec, Resize
from contract.repository import Repository
from contract.task import Task

SIDE = 16
CLASSES = 7
SMALL = "mobilenetv3_small_050"
UNEVEN = Normalisation(mean=(0.1, 0.4, 0.7), std=(0.2, 0.3, 0.5), channels="bgr")
"""A normalisation in which no two channels are alike, so that none can be taken for another."""


class Classifier(nn.Module):
    """A classifier in timm's form: features, global average pooling, one linear layer."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.stem = nn.Conv2d(3, width, 3, stride=2, padding=1)
        self.head = nn.Linear(width, CLASSES)

    def forward_features(self, pixels: Tensor) -> Tensor:
        return torch.relu(self.stem(pixels))

    def get_classifier(self) -> nn.Linear:
        return self.head

    def forward(self, pixels: Tensor) -> Tensor:
        return self.head(self.forward_features(pixels).mean(dim=(2, 3)))


def an_entry(**changes: Any) -> Entry:
    """An entry for a small classifier of timm, with ``changes``."""
    fields = {
        "name": "small",
        "task": Task.CLASSIFY,
        "description": "A small one.",
        "source": TimmSource(model=SMALL),
        "weights": HubWeights(),
        "labels": "imagenet",
        "licence": "Apache-2.0",
        "max_batch_size": 4,
    }
    return Entry(**{**fields, **changes})


def an_order(root: Path, entry: Entry | None = None, **changes: Any) -> Order:
    """An order for that entry with random weights at 64 pixels, with ``changes``."""
    return Order(entry or an_entry(), Repository(root), **{"weights": "random", "resolution": 64, **changes})


def a_spec(side: int = SIDE) -> PreprocessSpec:
    """Stretching to a square."""
    return PreprocessSpec(height=side, width=side, resize=Resize.STRETCH, interpolation=Interpolation.BILINEAR)


def an_artifact(root: Path, network: nn.Module | None = None, **changes: Any) -> Artifact:
    """What is known after the sources: a network of `SIDE` pixels, ready to be exported and verified."""
    fields = {
        "network": (network or Classifier()).eval(),
        "output_names": ("probabilities",),
        "preprocess": a_spec(),
        "normalisation": UNEVEN,
        "labels": (),
        "origin": WeightsOrigin("random", None, trained=False),
        "figures": Figures(parameters=1),
        "samples": np.stack([draw(index, SIDE, SIDE) for index in range(8)]),
        **changes,
    }
    return Artifact(fields.pop("order", an_order(root)), **fields)
