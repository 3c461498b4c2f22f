"""From very many candidates to a detector's answer of fixed size, in operators that every engine has."""

import torch
from torch import Tensor
from torch.nn import functional

from build_engines.nms_operator import kept_by_nms

Detections = tuple[Tensor, Tensor, Tensor]
"""Boxes f32 [B,N,4] (xyxy in 0…1), scores f32 [B,N], labels i64 [B,N]."""

CANDIDATES = 1000
"""How many of a level's predictions are considered (Lin et al., "Focal Loss …", 2017, section 4.1)."""
_LEAST_SCORE = 1e-3
"""What scores less is no object. Low, for it is the gateway that draws the line, for each request."""
_APART = 2.0
"""Boxes in 0…1 of two kinds do not meet when they are shifted by this."""


def best_pairs(scores: Tensor, count: int = CANDIDATES) -> Detections:
    """The best of scores f32 [B,A,C]: their positions i64 [B,K] in A, their scores f32 [B,K], their classes i64 [B,K].

    K is ``count``, or A*C where there are fewer.
    """
    classes = scores.shape[2]
    values, index = scores.flatten(1).topk(min(count, scores.shape[1] * classes), dim=1)
    return torch.div(index, classes, rounding_mode="floor"), values, torch.remainder(index, classes)


def rows(values: Tensor, index: Tensor) -> Tensor:
    """Those rows of values f32 [B,A,D] that the index i64 [B,K] names: f32 [B,K,D]."""
    return values.gather(1, index.unsqueeze(-1).expand(-1, -1, values.shape[2]))


def suppressed(found: Detections, count: int, iou_threshold: float, least_score: float = _LEAST_SCORE) -> Detections:
    """The best ``count`` that non-maximum suppression within each label leaves; empty slots are 0 in all outputs.

    A box without area is none.
    """
    boxes, scores, labels = found
    missing = count - boxes.shape[1]
    if missing > 0:
        boxes = functional.pad(boxes, (0, 0, 0, missing))
        scores, labels = functional.pad(scores, (0, missing)), functional.pad(labels, (0, missing))
    # Of a box outside the image, clipping leaves a line.
    visible = (boxes[..., 2:] > boxes[..., :2]).all(dim=-1)
    scores = scores * visible
    apart = boxes + (labels * _APART).to(boxes.dtype).unsqueeze(-1)
    kept = kept_by_nms(apart, scores.unsqueeze(1), iou_threshold, least_score, count)[:, 0]
    scores, order = (scores * kept).topk(count, dim=1)
    full = scores > 0
    return rows(boxes, order) * full.unsqueeze(-1), scores, labels.gather(1, order) * full


def answer(found: Detections) -> tuple[Tensor, Tensor, Tensor]:
    """The same in the contract's types: labels i32."""
    boxes, scores, labels = found
    return boxes, scores, labels.to(torch.int32)
