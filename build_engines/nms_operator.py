"""Non-maximum suppression inside the graph: one operator for torch, for both of its exporters and for ONNX.

torchvision's own operator answers with as many indices as there are boxes left, so that nothing behind it has a fixed
size, and its compiled extension needs the torch that it was built for. This one answers with a mask of fixed size. In
ONNX it is NonMaxSuppression (opset 11) and a ScatterND that turns the indices into the mask.
"""

from collections.abc import Callable
from typing import Any

import torch
from onnx import TensorProto, helper
from onnxscript import opset20
from onnxscript.onnx_types import BOOL, FLOAT
from torch import Tensor
from torch.onnx.symbolic_helper import parse_args
from torch.onnx.utils import register_custom_op_symbolic

_NAME = "vitrail::kept_by_nms"
_OPSET = 20
_op: Any = opset20  # mypy cannot follow onnxscript's types of types
_FALSE = helper.make_tensor("false", TensorProto.BOOL, [1], [False])
_TRUE = helper.make_tensor("true", TensorProto.BOOL, [1], [True])


@torch.library.custom_op(_NAME, mutates_args=())
def kept_by_nms(
    boxes: Tensor, scores: Tensor, iou_threshold: float, score_threshold: float, max_per_class: int
) -> Tensor:
    """Which boxes greedy suppression keeps, bool [B,C,N], of boxes f32 [B,N,4] (xyxy) with scores f32 [B,C,N].

    Each class of each image is judged alone. From the best score on, a box is kept if its score is above the
    ``score_threshold``, its intersection over union with every kept one is at most ``iou_threshold``, and fewer than
    ``max_per_class`` are kept; of equal scores the earlier comes first. A box without area overlaps nothing. All this
    is as ONNX's NonMaxSuppression has it.
    """
    area = (boxes[..., 2:] - boxes[..., :2]).prod(dim=-1).unsqueeze(1)
    candidates = scores.masked_fill(scores <= score_threshold, -torch.inf)
    kept = torch.zeros_like(scores, dtype=torch.bool)
    for _ in range(min(max_per_class, boxes.shape[1])):
        score, best = candidates.max(dim=-1, keepdim=True)
        found = score > -torch.inf
        if not found.any():
            break
        kept |= torch.zeros_like(kept).scatter_(-1, best, found)
        overlap = _overlap(boxes, best)
        union = area + area.expand_as(scores).gather(-1, best) - overlap
        beaten = (overlap > 0) & (overlap / union > iou_threshold)
        candidates = candidates.masked_fill(beaten, -torch.inf).scatter(-1, best, -torch.inf)
    return kept


def _overlap(boxes: Tensor, best: Tensor) -> Tensor:
    """Intersections f32 [B,C,N] of boxes f32 [B,N,4] with the one at ``best`` i64 [B,C,1]."""
    chosen = boxes.gather(1, best.expand(-1, -1, 4)).unsqueeze(2)
    spans = torch.minimum(chosen[..., 2:], boxes.unsqueeze(1)[..., 2:]) - torch.maximum(
        chosen[..., :2], boxes.unsqueeze(1)[..., :2]
    )
    return spans.clamp(min=0).prod(dim=-1)


@kept_by_nms.register_fake
def _(boxes: Tensor, scores: Tensor, iou_threshold: float, score_threshold: float, max_per_class: int) -> Tensor:  # noqa: ARG001  the operator's signature
    return torch.empty_like(scores, dtype=torch.bool)


def _to_onnx(boxes: FLOAT, scores: FLOAT, iou_threshold: float, score_threshold: float, max_per_class: int) -> BOOL:
    """For `torch.onnx.export(dynamo=True)`; run once, on the graph's values."""
    limits = (_op.Constant(value_floats=[threshold]) for threshold in (iou_threshold, score_threshold))
    selected = _op.NonMaxSuppression(boxes, scores, _op.Constant(value_ints=[max_per_class]), *limits)
    nothing = _op.Expand(_op.Constant(value=_FALSE), _op.Shape(scores))
    ones = _op.Expand(_op.Constant(value=_TRUE), _op.Shape(selected, start=0, end=1))
    return _op.ScatterND(nothing, selected, ones)  # type: ignore[no-any-return]  # see _op


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {torch.ops.vitrail.kept_by_nms.default: _to_onnx}
"""For `torch.onnx.export`'s ``custom_translation_table``; the tracer needs none, it knows the operator by itself."""


@parse_args("v", "v", "f", "f", "i")
def _to_traced(
    graph: Any, boxes: Any, scores: Any, iou_threshold: float, score_threshold: float, max_per_class: int
) -> Any:
    """For `torch.onnx.export(dynamo=False)`."""
    numbers = (torch.tensor([max_per_class]), torch.tensor([iou_threshold]), torch.tensor([score_threshold]))
    limits = (graph.op("Constant", value_t=number) for number in numbers)
    selected = graph.op("NonMaxSuppression", boxes, scores, *limits)
    nothing = graph.op("Expand", graph.op("Constant", value_t=torch.tensor([False])), graph.op("Shape", scores))
    count = graph.op("Shape", selected, start_i=0, end_i=1)
    ones = graph.op("Expand", graph.op("Constant", value_t=torch.tensor([True])), count)
    kept = graph.op("ScatterND", nothing, selected, ones)
    # The batch must stay open: what follows takes the sizes of a type for constants.
    return kept.setType(scores.type().with_dtype(torch.bool).with_sizes([None, None, None]))


register_custom_op_symbolic(_NAME, _to_traced, _OPSET)
