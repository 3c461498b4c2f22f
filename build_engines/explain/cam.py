"""Class activation maps: how much each place of the last features says for a class.

Zhou et al., "Learning Deep Features for Discriminative Localization" (2016): where global average pooling and one
linear layer follow the features, a class's logit is the mean over all places of the class's weights times the place's
features; the map shows the terms of this mean. Where more layers follow, the gradient of the logit with respect to the
pooled features stands for the weights: Selvaraju et al., "Grad-CAM" (2017), at the last features.
"""

import torch
from torch import Tensor, nn

from build_engines.explain.gradients import Rule, rule_of
from build_engines.explain.recording import recorded
from build_engines.explain.trail import Trail
from contract.tasks.classify import ExplanationMethod


class ActivationMaps(nn.Module):
    """A classifier f32 [B,3,H,W] normalised → logits f32 [B,C], explained i32 [B,K], heat f32 [B,K,h,w]."""

    def __init__(self, network: nn.Module, trail: Trail, count: int) -> None:
        super().__init__()
        self.network = network
        self.count = count
        self._trail = trail
        self._rules = tuple(_rule(layer) for layer in trail.layers)
        self.method = ExplanationMethod.GRAD_CAM if trail.layers else ExplanationMethod.CAM

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Classify, and map the most probable classes."""
        trail = self._trail
        with recorded((trail.features, *trail.layers)) as calls:
            logits = self.network(pixels)
        entering = {call.module: call.entering for call in calls}
        features = {call.module: call.leaving for call in calls}[trail.features]
        explained = logits.topk(self.count, dim=-1).indices
        # The rows of these classes only: the full map would be a thousand channels.
        weights = trail.rows[explained]
        for layer, rule in zip(reversed(trail.layers), reversed(self._rules), strict=True):
            weights = rule(entering[layer].flatten(1).unsqueeze(1), weights)
        heat = torch.matmul(weights, trail.as_map(features))
        return logits, explained.to(torch.int32), heat.reshape(-1, self.count, *trail.grid)


def _rule(layer: nn.Module) -> Rule:
    rule = rule_of(layer)
    if rule is None:
        raise TypeError(f"no gradient is known of {type(layer).__name__}, which the trail leads through")
    return rule
