"""The work of an ONNX graph is what the work of its network in torch is."""

import warnings

import onnx
import pytest
import torch
from torch import nn

from build_engines import figures
from build_engines.graph_work import gmacs
from tests.build_engines.orders import a_spec


class Mixed(nn.Module):
    """Every kind of operator that is counted: grouped and transposed convolutions, products of matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.grouped = nn.Conv2d(8, 16, 3, padding=1, groups=4)
        self.wider = nn.ConvTranspose2d(16, 4, 2, stride=2)
        self.last = nn.Linear(4, 5)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        maps = self.wider(self.grouped(self.first(pixels))).flatten(2)
        return self.last((maps @ maps.transpose(1, 2)).mean(1))


def graph_of(network: nn.Module, side: int) -> onnx.ModelProto:
    """The network as a graph of a user's own making, with a free batch."""
    pixels, batch = (torch.zeros(2, 3, side, side),), ({0: torch.export.Dim("batch")},)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # The exporter's own innards.
        program = torch.onnx.export(network.eval(), pixels, dynamo=True, dynamic_shapes=batch, verbose=False)
    return program.model_proto


def test_both_ways_of_counting_agree() -> None:
    """A graph's multiply-accumulates are those that torch counts for the network, at two sizes."""
    for side in (64, 256):
        expected = figures.of_network(Mixed(), a_spec(side)).gmacs
        assert gmacs(graph_of(Mixed(), side), (1, 3, side, side)) == pytest.approx(expected, rel=1e-3, abs=2e-4)
