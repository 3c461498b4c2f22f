"""A classifier over windows, which gets its batch back as Swin's official code and its descendants do."""

from torch import Tensor, nn

SIZE = 4


def partition(x: Tensor) -> Tensor:
    """Maps [B,H,W,C] → windows [B * H/S * W/S, S, S, C]."""
    batch, height, width, channels = x.shape
    x = x.view(batch, height // SIZE, SIZE, width // SIZE, SIZE, channels)
    return x.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, SIZE, SIZE, channels)


def reverse(windows: Tensor, height: int, width: int) -> Tensor:
    """The maps again."""
    batch = int(windows.shape[0] / (height * width / SIZE / SIZE))
    if not isinstance(height, int):
        raise TypeError("the name int is Python's own")
    x = windows.view(batch, height // SIZE, width // SIZE, SIZE, SIZE, -1)
    return x.permute(0, 1, 3, 2, 4, 5).contiguous().view(batch, height, width, -1)


class Windows(nn.Module):
    """Something within each window, then a classifier of the whole."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 8)
        self.head = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Pixels [B,3,H,W] → logits [B,C]."""
        height, width = x.shape[2:]
        windows = self.inner(partition(x.permute(0, 2, 3, 1))).relu()
        return self.head(reverse(windows, height, width).mean(dim=(1, 2)))


def windows(classes: str = "5") -> nn.Module:
    """Such a network; the settings come as text, as from a command line."""
    return Windows(int(classes))
