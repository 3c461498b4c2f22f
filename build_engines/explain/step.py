"""Give a classifier two more outputs: its most probable classes, and for each of them where it is seen."""

from dataclasses import dataclass

import torch
from pydantic import JsonValue
from torch import Tensor, nn

from build_engines import random_weights
from build_engines.artifact import Artifact, BuildFailure, Step, known
from build_engines.explain.by_autograd import ActivationMapsByAutograd, AttentionSensitivityByAutograd
from build_engines.explain.cam import ActivationMaps
from build_engines.explain.legrad import AttentionSensitivity, Layer, layers_of
from build_engines.explain.recording import recorded
from build_engines.explain.trail import Pooling, find
from contract.preprocess import PreprocessSpec
from contract.tasks.classify import EXPLAINED, HEAT, ExplanationMethod

NAMES = ("probabilities", EXPLAINED, HEAT)
MOST_CLASSES = 5
"""How many of the most probable classes are explained."""

_NOTES = {
    ExplanationMethod.CAM: "Heat maps by class activation mapping (Zhou et al., 2016).",
    ExplanationMethod.GRAD_CAM: "Heat maps by Grad-CAM at the last features (Selvaraju et al., 2017).",
    ExplanationMethod.LEGRAD: "Heat maps by LeGrad over all layers (Bousselham et al., 2024).",
}
_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Explanation:
    """A network that explains itself, and one that does the same by automatic differentiation."""

    network: nn.Module
    """Pixels f32 [B,3,H,W], normalised → logits f32 [B,C], explained i32 [B,K], heat f32 [B,K,h,w]."""
    by_autograd: nn.Module
    method: ExplanationMethod

    @property
    def note(self) -> str:
        """The method, for a reader of the card."""
        return _NOTES[self.method]

    @property
    def task_settings(self) -> dict[str, JsonValue]:
        """The method, for the card's task settings."""
        return {"explanation": str(self.method)}


def explanation_of(network: nn.Module, spec: PreprocessSpec) -> Explanation:
    """A classifier with heat maps; BuildFailure if its structure is none of those that can be explained."""
    pixels = random_weights.pictures((2, 3, spec.height, spec.width))
    trail = find(network, pixels)
    if trail is None:
        raise _unknown("its logits are not found to come of pooled features by one linear layer")
    count = min(MOST_CLASSES, len(trail.rows))
    explained: ActivationMaps | AttentionSensitivity
    by_autograd: ActivationMapsByAutograd | AttentionSensitivityByAutograd
    layers = layers_of(network) if trail.pooling in {Pooling.FIRST_TOKEN, Pooling.TOKENS} else ()
    if layers and trail.pooling is Pooling.TOKENS:
        raise _unknown("it is a vision transformer that averages its tokens instead of reading a class token")
    if trail.pooling is Pooling.FIRST_TOKEN:
        if not layers:
            raise _unknown("its logits come of one token, and its layers are not those of a plain vision transformer")
        explained = AttentionSensitivity(network, trail, layers, count)
        by_autograd = AttentionSensitivityByAutograd(network, trail, layers, count)
        _require_ending(network, by_autograd, layers, pixels)
    else:
        explained = ActivationMaps(network, trail, count)
        by_autograd = ActivationMapsByAutograd(network, trail, count)
    found = Explanation(explained.eval(), by_autograd.eval(), explained.method)
    _require_alike(found, pixels)
    return found


def attach(artifact: Artifact) -> Artifact:
    """Explain the network, and have it certified against its explanation by automatic differentiation."""
    network, spec = artifact.network, known(artifact.preprocess)
    if not isinstance(network, nn.Module):
        raise TypeError("a network that runs elsewhere is explained there")
    found = explanation_of(network, spec)
    reference = found if artifact.reference is None else explanation_of(artifact.reference, spec)
    return artifact.having(
        network=found.network,
        reference=reference.by_autograd,
        output_names=NAMES,
        notes=(*artifact.notes, found.note),
        task_settings=found.task_settings,
    )


STEP = Step("explain", attach, requires=("network", "preprocess"), ensures=("network", "reference", "output_names"))


def _require_ending(
    network: nn.Module, explained: AttentionSensitivityByAutograd, layers: tuple[Layer, ...], pixels: Tensor
) -> None:
    """BuildFailure unless the tokens of the last layer, classified as those of any layer are, give the logits."""
    with torch.inference_mode(), recorded((layers[-1].block,)) as calls:
        logits = network(pixels)
        same = bool(calls) and torch.allclose(explained.classified(calls[-1].leaving), logits, _TOLERANCE, _TOLERANCE)
    if not same:
        raise _unknown("between its last layer and its classifier stands more than a layer normalisation")


def _require_alike(found: Explanation, pixels: Tensor) -> None:
    """BuildFailure unless the maps are those of automatic differentiation: what only looks alike is not explained."""
    try:
        with torch.inference_mode():
            heat, expected = found.network(pixels)[2], found.by_autograd(pixels)[2]
    except (RuntimeError, LookupError, AttributeError, TypeError) as error:
        raise _unknown("its layers bear the names of a vision transformer's, and are others") from error
    if not bool((heat - expected).abs().max() <= _TOLERANCE * expected.abs().max()):
        raise _unknown("its layers do more than their names say")


def _unknown(reason: str) -> BuildFailure:
    return BuildFailure(
        f"the network's structure cannot be explained: {reason}",
        "choose a network whose last features are averaged and classified by one linear layer (most convolutional and "
        "hierarchical ones), or a vision transformer with a class token, as ViT or DeiT; or build without --explain",
    )
