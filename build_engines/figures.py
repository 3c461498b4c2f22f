"""How large a model is, and whether that is what its authors say."""

from typing import Any

import numpy as np
import onnx
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from build_engines import graph_work
from build_engines.artifact import Artifact, BuildFailure, Step, known
from build_engines.catalog.entry import Published
from build_engines.graph_network import GraphNetwork
from contract.card import Figures
from contract.preprocess import PreprocessSpec

TOLERANCE = 0.02
"""Relative difference from the published figures that passes without a word: they are rounded."""


def _attention(query: Any, key: Any, value: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:  # noqa: ARG001  the counter's form
    return sdpa_flop_count(query, key, value)  # type: ignore[no-any-return,no-untyped-call]  # torch leaves it untyped


_UNCOUNTED = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention}  # noqa: SLF001  torch names it so
"""Operators that torch's counter passes over."""


def measure(artifact: Artifact) -> Artifact:
    """Count parameters and multiply-accumulates; warn where they are not the published ones."""
    spec, network = known(artifact.preprocess), artifact.network
    figures = artifact.figures
    if isinstance(network, nn.Module):
        figures = of_network(network, spec)
    elif isinstance(network, GraphNetwork):
        work = graph_work.gmacs(network.model, (1, 3, spec.height, spec.width))
        figures = Figures(parameters=_constants(network.model), gmacs=work)
    surprises = differences(artifact.order.entry.published, known(figures), spec)
    return artifact.having(figures=figures, warnings=artifact.warnings + surprises)


STEP = Step("figures", measure, requires=("network", "preprocess"), ensures=("figures",))


def of_network(network: nn.Module, spec: PreprocessSpec) -> Figures:
    """Parameters, and the work of one input; BuildFailure if the network does not run at this size."""
    # The counter follows gradients where a parameter wants one, and there are none.
    network.requires_grad_(requires_grad=False)
    counter = FlopCounterMode(display=False, custom_mapping=_UNCOUNTED)
    shape = spec.input_shape
    pixels = torch.zeros(1, *shape[:-3], shape[-1], *shape[-3:-1])
    try:
        with torch.inference_mode(), counter:
            network(pixels)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise BuildFailure(
            f"the network does not run at {spec.height} x {spec.width}: {error}",
            "choose another --resolution (many networks want a multiple of 32)",
        ) from error
    parameters = sum(parameter.numel() for parameter in network.parameters())
    # One multiply-accumulate is two floating-point operations.
    return Figures(parameters=parameters, gmacs=round(counter.get_total_flops() / 2e9, 4))


def differences(published: Published, figures: Figures, spec: PreprocessSpec) -> tuple[str, ...]:
    """A sentence for each figure that differs from the published one by more than `TOLERANCE`."""
    found = []
    if published.parameters and _differs(figures.parameters, published.parameters):
        found.append(f"{figures.parameters:,} parameters, but {published.parameters:,} are published")
    same_size = published.resolution in {None, max(spec.height, spec.width)}
    if published.gmacs and figures.gmacs and same_size and _differs(figures.gmacs, published.gmacs):
        found.append(f"{figures.gmacs:.3g} GMACs, but {published.gmacs:.3g} are published")
    return tuple(found)


def _differs(actual: float, published: float) -> bool:
    return abs(actual - published) > TOLERANCE * published


def _constants(model: onnx.ModelProto) -> int:
    """Floating-point elements of the graph's constants: its weights, and a few scalars."""
    floats = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE}
    return sum(int(np.prod(item.dims)) for item in model.graph.initializer if item.data_type in floats)
