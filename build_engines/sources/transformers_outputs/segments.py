"""Queries with a class and a mask each → segments of an image, or objects, in a fixed number of slots.

MaskFormer (2021), section 3.4 and appendix A: panoptic and instance inference; the rules are transformers' own.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

_INSIDE = 0.5
_LEAST_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Rules:
    """What makes a query a segment."""

    threshold: float
    """The least probability of its class."""
    weighed: bool
    """A query's own pixels are counted in its mask times its score, as transformers does it but for EoMT.

    EoMT leaves besides those pixels out of a segment that its mask does not hold.
    """
    stuff_from: int | None = None
    """The first class without instances, whose segments are one; None: no segments are joined."""


def assigned(classes: Tensor, masks: Tensor, rules: Rules) -> tuple[Tensor, Tensor, Tensor]:
    """Each pixel to the query that is most sure of it, if that query keeps most of its mask.

    Class logits f32 [B,Q,C+1] (the last one: no object) and mask logits f32 [B,Q,h,w] → segment_map i32 [B,h,w] (the
    query's slot, or -1), segment_labels i32 [B,Q], segment_scores f32 [B,Q] (0 for a slot without a segment).
    """
    scores, labels = torch.softmax(classes, dim=-1).max(dim=-1)
    kept = (labels != classes.shape[-1] - 1) & (scores > rules.threshold)
    weights = torch.where(kept, scores, 0.0)[..., None, None]
    probabilities = torch.sigmoid(masks)
    # One comparison of all queries at once: a query that is not kept weighs nothing, and wins nowhere.
    owner = (probabilities * weights).argmax(dim=1)
    slots = torch.arange(masks.shape[1], device=masks.device)
    own = owner[:, None] == slots[:, None, None]
    inside = (probabilities * weights if rules.weighed else probabilities) >= _INSIDE
    final = own if rules.weighed else own & inside
    share = own.flatten(2).sum(dim=2).float() / inside.flatten(2).sum(dim=2).float().clamp(min=1)
    exists = kept & inside.flatten(2).any(dim=2) & final.flatten(2).any(dim=2) & (share > _LEAST_SHARE)
    place = _joined(labels, exists, rules)
    drawn = (final & exists[..., None, None]).any(dim=1)
    segment_map = torch.where(drawn, place.gather(1, owner.flatten(1)).reshape(owner.shape), -1)
    answered = exists & (place == slots)
    return segment_map.to(torch.int32), labels.to(torch.int32), torch.where(answered, scores, 0.0)


def _joined(labels: Tensor, exists: Tensor, rules: Rules) -> Tensor:
    """The slot that each query's pixels go to, i64 [B,Q]: its own, or of stuff the first one of its class."""
    slots = torch.arange(labels.shape[1], device=labels.device)
    own = slots.expand_as(labels)
    if rules.stuff_from is None:
        return own
    alike = (labels[:, :, None] == labels[:, None]) & exists[:, None]
    first = torch.where(alike, slots, labels.shape[1] - 1).min(dim=2).values
    return torch.where(labels >= rules.stuff_from, first, own)


def objects(classes: Tensor, masks: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The best pairs of query and class, as many as there are queries; a mask's mean probability counts too.

    Class logits f32 [B,Q,C+1] and mask logits f32 [B,Q,h,w] → boxes f32 [B,Q,4] (around the masks, in 0…1), scores
    f32 [B,Q], labels i32 [B,Q], masks u8 [B,Q,h,w]. A pair without a pixel has score 0.
    """
    count, kinds = classes.shape[1], classes.shape[2] - 1
    probabilities = torch.softmax(classes, dim=-1)[..., :-1].flatten(1)
    scores, pairs = torch.topk(probabilities, count, dim=1)
    queries = torch.div(pairs, kinds, rounding_mode="floor")
    inside = (masks > 0).float()
    quality = (torch.sigmoid(masks) * inside).flatten(2).sum(dim=2) / (inside.flatten(2).sum(dim=2) + 1e-6)
    scores = scores * quality.gather(1, queries)
    scores, order = torch.topk(scores, count, dim=1)
    queries, labels = queries.gather(1, order), (pairs % kinds).gather(1, order)
    chosen = inside.gather(1, queries[..., None, None].expand(-1, -1, *masks.shape[-2:]))
    return boxes_around(chosen), scores, labels.to(torch.int32), chosen.to(torch.uint8)


def boxes_around(masks: Tensor) -> Tensor:
    """The smallest boxes f32 [B,Q,4], xyxy in 0…1, that hold masks f32 [B,Q,h,w] of zeros and ones."""
    left, right = _span(masks.amax(dim=2))
    top, bottom = _span(masks.amax(dim=3))
    return torch.stack([left, top, right, bottom], dim=-1)


def _span(line: Tensor) -> tuple[Tensor, Tensor]:
    """First and last edge of the ones in f32 [B,Q,n], in 0…1; both 0 where there is none."""
    length = line.shape[-1]
    rising = torch.arange(1, length + 1, device=line.device, dtype=line.dtype)
    last = (line * rising).amax(dim=-1) / length
    beyond = (line * rising.flip(0)).amax(dim=-1) / length
    present = line.amax(dim=-1)
    return (1 - beyond) * present, last
