"""Monocular depth (DPT, GLPN, Depth Anything, ZoeDepth …)."""

from typing import Any

import torch
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


class StageByStage(nn.Module):
    """ZoeDepth's reassembly of the backbone's tokens into maps, each stage by itself.

    The library stacks the stages on the batch axis and splits them again by the batch's size, which fixes that size
    for ``torch.export``.
    """

    def __init__(self, stage: Any) -> None:
        super().__init__()
        self.stage = stage

    def forward(self, hidden_states: list[Tensor], patch_height: int, patch_width: int) -> list[Tensor]:
        """Tokens f32 [B,1+h·w,D] of each stage, the readout first → maps [B,C,h',w']."""
        return [self._map(index, tokens, patch_height, patch_width) for index, tokens in enumerate(hidden_states)]

    def _map(self, index: int, tokens: Tensor, height: int, width: int) -> Tensor:
        readout, patches = tokens[:, :1], tokens[:, 1:]
        projected = self.stage.readout_projects[index](torch.cat((patches, readout.expand_as(patches)), dim=-1))
        mapped: Tensor = self.stage.layers[index](projected.transpose(1, 2).unflatten(2, (height, width)))
        return mapped


def make(model: Any, _spec: PreprocessSpec, _answer: str) -> tuple[nn.Module, tuple[str, ...]]:
    """The estimator and its output's name."""
    if model.config.model_type == "zoedepth" and model.config.readout_type == "project":
        model.neck.reassemble_stage = StageByStage(model.neck.reassemble_stage)
    return DepthEstimator(model), ("depth",)
