"""Keypoints of one person in a crop (ViTPose): heat maps → places, to a fraction of a cell.

The place is the highest cell, moved to the peak of a paraboloid fitted to the logarithm of the blurred map around it:
DARK (Zhang et al., 2020, section 3.2), in the unbiased coordinates of Huang et al. (2020), as transformers'
`post_process_pose_estimation` does it.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from contract.preprocess import PreprocessSpec

_KERNEL = 11
_SIGMA = 0.8
_LEAST, _MOST = 1e-3, 50.0
_FARTHEST = 2.0
"""Cells that a peak may lie from the highest cell: beyond, the map is flat there, and the fit means nothing."""
_EXPERTS = "num_experts"


class PoseEstimator(nn.Module):
    """Pixels f32 [B,3,H,W] → keypoints f32 [B,1,K,3] (x and y in 0…1, score), scores f32 [B,1]: their mean."""

    kernel: Tensor

    def __init__(self, model: Any, spec: PreprocessSpec) -> None:
        super().__init__()
        self.model = model
        self.width, self.height = spec.width, spec.height
        self.experts = getattr(getattr(model.config, "backbone_config", None), _EXPERTS, 1) > 1
        self.register_buffer("kernel", _gaussian(), persistent=False)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Run, find the peaks, refine them."""
        extra = {"dataset_index": (pixels[:, 0, 0, 0] * 0).to(torch.int64)} if self.experts else {}
        heatmaps = self.model(pixel_values=pixels, **extra).heatmaps
        places, scores = peaks(heatmaps, self.kernel)
        rows, columns = heatmaps.shape[-2], heatmaps.shape[-1]
        # A heat map's first and last cells lie on the centres of the input's first and last pixels.
        x = (places[..., 0] * ((self.width - 1) / (columns - 1)) + 0.5) / self.width
        y = (places[..., 1] * ((self.height - 1) / (rows - 1)) + 0.5) / self.height
        points = torch.stack([x.clamp(0, 1), y.clamp(0, 1), scores.clamp(0, 1)], dim=-1)
        return points[:, None], points[..., 2].mean(dim=1, keepdim=True)


def peaks(heatmaps: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor]:
    """Heat maps f32 [B,K,h,w] → places f32 [B,K,2] (x, y in cells) and the highest values f32 [B,K]."""
    columns = heatmaps.shape[-1]
    scores, highest = heatmaps.flatten(2).max(dim=2)
    row = torch.div(highest, columns, rounding_mode="floor")
    column = highest - row * columns
    smooth = functional.pad(_blurred(heatmaps, kernel).clamp(_LEAST, _MOST).log(), (1, 1, 1, 1), mode="replicate")
    flat, wide = smooth.flatten(2), columns + 2
    centre = (row + 1) * wide + column + 1

    def at(down: int, right: int) -> Tensor:
        return flat.gather(2, (centre + down * wide + right).unsqueeze(-1)).squeeze(-1)

    here = at(0, 0)
    dx, dy = (at(0, 1) - at(0, -1)) / 2, (at(1, 0) - at(-1, 0)) / 2
    tiny = float(torch.finfo(torch.float32).eps)
    dxx, dyy = at(0, 1) - 2 * here + at(0, -1) + tiny, at(1, 0) - 2 * here + at(-1, 0) + tiny
    dxy = (at(1, 1) - at(0, 1) - at(1, 0) + 2 * here - at(0, -1) - at(-1, 0) + at(-1, -1)) / 2
    determinant = dxx * dyy - dxy * dxy
    # Only a maximum has a peak to move to: both curvatures negative.
    hollow = (determinant > tiny) & (dxx < 0)
    divisor = torch.where(hollow, determinant, 1.0)
    right = torch.where(hollow, (dyy * dx - dxy * dy) / divisor, 0.0).clamp(-_FARTHEST, _FARTHEST)
    down = torch.where(hollow, (dxx * dy - dxy * dx) / divisor, 0.0).clamp(-_FARTHEST, _FARTHEST)
    return torch.stack([column - right, row - down], dim=-1), scores


def _gaussian() -> Tensor:
    """The blur's weights f32 [`_KERNEL`], one axis."""
    offsets = torch.arange(_KERNEL, dtype=torch.float64) - _KERNEL // 2
    weights = torch.exp(-(offsets**2) / (2 * _SIGMA**2))
    return (weights / weights.sum()).float()


def _blurred(maps: Tensor, kernel: Tensor) -> Tensor:
    """Maps f32 [B,K,h,w] after a Gaussian blur; beyond the edge the map is mirrored, its last row included."""
    reach = kernel.shape[0] // 2
    down = _mirrored(maps, reach, 2)
    down = functional.conv2d(down.flatten(0, 1)[:, None], kernel.reshape(1, 1, -1, 1))
    across = functional.conv2d(_mirrored(down, reach, 3), kernel.reshape(1, 1, 1, -1))
    return across.reshape(maps.shape)


def _mirrored(maps: Tensor, reach: int, axis: int) -> Tensor:
    """The maps with ``reach`` more rows (or columns) on both sides, mirrored about the edge."""
    size = maps.shape[axis]
    before, after = maps.narrow(axis, 0, reach).flip(axis), maps.narrow(axis, size - reach, reach).flip(axis)
    return torch.cat([before, maps, after], dim=axis)


def make(model: Any, spec: PreprocessSpec, _answer: str) -> tuple[nn.Module, tuple[str, ...]]:
    """The estimator and its outputs' names."""
    return PoseEstimator(model, spec), ("keypoints", "scores")
