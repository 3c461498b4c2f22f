"""Restored or enlarged images (Swin2SR): the network's image in 0…1 → 8-bit pixels."""

from typing import Any

import torch
from torch import Tensor, nn

from contract.preprocess import PreprocessSpec


class Restorer(nn.Module):
    """Pixels f32 [B,3,H,W] in 0…1 → restored u8 [B,sH,sW,3], rounded."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        """The reconstruction."""
        image: Tensor = self.model(pixel_values=pixels).reconstruction
        return torch.round(image.clamp(0, 1) * 255).to(torch.uint8).permute(0, 2, 3, 1)


def make(model: Any, _spec: PreprocessSpec, _answer: str) -> tuple[nn.Module, tuple[str, ...]]:
    """The restorer and its output's name."""
    return Restorer(model), ("restored",)
