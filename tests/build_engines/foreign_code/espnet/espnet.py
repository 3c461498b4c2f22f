"""ESPNet (Mehta et al., 2018), p = 2, q = 8, with its light decoder, written anew from the paper (sections 3, 4).

The layers bear the names of the official checkpoint's tensors. Batch normalisations have an epsilon of 1e-3.
"""

import torch
from torch import Tensor, nn

_CLASSES = (
    "road, sidewalk, building, wall, fence, pole, traffic light, traffic sign, vegetation, terrain, sky, person, "
    "rider, car, truck, bus, train, motorcycle, bicycle, void"
)
VITRAIL = {
    "preprocess": {"height": 512, "width": 1024, "resize": "stretch", "interpolation": "bilinear"},
    # The authors take the mean from 0…255, divide by the deviation of 0…255, and then by 255 once more.
    "normalisation": {
        "mean": (72.3923 / 255, 82.9089 / 255, 73.1584 / 255),
        "std": (45.3192, 46.1529, 44.9149),
        "channels": "bgr",
    },
    "labels": _CLASSES.split(", "),
}
_EPSILON = 1e-3
_DILATIONS = (1, 2, 4, 8, 16)


class Conv(nn.Module):
    """A convolution without bias that keeps the size, but for its stride."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        padding = kernel // 2 * dilation
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve."""
        return self.conv(x)


class NormAct(nn.Module):
    """Batch normalisation and PReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels, eps=_EPSILON)
        self.act = nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise and rectify."""
        return self.act(self.bn(x))


class ConvNormAct(NormAct):
    """Convolution, batch normalisation and PReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(outputs)
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve, normalise and rectify."""
        return super().forward(self.conv(x))


class SpatialPyramid(nn.Module):
    """Reduce, split into five dilations, sum them up hierarchically, merge (figure 1b and 3 of the paper)."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        width = outputs // len(_DILATIONS)
        self.c1 = Conv(inputs, width, kernel, stride)
        for dilation in _DILATIONS:
            wanted = outputs - 4 * width if dilation == 1 else width
            setattr(self, f"d{dilation}", Conv(width, wanted, 3, dilation=dilation))

    def merged(self, x: Tensor) -> Tensor:
        """The concatenation f32 [B,outputs,h,w], not yet normalised."""
        reduced = self.c1(x)
        parts = [self.d1(reduced), self.d2(reduced)]
        for branch in (self.d4, self.d8, self.d16):
            parts.append(parts[-1] + branch(reduced))
        return torch.cat(parts, dim=1)


class Block(SpatialPyramid):
    """An efficient spatial pyramid, with or without its input added."""

    def __init__(self, inputs: int, outputs: int, *, add: bool = True) -> None:
        super().__init__(inputs, outputs)
        self.bn = NormAct(outputs)
        self.add = add

    def forward(self, x: Tensor) -> Tensor:
        """The block."""
        merged = self.merged(x)
        return self.bn(x + merged if self.add else merged)


class Down(SpatialPyramid):
    """An efficient spatial pyramid of half the size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, kernel=3, stride=2)
        self.bn = nn.BatchNorm2d(outputs, eps=_EPSILON)
        self.act = nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """The block."""
        return self.act(self.bn(self.merged(x)))


class Encoder(nn.Module):
    """Pixels → the maps of strides 2, 4 and 8."""

    def __init__(self, classes: int, p: int, q: int) -> None:
        super().__init__()
        self.level1 = ConvNormAct(3, 16, 3, 2)
        self.shrink = nn.AvgPool2d(3, 2, 1)
        self.b1 = NormAct(16 + 3)
        self.level2_0 = Down(16 + 3, 64)
        self.level2 = nn.Sequential(*(Block(64, 64) for _ in range(p)))
        self.b2 = NormAct(128 + 3)
        self.level3_0 = Down(128 + 3, 128)
        self.level3 = nn.Sequential(*(Block(128, 128) for _ in range(q)))
        self.b3 = NormAct(256)
        self.classifier = Conv(256, classes, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """16, 131 and ``classes`` channels."""
        first, half = self.level1(x), self.shrink(x)
        entry = self.level2_0(self.b1(torch.cat([first, half], dim=1)))
        second = self.b2(torch.cat([self.level2(entry), entry, self.shrink(half)], dim=1))
        deeper = self.level3_0(second)
        third = self.b3(torch.cat([deeper, self.level3(deeper)], dim=1))
        return first, second, self.classifier(third)


class ESPNet(nn.Module):
    """Pixels f32 [B,3,H,W] in BGR → logits f32 [B,classes,H,W]; H and W are multiples of 8."""

    def __init__(self, classes: int, p: int, q: int) -> None:
        super().__init__()
        self.encoder = Encoder(classes, p, q)
        self.br = nn.BatchNorm2d(classes, eps=_EPSILON)
        self.up_l3 = nn.Sequential(_doubled(classes))
        self.level3_C = Conv(128 + 3, classes, 1)
        self.combine_l2_l3 = nn.Sequential(NormAct(2 * classes), Block(2 * classes, classes, add=False))
        self.up_l2 = nn.Sequential(_doubled(classes), NormAct(classes))
        self.conv = ConvNormAct(16 + classes, classes, 3)
        self.classifier = _doubled(classes)

    def forward(self, x: Tensor) -> Tensor:
        """Encode, and double three times."""
        first, second, third = self.encoder(x)
        deep = self.up_l3(self.br(third))
        middle = self.up_l2(self.combine_l2_l3(torch.cat([self.level3_C(second), deep], dim=1)))
        return self.classifier(self.conv(torch.cat([middle, first], dim=1)))


def _doubled(channels: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels, channels, 2, stride=2, bias=False)


def espnet(classes: int = 20, p: int = 2, q: int = 8) -> ESPNet:
    """ESPNet for Cityscapes."""
    return ESPNet(classes, p, q)
