"""The gradient of a layer, written as forward operations: an exported graph has no backward pass.

Only layers that act on vectors: what stands between a classifier's pooled features and its logits, and between the
attention of a transformer's layer and that layer's end.
"""

import math
from collections.abc import Callable
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional

Rule = Callable[[Tensor, Tensor], Tensor]
"""A layer's input f32 [B,1,…,D] and the gradient at its output f32 [B,K,…,E] → that at its input f32 [B,K,…,D]."""

_QUICK = 1.702
"""The steepness of CLIP's "quick" GELU."""
_HARD = 3.0
"""Half the width of the part of a hard sigmoid that is not flat."""


def rule_of(layer: nn.Module) -> Rule | None:
    """How gradients come back through this layer in evaluation mode, or None if that is not known."""
    gamma = getattr(layer, "gamma", None)
    if isinstance(layer, nn.LayerNorm):
        return _through_layer_norm(layer)
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        return _through_batch_norm(layer)
    if isinstance(layer, nn.Linear) or _is_pointwise(layer):
        return _through_weight(layer.weight)
    if type(layer).__name__ == "LayerScale" and isinstance(gamma, Tensor):
        return lambda _, gradient: gradient * gamma
    return _through_function(layer)


def _is_pointwise(layer: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Whether it is a convolution that is a linear layer at every place."""
    return isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1) and layer.groups == 1


def _through_weight(weight: Tensor) -> Rule:
    # So the transposed weight stands in the graph once, as forward products take it; twice it would double the file.
    def rule(_: Tensor, gradient: Tensor) -> Tensor:
        return torch.matmul(weight.flatten(1).t(), gradient.transpose(-1, -2)).transpose(-1, -2)

    return rule


def _through_batch_norm(layer: Any) -> Rule | None:
    """Of a batch normalisation; timm's has a function after it."""
    slope = _through_function(getattr(layer, "act", nn.Identity()))
    if slope is None:
        return None

    def rule(entering: Tensor, gradient: Tensor) -> Tensor:
        scale = _scale_of(layer)
        normal = (entering - layer.running_mean) * scale
        return scale * slope(normal if layer.bias is None else normal + layer.bias, gradient)

    return rule


def _scale_of(normalisation: Any) -> Tensor:
    """What a batch normalisation multiplies by, f32 [D]."""
    scale: Tensor = (normalisation.running_var + normalisation.eps).rsqrt()
    return scale if normalisation.weight is None else scale * normalisation.weight


def _through_layer_norm(layer: nn.LayerNorm) -> Rule:
    def rule(entering: Tensor, gradient: Tensor) -> Tensor:
        if layer.weight is not None:
            gradient = gradient * layer.weight
        centred = entering - entering.mean(dim=-1, keepdim=True)
        rate = (centred.square().mean(dim=-1, keepdim=True) + layer.eps).rsqrt()
        unit = centred * rate
        along = (gradient * unit).mean(dim=-1, keepdim=True)
        return (gradient - gradient.mean(dim=-1, keepdim=True) - unit * along) * rate

    return rule


def _through_function(layer: nn.Module) -> Rule | None:
    """Of a function of single numbers, whichever class it is of: it is known by its values."""
    if any(True for _ in layer.children()) or any(True for _ in layer.parameters()):
        return None
    # A length that no normalisation and no reshape leaves as it is by chance, and places on both sides of every kink.
    places = torch.linspace(-10, 10, 101).reshape(1, 101)
    try:
        with torch.no_grad():
            values = layer(places.clone())
    except (RuntimeError, TypeError, ValueError, IndexError):
        return None
    if not isinstance(values, Tensor) or values.shape != places.shape:
        return None
    for function, slope in _FUNCTIONS:
        if torch.allclose(function(places), values, atol=1e-6):
            return lambda entering, gradient, slope=slope: gradient * slope(entering)  # type: ignore[misc]  # a default binds it
    return None


def _gelu_slope(x: Tensor) -> Tensor:
    cumulative = 0.5 * (1 + torch.erf(x / math.sqrt(2)))
    return cumulative + x * torch.exp(-0.5 * x.square()) / math.sqrt(2 * math.pi)


def _gelu_tanh_slope(x: Tensor) -> Tensor:
    rate, cubic = math.sqrt(2 / math.pi), 0.044715
    tangent = torch.tanh(rate * (x + cubic * x * x.square()))
    return 0.5 * (1 + tangent) + 0.5 * x * (1 - tangent.square()) * rate * (1 + 3 * cubic * x.square())


def _sigmoid_linear_slope(x: Tensor, steepness: float) -> Tensor:
    share = torch.sigmoid(steepness * x)
    return share + steepness * x * share * (1 - share)


def _within(x: Tensor, low: float, high: float) -> Tensor:
    return ((x > low) & (x < high)).to(x.dtype)


_Scalar = Callable[[Tensor], Tensor]

_FUNCTIONS: tuple[tuple[_Scalar, _Scalar], ...] = (
    (lambda x: x, torch.ones_like),
    (functional.relu, lambda x: (x > 0).to(x.dtype)),
    (functional.gelu, _gelu_slope),
    (lambda x: functional.gelu(x, approximate="tanh"), _gelu_tanh_slope),
    (functional.silu, lambda x: _sigmoid_linear_slope(x, 1.0)),
    (lambda x: x * torch.sigmoid(_QUICK * x), lambda x: _sigmoid_linear_slope(x, _QUICK)),
    (functional.relu6, lambda x: _within(x, 0, 6)),
    (functional.hardswish, lambda x: _within(x, -_HARD, _HARD) * (2 * x + 3) / 6 + (x >= _HARD).to(x.dtype)),
    (torch.tanh, lambda x: 1 - torch.tanh(x).square()),
)
"""Functions of single numbers, each with its slope."""
