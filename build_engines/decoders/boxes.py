"""Boxes of any form → the contract's, and the best of many candidates → slots."""

from typing import NamedTuple

import torch
from torch import Tensor

from build_engines import nms_operator  # noqa: F401  declares the operator that is called below
from build_engines.catalog.decoding import BoxForm, Unit
from build_engines.decoders.form import Size

_MOST_CANDIDATES = 1000
"""So many of the best candidates of an image are looked at; the same number as in most detectors' own code."""


class Slots(NamedTuple):
    """The best candidates of each image, best first; empty slots are 0 throughout."""

    boxes: Tensor
    """f32 [B,K,4], xyxy in 0…1 of the input."""
    scores: Tensor
    """f32 [B,K]"""
    labels: Tensor
    """i32 [B,K]"""
    candidates: Tensor
    """i64 [B,K]: which of the candidates lies in the slot."""


def corners(boxes: Tensor, form: BoxForm) -> Tensor:
    """Boxes f32 [..., 4] of this form → xyxy in the same unit."""
    first, second = boxes[..., :2], boxes[..., 2:]
    if form == "cxcywh":
        return torch.cat([first - second / 2, first + second / 2], dim=-1)
    if form == "xywh":
        return torch.cat([first, first + second], dim=-1)
    return boxes if form == "xyxy" else torch.cat([first.flip(-1), second.flip(-1)], dim=-1)


def in_fractions(points: Tensor, unit: Unit, size: Size) -> Tensor:
    """Points or boxes f32 [..., 2n] (x, y, x, y …) of this unit → fractions of the input's sides."""
    if unit == "fraction":
        return points
    sides = torch.tensor([size.width, size.height] * (points.shape[-1] // 2), dtype=torch.float32)
    return points / sides


def grid(size: Size, strides: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """For every cell of every stride, row by row: its column and row f32 [N,2], and its stride f32 [N,1]."""
    cells, lengths = [], []
    for stride in strides:
        rows, columns = torch.meshgrid(
            torch.arange(size.height // stride), torch.arange(size.width // stride), indexing="ij"
        )
        cells.append(torch.stack([columns, rows], dim=-1).reshape(-1, 2))
        lengths.append(torch.full((len(cells[-1]), 1), stride))
    return torch.cat(cells).float(), torch.cat(lengths).float()


def suppressed(boxes: Tensor, scores: Tensor, objects: int, iou_threshold: float, least_score: float) -> Slots:
    """Candidates boxes f32 [B,N,4] (xyxy, 0…1) and scores f32 [B,C,N] → slots, each candidate in its best class."""
    best, labels = scores.max(dim=1)
    best, order = best.topk(min(_MOST_CANDIDATES, best.shape[1]), dim=1)
    boxes, labels = _at(boxes, order), torch.gather(labels, 1, order)
    classes = torch.arange(scores.shape[1], device=scores.device)
    in_best = torch.where(labels[:, None] == classes[:, None], best[:, None], torch.zeros_like(best)[:, None])
    kept = torch.ops.vitrail.kept_by_nms(boxes, in_best, iou_threshold, least_score, objects).any(dim=1)
    slots = _slots(boxes, torch.where(kept, best, torch.zeros_like(best)), labels, objects)
    return slots._replace(candidates=torch.gather(order, 1, slots.candidates))


def ranked(boxes: Tensor, scores: Tensor, objects: int, least_score: float) -> Slots:
    """The same without suppression, for detectors that answer once for each object."""
    best, labels = scores.max(dim=1)
    return _slots(boxes, torch.where(best > least_score, best, torch.zeros_like(best)), labels, objects)


def _slots(boxes: Tensor, scores: Tensor, labels: Tensor, objects: int) -> Slots:
    top, candidates = scores.topk(min(objects, scores.shape[1]), dim=1)
    full = top > 0
    chosen = (torch.gather(labels, 1, candidates) * full).to(torch.int32)
    return Slots(_at(boxes, candidates) * full[..., None], top, chosen, candidates)


def _at(boxes: Tensor, places: Tensor) -> Tensor:
    """Boxes f32 [B,N,4] at places i64 [B,K]."""
    return torch.gather(boxes, 1, places[..., None].expand(-1, -1, 4))
