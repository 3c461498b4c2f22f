"""Parameters and work are counted, and held against what is published."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from build_engines import figures
from build_engines.artifact import BuildFailure
from build_engines.catalog.entry import Published
from contract.card import Figures
from tests.build_engines.orders import Classifier, a_spec, an_artifact, an_entry, an_order

COUNTED = Figures(parameters=1_000_000, gmacs=2.0)


def test_figures_are_counted() -> None:
    """Parameters and multiply-accumulates are those that a hand counts: 8 filters of 27 at 128 x 128, 8 x 7 after."""
    counted = figures.of_network(Classifier(), a_spec(256))
    assert counted.parameters == 8 * 27 + 8 + 8 * 7 + 7
    assert counted.gmacs == pytest.approx((128 * 128 * 8 * 27 + 8 * 7) / 1e9, abs=5e-5)


class WithToken(nn.Module):
    """Passes a parameter itself through one of its modules."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 4))
        self.layer = nn.Linear(4, 2)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.layer(self.token).expand(len(pixels), -1)


def test_a_parameter_may_be_an_input() -> None:
    """A network that passes a parameter through a module, as class tokens go, is counted too."""
    assert figures.of_network(WithToken(), a_spec()).parameters == 14


def test_a_size_that_does_not_run_is_refused() -> None:
    """A network that cannot take the size fails with the size in the message."""
    with pytest.raises(BuildFailure, match="does not run at 0 x 0"):
        figures.of_network(Classifier(), a_spec(1).model_copy(update={"height": 0, "width": 0}))


def test_a_surprising_size_is_told(tmp_path: Path) -> None:
    """A network whose number of parameters is not the published one gets a warning with both numbers."""
    order = an_order(tmp_path, an_entry(published={"parameters": 9_000_000}))
    measured = figures.measure(an_artifact(tmp_path, order=order))
    assert "9,000,000 are published" in measured.warnings[0]


@pytest.mark.parametrize(
    ("published", "count"),
    [
        ({"parameters": 1_019_000, "gmacs": 1.97}, 0),
        ({"parameters": 1_021_000}, 1),
        ({"parameters": 500_000, "gmacs": 1.0}, 2),
        ({"gmacs": 1.0, "resolution": 16}, 1),
        ({"gmacs": 1.0, "resolution": 224}, 0),
        ({}, 0),
    ],
)
def test_two_percent_pass_without_a_word(published: dict[str, float], count: int) -> None:
    """A difference of up to 2 % is rounding; work is compared at the published resolution only."""
    assert len(figures.differences(Published(**published), COUNTED, a_spec())) == count
