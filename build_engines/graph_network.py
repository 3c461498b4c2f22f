"""A network that comes as a finished ONNX graph."""

from dataclasses import dataclass

import onnx
from torch import nn


@dataclass(frozen=True, slots=True)
class GraphNetwork:
    """A foreign graph, and what makes the task's tensors of its raw outputs."""

    model: onnx.ModelProto
    """The graph as it came, but that it takes pixels f32 [B,3,H,W]: where it wants another layout or type, the
    transposition or cast stands in front. Its weights, its opset and its batch size are untouched."""
    finish: nn.Module | None = None
    """Raw outputs, in the graph's order → the task's tensors, in theirs; None where they are those already."""
