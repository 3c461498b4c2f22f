"""Classifiers: logits."""

from typing import Any

from torch import Tensor, nn

from contract.preprocess import PreprocessSpec


class Classifier(nn.Module):
    """Pixels f32 [B,3,H,W] (a clip's [B,T,3,H,W]) → logits f32 [B,C]."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        """The classes' logits."""
        logits: Tensor = self.model(pixel_values=pixels).logits
        return logits


def make(model: Any, _spec: PreprocessSpec, _answer: str) -> tuple[nn.Module, tuple[str, ...]]:
    """The classifier and its output's name."""
    return Classifier(model), ("probabilities",)
