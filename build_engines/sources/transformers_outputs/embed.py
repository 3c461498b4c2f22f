"""Embeddings: one vector for an image.

A classifier gives what its last layer sees, which its authors have trained. A model without a classifier gives its
pooled output where that needs no weights of its own, else its class token, else the mean over all places.
"""

from typing import Any

import torch
from torch import Tensor, nn

from build_engines.artifact import BuildFailure
from contract.preprocess import PreprocessSpec


class ClassifierInput(nn.Module):
    """Pixels f32 [B,3,H,W] → embedding f32 [B,D]: the classifier's input."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        model.classifier = nn.Identity()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        """The classifier's logits without the classifier."""
        return torch.flatten(self.model(pixel_values=pixels).logits, 1)


class Pooled(nn.Module):
    """Pixels f32 [B,3,H,W] → embedding f32 [B,D]: pooled output, class token or mean."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.has_class_token = any(name.rsplit(".", 1)[-1] == "cls_token" for name, _ in model.named_parameters())
        self.masks = hasattr(model.config, "mask_ratio")
        if self.masks:
            model.config.mask_ratio = 0.0

    def forward(self, pixels: Tensor) -> Tensor:
        """One vector for each image."""
        outputs = self.model(pixel_values=pixels, **self._order(pixels))
        pooled = getattr(outputs, "pooler_output", None)
        if pooled is not None:
            return torch.flatten(pooled, 1)
        states: Tensor = outputs.last_hidden_state
        if states.ndim == 4:
            return states.mean(dim=(2, 3))
        return states[:, 0] if self.has_class_token else states.mean(dim=1)

    def _order(self, pixels: Tensor) -> dict[str, Tensor]:
        """A masked auto-encoder shuffles its patches; sorted noise keeps them as they are."""
        if not self.masks:
            return {}
        side = self.model.config.patch_size
        patches = (pixels.shape[-2] // side) * (pixels.shape[-1] // side)
        rising = torch.arange(patches, dtype=pixels.dtype, device=pixels.device)
        return {"noise": pixels[:, :1, 0, 0] * 0 + rising}


def make(model: Any, _spec: PreprocessSpec, _answer: str) -> tuple[nn.Module, tuple[str, ...]]:
    """The network and its output's name; BuildFailure for a classifier of several parts."""
    if not type(model).__name__.endswith("ForImageClassification"):
        if _trained_pooler(model):
            model.pooler = None
        return Pooled(model), ("embedding",)
    if not hasattr(model, "classifier"):
        raise BuildFailure(
            f"{type(model).__name__} has no single last layer", "name the model_class without a classifier"
        )
    return ClassifierInput(model), ("embedding",)


def _trained_pooler(model: Any) -> bool:
    """A pooler with a linear layer: checkpoints of classifiers bring no weights for it."""
    return any(isinstance(module, nn.Linear) for module in (getattr(model, "pooler", None) or nn.Identity()).modules())
