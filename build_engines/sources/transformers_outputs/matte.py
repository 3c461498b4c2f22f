"""Mattes (ViTMatte): how much of each pixel is foreground."""

from typing import Any

from torch import Tensor, nn

from contract.preprocess import PreprocessSpec


class Matter(nn.Module):
    """Normalised RGB and a trimap in 0…1, f32 [B,4,H,W] → alpha f32 [B,H,W] in 0…1."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        """The alpha channel."""
        alphas: Tensor = self.model(pixel_values=pixels).alphas
        return alphas[:, 0].clamp(0, 1)


def make(model: Any, _spec: PreprocessSpec, _answer: str) -> tuple[nn.Module, tuple[str, ...]]:
    """The matting network and its output's name."""
    return Matter(model), ("alpha",)
