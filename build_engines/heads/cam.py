"""Where a classifier looks: class activation maps as masks and boxes, wholly in the graph.

After Zhou et al., "Learning Deep Features for Discriminative Localization" (2016): a classifier that ends in global
average pooling and a linear layer can be applied at every position of its last feature map; by linearity the mean of
those logits is the image's own. The map of a recognised class, brought to 0…1, outlines what was recognised.

Two things are added to the paper's. What an image larger than the training's shows is judged in windows of the
training's size, each pooled alone, and a class is as probable as in the best of them: pooled over the whole image, a
parrot that fills a fifth of it would drown (0.06 against 0.91). And classes that are seen in the same place (tiger
cat, Egyptian cat, tabby) share their maps, for each of them alone leaves holes in the animal.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from build_engines.artifact import Artifact, BuildFailure, Step, known
from build_engines.catalog.entry import CamHead
from contract.task import Task

_BOXES = ("boxes", "scores", "labels")
_OUTPUTS = {Task.DETECT: _BOXES, Task.SEGMENT: (*_BOXES, "masks")}
_INSIDE = 0.5
_LINEARITY_TOLERANCE = 1e-3


class ClassActivationMaps(nn.Module):
    """A classifier of timm as a weakly supervised detector: f32 [B,3,H,W] normalised → boxes, scores, labels, masks.

    N slots, most probable class first: boxes f32 [B,N,4] (xyxy, 0…1), scores f32 [B,N] (the class's probability, or 0
    for a slot suppressed as a duplicate), labels i32 [B,N], masks f32 [B,N,S,S] in 0…1, inside from 0.5 on.
    """

    low_edges: Tensor
    high_edges: Tensor

    def __init__(self, classifier: nn.Module, settings: CamHead, *, with_masks: bool) -> None:
        super().__init__()
        self.classifier = classifier
        self.settings = settings
        self.with_masks = with_masks
        edges = torch.arange(settings.map_size + 1, dtype=torch.float32) / settings.map_size
        self.register_buffer("low_edges", edges[:-1], persistent=False)
        self.register_buffer("high_edges", edges[1:], persistent=False)

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Find the most probable classes and outline each."""
        features = self.classifier.forward_features(pixels)  # type: ignore[operator]  # every timm network has it
        linear = self.classifier.get_classifier()  # type: ignore[operator]
        scores, labels = self._probabilities(features, linear).topk(self.settings.candidates, dim=-1)
        # The candidates' rows only: the full map would be a thousand channels.
        activation = shared(torch.matmul(linear.weight[labels], features.flatten(2)), scores)
        masks = self._outline(activation.reshape(*activation.shape[:2], *features.shape[2:]))
        boxes = self._extent(masks >= _INSIDE)
        found = (boxes, self._without_duplicates(boxes, scores), labels.to(torch.int32))
        return (*found, masks) if self.with_masks else found

    def _probabilities(self, features: Tensor, linear: nn.Linear) -> Tensor:
        """Features f32 [B,D,h,w] → probabilities f32 [B,C], each the class's highest in any window."""
        window = min(self.settings.window, features.shape[2], features.shape[3])
        pooled = functional.avg_pool2d(features, window, stride=1).flatten(2).transpose(1, 2)
        return torch.softmax(linear(pooled), dim=-1).amax(dim=1)

    def _outline(self, activation: Tensor) -> Tensor:
        """Activation f32 [B,N,h,w] → masks f32 [B,N,S,S]: the level between lowest and highest becomes 0.5."""
        size = self.settings.map_size
        smooth = functional.avg_pool2d(activation, 3, stride=1, padding=1, count_include_pad=False)
        fine = functional.interpolate(smooth, size=(size, size), mode="bilinear", align_corners=False)
        low, high = fine.amin(dim=(2, 3), keepdim=True), fine.amax(dim=(2, 3), keepdim=True)
        tiny = torch.finfo(torch.float32).tiny
        # A map that is the same everywhere outlines the whole image.
        position = (fine - low).clamp(min=tiny) / (high - low).clamp(min=tiny)
        level = self.settings.level
        # Two straight pieces that meet at the level, so that 0 and 1 stay where they are.
        below, above = position * (_INSIDE / level), _INSIDE + (position - level) * ((1 - _INSIDE) / (1 - level))
        return torch.where(position < level, below, above)

    def _extent(self, inside: Tensor) -> Tensor:
        """Masks bool [B,N,S,S] → boxes f32 [B,N,4] from the first to the last row and column that is well filled.

        So a speck at the picture's edge does not stretch the box; every mask holds its maximum, so none is empty.
        """
        sides = []
        for axis in (2, 3):
            filled = inside.to(torch.float32).sum(dim=axis)
            occupied = filled >= self.settings.least_filled * filled.amax(dim=-1, keepdim=True)
            low = torch.where(occupied, self.low_edges, torch.ones_like(self.low_edges)).amin(dim=-1)
            high = torch.where(occupied, self.high_edges, torch.zeros_like(self.high_edges)).amax(dim=-1)
            sides.append((low, high))
        (left, right), (top, bottom) = sides
        return torch.stack([left, top, right, bottom], dim=-1)

    def _without_duplicates(self, boxes: Tensor, scores: Tensor) -> Tensor:
        """Scores f32 [B,N], 0 where a more probable class that is kept has nearly the same box (greedy, any class)."""
        duplicate = box_iou(boxes) > self.settings.suppress_iou
        kept = [torch.ones_like(scores[:, 0], dtype=torch.bool)]
        for slot in range(1, self.settings.candidates):
            beaten = torch.stack([kept[other] & duplicate[:, slot, other] for other in range(slot)]).any(dim=0)
            kept.append(~beaten)
        return torch.where(torch.stack(kept, dim=1), scores, torch.zeros_like(scores))


def shared(activation: Tensor, scores: Tensor) -> Tensor:
    """Each class's map f32 [B,N,hw] mixed with those of the classes that are seen where it is seen.

    The weight of another class is its score f32 [B,N] times the squared correlation of the two maps, if positive.
    """
    centred = activation - activation.mean(dim=-1, keepdim=True)
    unit = functional.normalize(centred, dim=-1)
    alike = torch.matmul(unit, unit.transpose(1, 2)).clamp(min=0).square() * scores.unsqueeze(1)
    # A map that is the same everywhere is like no other, nor like itself.
    total = alike.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
    return torch.matmul(alike / total, activation)


def box_iou(boxes: Tensor) -> Tensor:
    """Intersection over union f32 [B,N,N] of boxes f32 [B,N,4] (xyxy) with each other."""
    first, second = boxes.unsqueeze(2), boxes.unsqueeze(1)
    spans = torch.minimum(first[..., 2:], second[..., 2:]) - torch.maximum(first[..., :2], second[..., :2])
    overlap = spans.clamp(min=0).prod(dim=-1)
    area = (boxes[..., 2:] - boxes[..., :2]).prod(dim=-1)
    return overlap / (area.unsqueeze(2) + area.unsqueeze(1) - overlap).clamp(min=torch.finfo(torch.float32).tiny)


def attach(artifact: Artifact) -> Artifact:
    """Put the head on the classifier; BuildFailure if it is not one that this head can explain."""
    settings, network = artifact.order.entry.head, artifact.network
    if not isinstance(settings, CamHead) or not isinstance(network, nn.Module):
        raise TypeError(f"{artifact.order.entry.name} asks for no head")
    _require_linear_end(network, known(artifact.preprocess).height)
    task = artifact.order.entry.task
    head = ClassActivationMaps(network, settings, with_masks=task is Task.SEGMENT)
    return artifact.having(network=head.eval(), output_names=_OUTPUTS[task])


STEP = Step("head", attach, requires=("network", "preprocess"), ensures=("network", "output_names"))


def _require_linear_end(network: nn.Module, side: int) -> None:
    pixels = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        features, linear = network.forward_features(pixels), network.get_classifier()  # type: ignore[operator]
        fits = isinstance(linear, nn.Linear) and features.ndim == 4 and features.shape[1] == linear.in_features
        if fits:
            logits, pooled = network(pixels), linear(features.mean(dim=(2, 3)))
            fits = bool((logits - pooled).abs().max() <= _LINEARITY_TOLERANCE * logits.abs().max())
    if not fits:
        raise BuildFailure(
            "class activation maps need a classifier of features [B,C,h,w] that ends in global average pooling and "
            "one linear layer",
            "choose such an architecture, e.g. an EfficientNet or a ResNet",
        )
