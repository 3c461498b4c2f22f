"""Ready boxes with their classes, as the YOLO family of Ultralytics (v5 to 11) and YOLOv7 export them."""

import torch
from torch import Tensor

from build_engines.catalog.decoding import Yolo
from build_engines.decoders.boxes import Slots, corners, in_fractions, suppressed
from build_engines.decoders.form import Decoder, Raw, Size, misfit, single
from contract.task import Task


class YoloDecoder(Decoder):
    """Raw f32 [B,4+C(+3K),N] or [B,N,4+1+C]: box, perhaps objectness, classes, perhaps points."""

    def __init__(self, decoding: Yolo, raw: tuple[Raw, ...], task: Task, size: Size) -> None:
        super().__init__(("boxes", "scores", "labels") if task is Task.DETECT else ("keypoints", "scores", "boxes"))
        self.decoding, self.size = decoding, size
        self.before = 4 + decoding.objectness
        wanted = "one output [B, 4 + classes, N]" if self._channels_first else "one output [B, N, 4 + classes]"
        output = single(raw, "yolo", wanted)
        channels = output.shape[1 if self._channels_first else -1] if len(output.shape) == 3 else 0
        self.count = channels - self.before - 3 * decoding.keypoints
        if self.count < 1:
            raise misfit(raw, "yolo", wanted)
        self.classes = self.count

    @property
    def _channels_first(self) -> bool:
        return self.decoding.order == "channels_first"

    def forward(self, output: Tensor) -> tuple[Tensor, ...]:
        """Turn the boxes, weigh the classes, suppress, and take the points along."""
        settings = self.decoding
        rows = output.transpose(1, 2) if self._channels_first else output
        boxes = in_fractions(corners(rows[..., :4], settings.boxes), settings.unit, self.size)
        end = self.before + self.count
        scores = rows[..., 4:end] if settings.activated else rows[..., 4:end].sigmoid()
        if settings.objectness:
            scores = scores[..., :1] * scores[..., 1:]
        found = suppressed(
            boxes, scores.transpose(1, 2), settings.objects, settings.iou_threshold, settings.least_score
        )
        if "keypoints" not in self.output_names:
            return found[:3]
        return self._points(rows[..., end:], found), found.scores, found.boxes

    def _points(self, raw: Tensor, slots: Slots) -> Tensor:
        """Points f32 [B,N,3K] → those of the slots, f32 [B,n,K,3], in 0…1 of the input."""
        chosen = torch.gather(raw, 1, slots.candidates[..., None].expand(-1, -1, 3 * self.decoding.keypoints))
        points = torch.unflatten(chosen, -1, (self.decoding.keypoints, 3)) * (slots.scores > 0)[..., None, None]
        return torch.cat([in_fractions(points[..., :2], self.decoding.unit, self.size), points[..., 2:]], dim=-1)
