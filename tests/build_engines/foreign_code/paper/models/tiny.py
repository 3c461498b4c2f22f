"""A network in the manner of an official repository: a relative configuration, a vendored timm, chatter, helpers."""

import json
from pathlib import Path

import timm
import torch
from timm.layers import VendoredScale
from torch import Tensor, nn

print("loading the paper's code")  # noqa: T201  official repositories talk
SETTINGS = json.loads(Path("configs/tiny.json").read_text(encoding="utf-8"))


class Tiny(nn.Module):
    """Pixels f32 [B,3,H,W] → logits [B,C], and an auxiliary output as the official code has it."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.scale = VendoredScale()
        self.head = nn.Linear(width, classes)
        self.timm_version = timm.__version__

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Logits and features."""
        print("forward", tuple(x.shape))  # noqa: T201
        features = self.scale(torch.relu(self.norm(self.stem(x))))
        return {"features": features, "logits": self.head(features.mean(dim=(2, 3)))}


def tiny(width: int | None = None, classes: int | None = None) -> Tiny:
    """The network of configs/tiny.json."""
    if not timm.__version__.endswith("vendored"):
        raise RuntimeError("the installed timm was taken")
    return Tiny(width or SETTINGS["width"], classes or SETTINGS["classes"])


def fixed() -> Tiny:
    """The network with weights that the factory itself brings."""
    network = Tiny(8, 5)
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.25)
    return network


def build(args: "argparse.Namespace") -> tuple[nn.Module, nn.Module]:  # noqa: F821  any bag of settings will do
    """The network and its loss, as DETR's repository gives them."""
    return Tiny(args.width, args.head.classes), nn.CrossEntropyLoss()
