"""Small networks, each with one fault of those that are met in real repositories, and the module that it is in."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.build_engines.orders import CLASSES, UNEVEN

WIDTH = 8


class Stem(nn.Module):
    """Convolution, batch normalisation, in-place activation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, WIDTH, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(WIDTH)
        self.act = nn.ReLU(inplace=True)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.act(self.norm(self.conv(pixels)))


class Block(nn.Module):
    """A residual block; its last part is where faults are planted."""

    def __init__(self, last: nn.Module | None = None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.norm = nn.BatchNorm2d(WIDTH)
        self.last = last or nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        return features + self.last(functional.relu(self.norm(self.conv(features))))


class Network(nn.Module):
    """A stem, three blocks and a linear classifier; ``last`` is planted in the second block."""

    def __init__(self, last: nn.Module | None = None, first: nn.Module | None = None) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first = first or nn.Identity()
        self.stem = Stem()
        self.blocks = nn.Sequential(Block(), Block(last), Block())
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, pixels: Tensor) -> Tensor:
        features = self.blocks(self.stem(self.first(pixels)))
        return self.head(features.mean(dim=(2, 3)))


class FrozenBatch(nn.Module):
    """Takes the batch as a Python number: the tracer writes it into the graph (DaViT, CSWin, HAT).

    It decides by a value, too, so that `torch.export` cannot express it.
    """

    def forward(self, features: Tensor) -> Tensor:
        count = int(features.shape[0])
        if float(features.abs().sum()) < 0:
            return features
        return features.flatten(2).reshape(count, WIDTH, -1).reshape(count, *features.shape[1:])


class FrozenToken(nn.Module):
    """Adds a token that it repeats for a batch taken as a Python number, as some transformers do."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.ones(1, WIDTH, 1, 1))

    def forward(self, features: Tensor) -> Tensor:
        if float(features.abs().sum()) < 0:
            return features
        return features + self.token.expand(int(features.shape[0]), -1, -1, -1)


class Dropout(nn.Module):
    """Drops features in evaluation too."""

    def forward(self, features: Tensor) -> Tensor:
        return functional.dropout(features, 0.5, training=True)


class Noise(nn.Module):
    """Draws random numbers in its forward pass."""

    def forward(self, features: Tensor) -> Tensor:
        return features + torch.rand(features.shape[1:]) * 0.1


class NormalisedAgainOnExport(nn.Module):
    """Normalises the pixels itself when it is exported, as some repositories do for deployment."""

    def forward(self, pixels: Tensor) -> Tensor:
        if not torch.onnx.is_in_onnx_export():
            return pixels
        mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (UNEVEN.mean, UNEVEN.std))
        return (pixels - mean) / std


class WrongSlotAtThree(nn.Module):
    """Gives each image its neighbour's features in a batch of three, and only there."""

    def forward(self, features: Tensor) -> Tensor:
        count = torch._shape_as_tensor(features)[0]
        slots = torch.arange(features.shape[0])
        return features[(slots + (count == 3).to(torch.int64)) % count]


class OtherWayInCompany(nn.Module):
    """Takes another way through its parts where there is more than one image."""

    def __init__(self) -> None:
        super().__init__()
        self.act = nn.Tanh()

    def forward(self, features: Tensor) -> Tensor:
        return self.act(features) if features.shape[0] > 1 else features


class BatchStatistics(nn.BatchNorm2d):
    """Normalises by the statistics of the batch that it is given, in evaluation too."""

    def __init__(self) -> None:
        super().__init__(WIDTH, track_running_stats=False)


class OtherBranchOnExport(nn.Module):
    """Leaves a part out when it is exported, because that should have been merged before (Next-ViT)."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(WIDTH)
        nn.init.constant_(self.norm.running_mean, 0.5)

    def forward(self, features: Tensor) -> Tensor:
        return features if torch.onnx.is_in_onnx_export() else self.norm(features)


class DividesByZero(nn.Module):
    """Makes NaN of features that are all the same."""

    def forward(self, features: Tensor) -> Tensor:
        return features / (features - features).sum()


class Amplifier(nn.Module):
    """Makes much of differences in the last digits, as badly scaled weights do."""

    def forward(self, features: Tensor) -> Tensor:
        return torch.sin(features * 1e7)


class TwoOutputs(nn.Module):
    """Gives a tuple, of which the second is exported wrongly; calls one module twice."""

    def __init__(self) -> None:
        super().__init__()
        self.act = nn.GELU()

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        gate = self.act(features)
        wrong = gate * 2 if torch.onnx.is_in_onnx_export() else gate
        return self.act(features + 1), wrong


class Gated(nn.Module):
    """Multiplies the two outputs of the part inside it."""

    def __init__(self) -> None:
        super().__init__()
        self.pair = TwoOutputs()

    def forward(self, features: Tensor) -> Tensor:
        first, second = self.pair(features)
        return first * second
