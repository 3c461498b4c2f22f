"""Detectors of the DETR family: queries → boxes, scores, labels, best first.

As each model's own `post_process_object_detection` does: those trained with a softmax and a "no object" class
(DETR, section 3.1; YOLOS) give each query its best class; those trained with a focal loss (Deformable DETR,
section A.3, and what follows it) rank all pairs of query and class.
"""

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from contract.preprocess import PreprocessSpec

_NO_OBJECT = {"detr", "yolos", "table-transformer"}
_HUNDRED = {"conditional_detr", "deformable_detr", "dab-detr", "grounding-dino"}
"""Types of which transformers keeps the best 100 pairs; of the others as many as there are queries."""


class Detector(nn.Module):
    """Pixels f32 [B,3,H,W] → boxes f32 [B,N,4] xyxy in 0…1, scores f32 [B,N], labels i32 [B,N]."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        kind = model.config.model_type
        self.softmax = kind in _NO_OBJECT
        self.hundred = kind in _HUNDRED
        self.takes_mask = "pixel_mask" in inspect.signature(model.forward).parameters

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Run, choose, sort."""
        extra = {"pixel_mask": torch.ones_like(pixels[:, 0], dtype=torch.int64)} if self.takes_mask else {}
        outputs = self.model(pixel_values=pixels, **extra)
        choose = best_of_each if self.softmax else best_pairs
        scores, labels, queries = choose(outputs.logits, self._slots(outputs.logits))
        boxes = corners(outputs.pred_boxes)
        chosen = boxes.gather(1, queries.unsqueeze(-1).expand(-1, -1, 4))
        return chosen, scores, labels.to(torch.int32)

    def _slots(self, logits: Tensor) -> int:
        return min(100, logits.shape[1] * logits.shape[2]) if self.hundred else logits.shape[1]


def best_of_each(logits: Tensor, slots: int) -> tuple[Tensor, Tensor, Tensor]:
    """Logits f32 [B,Q,C+1] → scores f32, labels i64 and queries i64 [B,slots]: the best class of each query."""
    scores, labels = torch.softmax(logits, dim=-1)[..., :-1].max(dim=-1)
    scores, queries = torch.topk(scores, slots, dim=1)
    return scores, labels.gather(1, queries), queries


def best_pairs(logits: Tensor, slots: int) -> tuple[Tensor, Tensor, Tensor]:
    """Logits f32 [B,Q,C] → scores f32, labels i64 and queries i64 [B,slots]: the best pairs of query and class."""
    classes = logits.shape[-1]
    scores, pairs = torch.topk(torch.sigmoid(logits).flatten(1), slots, dim=1)
    queries = torch.div(pairs, classes, rounding_mode="floor")
    return scores, pairs - queries * classes, queries


def corners(boxes: Tensor) -> Tensor:
    """Centre, width and height f32 [B,Q,4] → xyxy, kept inside 0…1."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([centre - half, centre + half], dim=-1).clamp(0, 1)


def make(model: Any, _spec: PreprocessSpec, _answer: str) -> tuple[nn.Module, tuple[str, ...]]:
    """The detector and its outputs' names."""
    return Detector(model), ("boxes", "scores", "labels")
