"""Class scores and boxes in two outputs: DETR and its kin without suppression, SSD and its kin with."""

from torch import Tensor

from build_engines.catalog.decoding import Detr, Ssd
from build_engines.decoders.boxes import corners, in_fractions, ranked, suppressed
from build_engines.decoders.form import Decoder, Raw, Size, misfit


class PairDecoder(Decoder):
    """Raw scores or logits f32 [B,N,C] and boxes f32 [B,N,4]."""

    def __init__(self, decoding: Detr | Ssd, raw: tuple[Raw, ...], size: Size) -> None:
        super().__init__(("boxes", "scores", "labels"))
        self.decoding, self.size = decoding, size
        wanted = "scores [B, N, classes] and boxes [B, N, 4], by the names in scores and locations"
        names = [output.name for output in raw]
        places = [
            names.index(name) if name in names else place if name is None else -1
            for place, name in enumerate((decoding.scores, decoding.locations))
        ]
        if len(raw) < 2 or min(places) < 0:
            raise misfit(raw, decoding.decoder, wanted)
        self.scores, self.locations = places
        scores, boxes = raw[self.scores].shape, raw[self.locations].shape
        if len(scores) != 3 or boxes != (1, scores[1], 4) or scores[2] - (decoding.background != "none") < 1:
            raise misfit(raw, decoding.decoder, wanted)
        self.classes = scores[2] - (decoding.background != "none")

    def forward(self, *outputs: Tensor) -> tuple[Tensor, ...]:
        """Activate, drop the background, turn the boxes, choose."""
        settings = self.decoding
        scores = self._activated(outputs[self.scores])
        if settings.background == "first":
            scores = scores[..., 1:]
        elif settings.background == "last":
            scores = scores[..., :-1]
        boxes = in_fractions(corners(outputs[self.locations], settings.boxes), settings.unit, self.size)
        by_class = scores.transpose(1, 2)
        if isinstance(settings, Detr):
            return ranked(boxes, by_class, settings.objects, settings.least_score)[:3]
        return suppressed(boxes, by_class, settings.objects, settings.iou_threshold, settings.least_score)[:3]

    def _activated(self, scores: Tensor) -> Tensor:
        if self.decoding.activation == "softmax":
            return scores.softmax(dim=-1)
        return scores.sigmoid() if self.decoding.activation == "sigmoid" else scores
