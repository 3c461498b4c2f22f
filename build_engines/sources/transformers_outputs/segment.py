"""Segmenters: a class for each pixel, or segments, or objects with masks.

Three kinds of model: logits for each class and place (SegFormer, UPerNet, BEiT, DPT); queries with a class and a mask
(MaskFormer, sections 3.2 and 3.4, and Mask2Former, OneFormer, EoMT); detectors with masks (RF-DETR).
"""

import inspect
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from build_engines.artifact import BuildFailure
from build_engines.sources.transformers_outputs.detect import best_of_each, best_pairs, corners
from build_engines.sources.transformers_outputs.segments import Rules, assigned, objects
from contract.preprocess import PreprocessSpec

_RULES = {"eomt": Rules(threshold=0.8, weighed=False)}
_OTHERS = Rules(threshold=0.5, weighed=True)
"""As each model's own `post_process_panoptic_segmentation` has them by default."""
_COCO_PANOPTIC = 133
_COCO_STUFF = 80
_MOST_U8 = 256

# "the task is {semantic, instance, panoptic}" in CLIP's byte-pair encoding, with its marks of beginning and end.
_TASK_TOKENS = {
    "semantic": (49406, 518, 10549, 533, 29119, 1550, 49407),
    "instance": (49406, 518, 10549, 533, 34572, 49407),
    "panoptic": (49406, 518, 10549, 533, 1072, 24755, 49407),
}
PANOPTIC = ("segment_map", "segment_labels", "segment_scores")
INSTANCE = ("boxes", "scores", "labels", "masks")


class PerPixel(nn.Module):
    """Pixels f32 [B,3,H,W] → class_map u8 (i16 beyond 256 classes) [B,H,W].

    Logits are enlarged (bilinear) to the input's size before the best class is chosen, as the models' own
    `post_process_semantic_segmentation` does.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        """The best class of each pixel."""
        return best_class(self.model(pixel_values=pixels).logits, pixels)


class Queries(nn.Module):
    """A model of queries, in one of its three readings; ``answer`` says which."""

    tokens: Tensor

    def __init__(self, model: Any, answer: str) -> None:
        super().__init__()
        self.model = model
        self.answer = answer
        self.early = model.config.model_type == "eomt"
        rules = _RULES.get(model.config.model_type, _OTHERS)
        stuff_from = _COCO_STUFF if model.config.num_labels == _COCO_PANOPTIC else None
        self.rules = Rules(rules.threshold, rules.weighed, stuff_from)
        self.takes_mask = "pixel_mask" in inspect.signature(model.forward).parameters
        length = getattr(model.config, "task_seq_len", None)
        tokens = torch.zeros(0, dtype=torch.float32)
        if length is not None:
            tokens = torch.zeros(1, length)
            tokens[0, : len(_TASK_TOKENS[answer])] = torch.tensor(_TASK_TOKENS[answer], dtype=torch.float32)
        self.register_buffer("tokens", tokens, persistent=False)

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """class_map u8/i16 [B,H,W]; or `PANOPTIC`, the map at the input's size; or `INSTANCE`, masks at the model's."""
        outputs = self.model(pixel_values=pixels, **self._extra(pixels))
        classes, masks = outputs.class_queries_logits, outputs.masks_queries_logits
        if self.answer == "instance":
            return objects(classes, masks)
        if self.answer == "panoptic":
            return assigned(classes, enlarged(masks, pixels), self.rules)
        # EoMT enlarges the masks, the others the classes' maps.
        masks = torch.sigmoid(enlarged(masks, pixels) if self.early else masks)
        classes = torch.softmax(classes, dim=-1)[..., :-1]
        return (best_class(torch.einsum("bqc,bqhw->bchw", classes, masks), pixels),)

    def _extra(self, pixels: Tensor) -> dict[str, Tensor]:
        extra = {}
        if self.takes_mask:
            extra["pixel_mask"] = torch.ones_like(pixels[:, 0], dtype=torch.int64)
        if self.tokens.numel():
            extra["task_inputs"] = pixels[:, :1, 0, 0] * 0 + self.tokens
        return extra


class MaskDetector(nn.Module):
    """A detector whose queries have masks too → `INSTANCE`: masks u8 [B,N,h,w] at the model's own size."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.softmax = model.config.model_type == "detr"
        self.takes_mask = "pixel_mask" in inspect.signature(model.forward).parameters

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Run, choose, sort."""
        extra = {"pixel_mask": torch.ones_like(pixels[:, 0], dtype=torch.int64)} if self.takes_mask else {}
        outputs = self.model(pixel_values=pixels, **extra)
        choose = best_of_each if self.softmax else best_pairs
        scores, labels, queries = choose(outputs.logits, outputs.logits.shape[1])
        boxes = corners(outputs.pred_boxes).gather(1, queries.unsqueeze(-1).expand(-1, -1, 4))
        inside = (outputs.pred_masks > 0).to(torch.uint8)
        masks = inside.gather(1, queries[..., None, None].expand(-1, -1, *inside.shape[-2:]))
        return boxes, scores, labels.to(torch.int32), masks


def enlarged(maps: Tensor, pixels: Tensor) -> Tensor:
    """Maps f32 [B,C,h,w] at the input's size, bilinear."""
    size = pixels.shape[-2:]
    if maps.shape[-2:] == size:
        return maps
    return functional.interpolate(maps, size=size, mode="bilinear", align_corners=False)


def best_class(logits: Tensor, pixels: Tensor) -> Tensor:
    """Logits f32 [B,C,h,w] → class_map u8 [B,H,W], i16 where there are more than 256 classes."""
    kind = torch.uint8 if logits.shape[1] <= _MOST_U8 else torch.int16
    return enlarged(logits, pixels).argmax(dim=1).to(kind)


def make(model: Any, _spec: PreprocessSpec, answer: str) -> tuple[nn.Module, tuple[str, ...]]:
    """The segmenter and its outputs' names; BuildFailure where the model cannot give the answer asked for."""
    name = type(model).__name__
    chosen = answer or "semantic"
    if chosen not in _TASK_TOKENS:
        raise BuildFailure(f"there is no segmentation {chosen!r}", f"one of {', '.join(_TASK_TOKENS)}")
    if name.endswith("SemanticSegmentation"):
        if chosen != "semantic":
            raise BuildFailure(f"{name} gives classes of pixels only", "leave 'answer' out of the options")
        return PerPixel(model), ("class_map",)
    if name in {"RfDetrForInstanceSegmentation", "DetrForSegmentation"}:
        return MaskDetector(model), INSTANCE
    names = {"semantic": ("class_map",), "panoptic": PANOPTIC, "instance": INSTANCE}
    return Queries(model, chosen), names[chosen]
