"""Random weights let every layer count, and are the same in every build."""

import torch
from torch import Tensor, nn

from build_engines import random_weights


class Deep(nn.Module):
    """Twelve convolutions with batch normalisation, a scaled branch, and a last layer that begins at zero."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU()) for _ in range(12))
        )
        self.gamma = nn.Parameter(torch.full((3, 1, 1), 1e-6))
        self.head = nn.Linear(3, 5)
        nn.init.zeros_(self.head.weight)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.head((self.blocks(pixels) * self.gamma).mean(dim=(2, 3)))


def filled() -> Deep:
    """One with random weights, settled."""
    network = Deep().eval()
    random_weights.fill(network)
    random_weights.settle(network, (4, 3, 32, 32))
    return network


def test_two_builds_have_equal_weights() -> None:
    """All tensors are the same twice, and no two of one shape are alike."""
    first, second = filled().state_dict(), filled().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["blocks.0.0.weight"], first["blocks.1.0.weight"])


def test_different_pictures_get_different_answers() -> None:
    """Through twelve layers the answers to two pictures do not become alike."""
    pictures = random_weights.pictures((2, 3, 32, 32))
    with torch.inference_mode():
        first, second = filled()(pictures)
    assert (first - second).abs().max() > 0.01 * first.abs().max()


def test_settling_leaves_the_network_in_evaluation() -> None:
    """After settling every module is in evaluation mode again, with its own momentum."""
    network = filled()
    assert not any(module.training for module in network.modules())
    assert {module.momentum for module in network.modules() if isinstance(module, nn.BatchNorm2d)} == {0.1}


def test_pictures_have_the_shape_asked_for() -> None:
    """Images and clips alike, finite and varied."""
    for shape in ((2, 3, 16, 20), (1, 4, 3, 8, 8)):
        pictures = random_weights.pictures(shape)
        assert pictures.shape == shape
        assert pictures.std() > 0.1


def test_tempered_logits_are_moderate() -> None:
    """Logits that a softmax would turn into a choice are scaled to a deviation of 1."""
    network = filled()
    with torch.no_grad():
        network.head.weight.mul_(1000)
    random_weights.temper(network, [network.head], (4, 3, 32, 32))
    with torch.inference_mode():
        assert 0.9 < network(random_weights.pictures((4, 3, 32, 32))).std() < 1.1
