"""Random weights in which every part of a network counts.

Libraries initialise for the first step of training: last layers are zero, branches are scaled by 1e-6, biases of
detectors make every score alike. A network like that computes almost nothing, and a certificate of it would prove
almost nothing. Here every tensor is drawn so that activations keep their size from layer to layer (He et al., 2015,
section 2.2), from a seed made of its name: equal in every build, and in every library that names it so.
"""

import zlib
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from build_engines.pictures import normalised

_LEAST_SPREAD = 0.3
"""Least variance of a channel, as a share of its mean square and of the layer's variance."""
_OPEN = 1.0
"""Mean of a batch normalisation's bias, so that most of the activations behind it are open.

With 0, rounding grows by a fifth in each layer (Yang et al., 2019, "A mean field theory of batch normalization"), and
after fifty of them no two computers agree on an answer. No trained network is like that.
"""
_SPREAD = 0.1
"""Standard deviation of what should be near 0 (biases) or near 1 (scales)."""


def fill(network: nn.Module) -> None:
    """Draw all parameters and the running statistics of normalisations, in place; other buffers stay as they are.

    Where the shape of its pixels is known, `settle` should follow.
    """
    statistics = _running_statistics(network)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.is_floating_point():
                parameter.copy_(_drawn(name, parameter))
        for name, buffer in network.named_buffers():
            if name in statistics:
                buffer.copy_(_statistic(name, buffer))
        for name, module in network.named_modules():
            if _has_statistics(module) and isinstance(module.bias, Tensor):
                module.bias.copy_(_drawn(f"{name}.bias", module.bias) + _OPEN)


def settle(network: nn.Module, shape: tuple[int, ...]) -> None:
    """Set every batch normalisation's statistics to those that it sees in pictures f32 ``shape`` ([B,3,H,W] …).

    A network without this multiplies or divides its activations by some factor in each of its layers, and after fifty
    of them all pictures look alike, or overflow. Frozen ones, which detectors have, are settled too. A network that
    does not run at this size is left as it is: counting its work, which comes next, says so.
    """
    layers = [module for module in network.modules() if _has_statistics(module)]
    if not layers:
        return
    with ExitStack() as undo, torch.inference_mode(), suppress(RuntimeError, AssertionError, ValueError):
        for layer in layers:
            undo.callback(layer.register_forward_pre_hook(_settle).remove)
        network(pictures(shape))


def temper(network: nn.Module, last: Sequence[nn.Module], shape: tuple[int, ...]) -> None:
    """Scale the last layers so that logits f32 [B,C] have a standard deviation of at most 1.

    A softmax of larger ones is a choice of one class, which any rounding may turn.
    """
    with torch.inference_mode(), suppress(RuntimeError, AssertionError, ValueError):
        logits = network(pictures(shape))
        scale = max(1.0, float(logits.std()))
        for parameter in {parameter for module in last for parameter in module.parameters()}:
            parameter.div_(scale)


def _settle(layer: Any, inputs: tuple[Tensor, ...]) -> None:
    """Take over the statistics of a layer's input f32 [B,C,…], just before it normalises by them.

    A layer shall not blow up what hardly varies: pictures alike, pooled, differ by little more than rounding.
    """
    channels = inputs[0].detach().transpose(0, 1).flatten(1)
    mean, variance = channels.mean(dim=1), channels.var(dim=1)
    least = _LEAST_SPREAD * (mean.square() + variance.mean())
    layer.running_mean.copy_(mean)
    layer.running_var.copy_(torch.maximum(variance, least))


def pictures(shape: tuple[int, ...]) -> Tensor:
    """Pixels f32 of this shape ([B,3,H,W], [B,4,H,W], [B,T,3,H,W]) as a network takes them, of real pictures."""
    return torch.from_numpy(normalised(shape))


def _has_statistics(module: nn.Module) -> bool:
    return all(isinstance(getattr(module, name, None), Tensor) for name in ("running_mean", "running_var"))


def _running_statistics(network: nn.Module) -> set[str]:
    """Names of the buffers that hold a batch normalisation's mean and variance, frozen ones included."""
    return {name for name, _ in network.named_buffers() if name.rsplit(".", 1)[-1] in {"running_mean", "running_var"}}


def _drawn(name: str, parameter: Tensor) -> Tensor:
    random = _generator(name)
    values = random.standard_normal(tuple(parameter.shape))
    if parameter.ndim <= 1:
        # A vector is a scale (a normalisation's, a layer's) or a bias.
        values = _SPREAD * values + (1.0 if name.rsplit(".", 1)[-1] in {"weight", "gamma"} else 0.0)
    else:
        fan_in = max(1, int(np.prod(parameter.shape[1:])))
        values *= np.sqrt(1 / fan_in)
    return torch.from_numpy(np.asarray(values)).to(parameter.dtype)


def _statistic(name: str, buffer: Tensor) -> Tensor:
    random = _generator(name)
    shape = tuple(buffer.shape)
    values = (
        random.uniform(0.5, 1.5, shape) if name.endswith("running_var") else _SPREAD * random.standard_normal(shape)
    )
    return torch.from_numpy(np.asarray(values)).to(buffer.dtype)


def _generator(name: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
