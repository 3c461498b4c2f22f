"""LeGrad: which patches a vision transformer's attention would have to turn to for a class's score to rise.

Bousselham et al., "LeGrad: An Explainability Method for Vision Transformers via Feature Formation Sensitivity" (2024):
each layer's class token is classified as if it were the last one; the gradient of the class's score with respect to
that layer's attention map, its negative part cut off, is averaged over heads and layers. Only the class token's row of
the map has a gradient; where a network averages its tokens instead, every row has a little of one, and a trial with
such networks showed nothing of what they see: they are not explained.

Within one layer an attention map A acts on the tokens as A times the values V, so that the gradient with respect to A
is the gradient at that product, times V transposed. It is computed without a backward pass, and without A itself, which
a fused attention never gives.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from build_engines.explain.gradients import rule_of
from build_engines.explain.recording import Call, recorded
from build_engines.explain.trail import Trail
from contract.tasks.classify import ExplanationMethod


@dataclass(frozen=True, slots=True)
class Layer:
    """A transformer's layer: tokens x → u = x + inward(attention) → u + outward(u)."""

    block: nn.Module
    """The whole of it."""
    values: nn.Module
    """Its output's last features, for each head, are the values."""
    projection: nn.Module
    """Takes what the heads give, beside each other."""
    heads: int
    inward: tuple[nn.Module, ...]
    """From what the heads give to what is added to the tokens; the first is ``projection``."""
    outward: tuple[nn.Module, ...]
    """The layers of the part after the attention; the first one takes u."""

    def values_of(self, given: Tensor) -> Tensor:
        """Output of ``values`` f32 [B,N,…] → f32 [B,heads,N,D]."""
        width: int = self.projection.in_features  # type: ignore[assignment]  # a linear layer
        batch, tokens = given.shape[:2]
        return given[..., -width:].reshape(batch, tokens, self.heads, -1).transpose(1, 2)


def layers_of(network: nn.Module) -> tuple[Layer, ...]:
    """The layers of a plain vision transformer as timm, transformers and papers' own code name their parts, or none."""
    for modules in network.modules():
        if isinstance(modules, nn.ModuleList | nn.Sequential) and len(modules):
            found = [_as_timm_does(block) or _as_transformers_does(block) for block in modules]
            if all(found):
                return tuple(layer for layer in found if layer)
    return ()


def _as_timm_does(block: nn.Module) -> Layer | None:
    attention, mlp = getattr(block, "attn", None), getattr(block, "mlp", None)
    names = ("qkv", "proj", "num_heads")
    if not (hasattr(block, "norm1") and all(hasattr(attention, name) for name in names)):
        return None
    inward = _known(attention.proj, getattr(block, "ls1", None))  # type: ignore[union-attr]
    outward = _known(getattr(block, "norm2", None), *_perceptron(mlp), getattr(block, "ls2", None))
    # What stands between the heads and the projection is not followed.
    between = _known(getattr(attention, "norm", None))
    if not inward or not outward or between != () or getattr(attention, "gate", None) is not None:
        return None
    return Layer(block, attention.qkv, attention.proj, int(attention.num_heads), inward, outward)  # type: ignore[union-attr]


def _as_transformers_does(block: nn.Module) -> Layer | None:
    attention, mlp = getattr(block, "attention", None), getattr(block, "mlp", None)
    names = ("v_proj", "o_proj", "num_attention_heads")
    if not all(hasattr(attention, name) for name in names):
        return None
    inward = _known(attention.o_proj)  # type: ignore[union-attr]
    outward = _known(getattr(block, "layernorm_after", None), *_perceptron(mlp))
    if not inward or not outward:
        return None
    return Layer(block, attention.v_proj, attention.o_proj, int(attention.num_attention_heads), inward, outward)  # type: ignore[union-attr]


def _perceptron(mlp: object) -> Sequence[nn.Module | None]:
    """The layers of two linear ones with a function between, or an unknown one."""
    function = getattr(mlp, "act", None) or getattr(mlp, "activation_fn", None)
    return getattr(mlp, "fc1", nn.Module()), function, getattr(mlp, "norm", None), getattr(mlp, "fc2", nn.Module())


def _known(*modules: nn.Module | None) -> tuple[nn.Module, ...] | None:
    """Those that do something; None if one of them does what no rule is known of."""
    doing = tuple(module for module in modules if module is not None and not isinstance(module, nn.Identity))
    return doing if all(rule_of(module) is not None for module in doing) else None


class AttentionSensitivity(nn.Module):
    """A classifier f32 [B,3,H,W] normalised → logits f32 [B,C], explained i32 [B,K], heat f32 [B,K,h,w]."""

    method = ExplanationMethod.LEGRAD

    def __init__(self, network: nn.Module, trail: Trail, layers: tuple[Layer, ...], count: int) -> None:
        super().__init__()
        self.network = network
        self.count = count
        self._trail = trail
        self._layers = layers
        # What turns a layer's class token into logits: the last layer's features are a normalisation of its tokens.
        self._ending = (*([trail.features] if rule_of(trail.features) else []), *trail.layers)
        parts = (part for layer in layers for part in (*layer.inward, *layer.outward))
        self._rules = {module: rule for module in (*self._ending, *parts) if (rule := rule_of(module)) is not None}

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Classify, and map the most probable classes."""
        watched = (module for layer in self._layers for module in (layer.block, layer.values, *layer.outward))
        with recorded(watched) as calls:
            logits = self.network(pixels)
        explained = logits.topk(self.count, dim=-1).indices
        runs = {call.module: call for call in calls}
        heat = torch.stack([self._of_layer(layer, runs, explained) for layer in self._layers]).mean(dim=0)
        patches = heat[..., self._trail.prefix :].reshape(-1, self.count, *self._trail.grid)
        return logits, explained.to(torch.int32), patches

    def _of_layer(self, layer: Layer, runs: dict[nn.Module, Call], explained: Tensor) -> Tensor:
        """How much the class token's attention to each token counts in one layer, f32 [B,K,N]."""
        gradient = self._at_class_token(runs[layer.block].leaving[:, 0], explained)
        through = gradient
        for module in reversed(layer.outward):
            through = self._rules[module](runs[module].entering[:, :1], through)
        gradient = gradient + through
        for module in reversed(layer.inward):
            # None of these asks for its input.
            gradient = self._rules[module](gradient, gradient)
        values = layer.values_of(runs[layer.values].leaving)
        heads = gradient.reshape(-1, self.count, layer.heads, values.shape[-1]).transpose(1, 2)
        return torch.matmul(heads, values.transpose(-1, -2)).relu().mean(dim=1)

    def _at_class_token(self, token: Tensor, explained: Tensor) -> Tensor:
        """The gradient f32 [B,K,D] of the classes' logits, were this class token f32 [B,D] the last layer's."""
        entering = []
        for layer in self._ending:
            entering.append(token)
            token = layer(token)
        gradient = self._trail.rows[explained]
        for layer, before in zip(reversed(self._ending), reversed(entering), strict=True):
            gradient = self._rules[layer](before.unsqueeze(1), gradient)
        return gradient
