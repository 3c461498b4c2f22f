"""YuNet (Wu et al. 2023, doi 10.1007/s11633-023-1423-y): faces with five points, at three strides."""

import torch
from torch import Tensor

from build_engines.catalog.decoding import Yunet
from build_engines.decoders.boxes import Slots, corners, grid, in_fractions, suppressed
from build_engines.decoders.form import Decoder, Raw, Size, misfit
from contract.task import Task

_PARTS = ("cls", "obj", "bbox", "kps")


class YunetDecoder(Decoder):
    """Raw ``cls_S``, ``obj_S`` f32 [B,N,1], ``bbox_S`` [B,N,4] and ``kps_S`` [B,N,2K] for every stride S.

    Centres and points are offsets from the cell's corner in strides, sizes are logarithms; the score is the geometric
    mean of class and objectness. A point has its face's score.
    """

    cells: Tensor
    strides: Tensor

    def __init__(self, decoding: Yunet, raw: tuple[Raw, ...], task: Task, size: Size) -> None:
        super().__init__(("boxes", "scores", "labels") if task is Task.DETECT else ("keypoints", "scores", "boxes"))
        self.decoding, self.size, self.classes = decoding, size, 1
        shapes = {output.name: output.shape for output in raw}
        self.places: dict[str, list[int]] = {part: [] for part in _PARTS}
        for part, width in zip(_PARTS, (1, 1, 4, 2 * decoding.points), strict=True):
            for stride in decoding.strides:
                name, cells = f"{part}_{stride}", (size.height // stride) * (size.width // stride)
                if shapes.get(name) != (1, cells, width):
                    raise misfit(raw, "yunet", f"{name} [B, {cells}, {width}] (its input is a multiple of 32)")
                self.places[part].append(list(shapes).index(name))
        places, lengths = grid(size, decoding.strides)
        self.register_buffer("cells", places, persistent=False)
        self.register_buffer("strides", lengths, persistent=False)

    def forward(self, *outputs: Tensor) -> tuple[Tensor, ...]:
        """Decode all strides together, suppress, and take the points along."""
        classes, objectness, raw_boxes, raw_points = (
            torch.cat([outputs[place] for place in self.places[part]], dim=1) for part in _PARTS
        )
        scores = (classes.clamp(0, 1) * objectness.clamp(0, 1)).sqrt()
        centres = (raw_boxes[..., :2] + self.cells) * self.strides
        boxes = corners(torch.cat([centres, raw_boxes[..., 2:].exp() * self.strides], dim=-1), "cxcywh")
        settings = self.decoding
        found = suppressed(
            in_fractions(boxes, "pixels", self.size),
            scores.transpose(1, 2),
            settings.objects,
            settings.iou_threshold,
            settings.least_score,
        )
        if "keypoints" not in self.output_names:
            return found[:3]
        return self._points(raw_points, found), found.scores, found.boxes

    def _points(self, raw: Tensor, slots: Slots) -> Tensor:
        """Points f32 [B,N,2K] → those of the slots, f32 [B,n,K,3]."""
        count = self.decoding.points
        placed = (torch.unflatten(raw, -1, (count, 2)) + self.cells[:, None]) * self.strides[:, None]
        flat = in_fractions(placed, "pixels", self.size).flatten(2)
        chosen = torch.gather(flat, 1, slots.candidates[..., None].expand(-1, -1, 2 * count))
        full = (slots.scores > 0)[..., None, None]
        alike = slots.scores[..., None, None].expand(-1, -1, count, 1)
        return torch.cat([torch.unflatten(chosen, -1, (count, 2)) * full, alike], dim=-1)
