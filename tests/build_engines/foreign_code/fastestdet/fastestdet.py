"""FastestDet (github.com/dog-qiuqiu/FastestDet), written anew from its published graph and the names of its weights.

A ShuffleNetV2 (Ma et al., 2018, figure 3c and 3d), its last three stages pooled into one map of stride 16, three
depthwise branches of 5, 9 and 13 pixels' reach, and a head of one candidate a cell.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from build_engines.nms_operator import kept_by_nms

VITRAIL = {
    "preprocess": {"height": 352, "width": 352, "resize": "stretch", "interpolation": "bilinear"},
    "normalisation": {"mean": (0, 0, 0), "std": (1, 1, 1), "channels": "bgr"},
    "labels": "coco",
}
_STAGES = ((24, 48, 4), (48, 96, 8), (96, 192, 4))
"""Channels in and out, and blocks, of stages 2, 3 and 4."""
_WIDTH = 96


def _conv(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outputs)]


class Block(nn.Module):
    """A ShuffleNetV2 block: half of the channels pass, or at stride 2 all take both branches."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        half = outputs // 2
        depthwise = _conv(half, half, 3, stride, half)
        self.branch_main = nn.Sequential(*_conv(inputs, half), nn.ReLU(), *depthwise, *_conv(half, half), nn.ReLU())
        self.branch_proj = (
            nn.Sequential(*_conv(inputs, inputs, 3, 2, inputs), *_conv(inputs, half), nn.ReLU())
            if stride == 2
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Shuffle by taking even channels one way and odd ones the other."""
        if self.branch_proj is not None:
            return torch.cat([self.branch_proj(x), self.branch_main(x)], dim=1)
        return torch.cat([x[:, 0::2], self.branch_main(x[:, 1::2])], dim=1)


class ShuffleNet(nn.Module):
    """Pixels → maps of strides 8, 16 and 32 with 48, 96 and 192 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.first_conv = nn.Sequential(*_conv(3, 24, 3, 2), nn.ReLU())
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        for number, (inputs, outputs, blocks) in enumerate(_STAGES, start=2):
            rest = [Block(outputs // 2, outputs, 1) for _ in range(blocks - 1)]
            setattr(self, f"stage{number}", nn.Sequential(Block(inputs, outputs, 2), *rest))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The three stages."""
        second = self.stage2(self.maxpool(self.first_conv(x)))
        third = self.stage3(second)
        return second, third, self.stage4(third)


class Conv1x1(nn.Module):
    """A pointwise convolution, normalised and rectified."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1x1 = nn.Sequential(*_conv(inputs, outputs), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Convolve."""
        return self.conv1x1(x)


def _reach(times: int) -> nn.Sequential:
    return nn.Sequential(*(layer for _ in range(times) for layer in (*_conv(_WIDTH, _WIDTH, 5, 1, _WIDTH), nn.ReLU())))


class Pyramid(nn.Module):
    """One map seen at three reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv1x1 = Conv1x1(48 + 96 + 192, _WIDTH)
        self.S1, self.S2, self.S3 = _reach(1), _reach(2), _reach(3)
        self.output = nn.Sequential(*_conv(3 * _WIDTH, _WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        """The map and what its surroundings add."""
        x = self.Conv1x1(x)
        return torch.relu(x + self.output(torch.cat([self.S1(x), self.S2(x), self.S3(x)], dim=1)))


class Branch(nn.Module):
    """One of the head's three answers."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.conv5x5 = nn.Sequential(*_conv(_WIDTH, _WIDTH, 5, 1, _WIDTH), nn.ReLU(), *_conv(_WIDTH, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Raw values."""
        return self.conv5x5(x)


class Head(nn.Module):
    """Objectness, box and classes of every cell, [B,5+C,h,w]."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1x1 = Conv1x1(_WIDTH, _WIDTH)
        self.obj_layers, self.reg_layers, self.cls_layers = Branch(1), Branch(4), Branch(classes)

    def forward(self, x: Tensor) -> Tensor:
        """As the published graph has it: probabilities, raw boxes, probabilities."""
        x = self.conv1x1(x)
        parts = self.obj_layers(x).sigmoid(), self.reg_layers(x), self.cls_layers(x).softmax(dim=1)
        return torch.cat(parts, dim=1)


class FastestDet(nn.Module):
    """Pixels f32 [B,3,H,W] in BGR, 0…1 → the published graph's raw map f32 [B,5+C,H/16,W/16]."""

    def __init__(self, classes: int = 80) -> None:
        super().__init__()
        self.backbone = ShuffleNet()
        self.SPP = Pyramid()
        self.detect_head = Head(classes)

    def raw(self, pixels: Tensor) -> Tensor:
        """The map before any decoding."""
        second, third, fourth = self.backbone(pixels)
        smaller = functional.avg_pool2d(second, 3, 2, 1)
        larger = functional.interpolate(fourth, scale_factor=2.0, mode="nearest")
        return self.detect_head(self.SPP(torch.cat([smaller, third, larger], dim=1)))

    def forward(self, pixels: Tensor) -> Tensor:
        """The map."""
        return self.raw(pixels)


class Detector(FastestDet):
    """FastestDet with its decoding and suppression: boxes, scores and labels in fixed slots."""

    def __init__(self, objects: int, iou: float, least: float) -> None:
        super().__init__()
        self.objects, self.iou, self.least = objects, iou, least

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        """The best cells, f32 [B,N,4] xyxy in 0…1, f32 [B,N] and i64 [B,N]."""
        raw = self.raw(pixels)
        height, width = raw.shape[2:]
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        cells = torch.stack([columns, rows]).flatten(1).to(raw.dtype)
        sides = torch.tensor([[width], [height]], dtype=raw.dtype)
        values = raw.flatten(2)
        centre, half = (values[:, 1:3].tanh() + cells) / sides, values[:, 3:5].sigmoid() / 2
        boxes = torch.cat([centre - half, centre + half], dim=1).transpose(1, 2)
        scores = values[:, :1] ** 0.6 * values[:, 5:] ** 0.4
        kept = kept_by_nms(boxes, scores, self.iou, self.least, self.objects)
        best, place = (scores * kept).flatten(1).topk(self.objects)
        cell, label = place % (height * width), place // (height * width)
        found = boxes.gather(1, cell[..., None].expand(-1, -1, 4))
        return {"boxes": found.clamp(0, 1), "scores": best, "labels": label}


def network(classes: int = 80) -> FastestDet:
    """The network alone."""
    return FastestDet(classes)


def detector(objects: int = 50, iou: float = 0.45, least: float = 0.1) -> Detector:
    """The network with its decoding."""
    return Detector(objects, iou, least)
