"""Fold branches that training needed into one convolution each.

RepVGG (Ding et al., 2021, section 3.3) and what followed it (MobileOne, FastViT, RepViT, GhostNetV3) train with
parallel branches whose sum is, once the statistics of their batch normalisations are fixed, a single convolution. The
smaller network computes the same; the certificate is made against the larger one.
"""

from timm.utils.model import reparameterize_model
from torch import nn

from build_engines.artifact import Artifact, Step


def reparameterise(artifact: Artifact) -> Artifact:
    """The folded network, with the one as it came for reference; nothing changes where there is nothing to fold."""
    network = artifact.network
    if not isinstance(network, nn.Module):
        return artifact
    folded = reparameterize_model(network)
    if _size(folded) == _size(network):
        return artifact
    note = f"Branches for training are folded: {_size(network):,} parameters became {_size(folded):,}."
    return artifact.having(network=folded.eval(), reference=network, notes=(*artifact.notes, note))


STEP = Step("reparameterise", reparameterise, requires=("network",), ensures=("network",))


def _size(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
