"""The same heat maps by torch's own gradients: what the closed forms in the graph are certified against.

Nothing is shared with those but the knowledge of where a network's features, layers and classifier are.
"""

from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from build_engines.explain.legrad import Layer
from build_engines.explain.recording import recorded, replaced
from build_engines.explain.trail import Trail

Answer = tuple[Tensor, Tensor, Tensor]


class ActivationMapsByAutograd(nn.Module):
    """What `build_engines.explain.cam.ActivationMaps` gives: gradients at the features, summed over places."""

    def __init__(self, network: nn.Module, trail: Trail, count: int) -> None:
        super().__init__()
        self.network = network
        self._trail = trail
        self._count = count

    def forward(self, pixels: Tensor) -> Answer:
        """Logits f32 [B,C], explained i32 [B,K], heat f32 [B,K,h,w]."""
        leaves: list[Tensor] = []

        def leaf(features: Tensor) -> Tensor:
            leaves.append(features.detach().requires_grad_())
            return leaves[-1].clone()

        with torch.inference_mode(mode=False), torch.enable_grad():
            with replaced(self._trail.features, leaf):
                logits = self.network(pixels.clone())
            explained = logits.detach().topk(self._count, dim=-1).indices
            features = self._trail.as_map(leaves[-1].detach())
            maps = []
            for score in logits.gather(1, explained).unbind(1):
                (gradient,) = torch.autograd.grad(score.sum(), leaves[-1], retain_graph=True)
                weights = self._trail.as_map(gradient).sum(dim=2, keepdim=True)
                maps.append((weights * features).sum(dim=1))
        return (
            logits.detach(),
            explained.to(torch.int32),
            torch.stack(maps, dim=1).reshape(-1, self._count, *self._trail.grid),
        )


class AttentionSensitivityByAutograd(nn.Module):
    """What `build_engines.explain.legrad.AttentionSensitivity` gives: gradients at what is added to attention maps."""

    def __init__(self, network: nn.Module, trail: Trail, layers: tuple[Layer, ...], count: int) -> None:
        super().__init__()
        self.network = network
        self._trail = trail
        self._layers = layers
        self._count = count

    def forward(self, pixels: Tensor) -> Answer:
        """Logits f32 [B,C], explained i32 [B,K], heat f32 [B,K,h,w]."""
        with torch.inference_mode(mode=False), torch.enable_grad():
            logits, additions, tokens = self._run(pixels.clone())
            explained = logits.detach().topk(self._count, dim=-1).indices
            maps = []
            for addition, given in zip(additions, tokens, strict=True):
                scores = self.classified(given).gather(1, explained).sum(dim=0)
                (gradient,) = torch.autograd.grad(
                    scores, addition, torch.eye(self._count, dtype=scores.dtype), is_grads_batched=True
                )
                maps.append(self._of_attention(gradient))
        heat = torch.stack(maps).mean(dim=0)[..., self._trail.prefix :]
        return logits.detach(), explained.to(torch.int32), heat.reshape(-1, self._count, *self._trail.grid)

    def _run(self, pixels: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Logits, the zeros that were added to each layer's attention map, and the tokens that each layer gave."""
        additions: list[Tensor] = []
        blocks = [layer.block for layer in self._layers]
        with ExitStack() as undo:
            values = undo.enter_context(recorded(layer.values for layer in self._layers))
            calls = undo.enter_context(recorded(blocks))
            for layer in self._layers:

                def add(_: nn.Module, arguments: tuple[Any, ...], layer: Layer = layer) -> tuple[Any, ...]:
                    given = layer.values_of(values[-1].leaving)
                    batch, heads, count, _width = given.shape
                    additions.append(torch.zeros(batch, heads, count, count, requires_grad=True))
                    more = torch.matmul(additions[-1], given.detach()).transpose(1, 2).flatten(2)
                    return (arguments[0] + more, *arguments[1:])

                undo.callback(layer.projection.register_forward_pre_hook(add).remove)
            logits = self.network(pixels)
        return logits, additions, [call.leaving for call in calls]

    def classified(self, tokens: Tensor) -> Tensor:
        """The logits that the first of these tokens f32 [B,N,D] would have, were they the last layer's."""
        trail = self._trail
        value = trail.features(tokens) if isinstance(trail.features, nn.LayerNorm) else tokens
        return nn.Sequential(*trail.layers, trail.classifier)(value[:, 0])  # type: ignore[no-any-return]  # a tensor

    @staticmethod
    def _of_attention(gradient: Tensor) -> Tensor:
        """Gradients f32 [K,B,heads,N,N] → the class token's row: its positive part's mean over heads, f32 [B,K,N]."""
        return gradient.relu().mean(dim=2)[:, :, 0].transpose(0, 1)
