"""Monocular depth (DPT, GLPN, Depth Anything, ZoeDepth …)."""

from typing import Any

from torch import Tensor, nn

from contract.preprocess import PreprocessSpec


class DepthEstimator(nn.Module):
    """Pixels f32 [B,3,H,W] → depth f32 [B,h,w], in the model's unit: metres, or inverse depth without a scale."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        """The predicted depth at the size that the model gives it."""
        depth: Tensor = self.model(pixel_values=pixels).predicted_depth
        return depth


def make(model: Any, _spec: PreprocessSpec, _answer: str) -> tuple[nn.Module, tuple[str, ...]]:
    """The estimator and its output's name."""
    return DepthEstimator(model), ("depth",)
