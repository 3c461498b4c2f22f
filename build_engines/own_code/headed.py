"""A dense head on a user's own backbone, joined in the process that the backbone lives in."""

from pathlib import Path

from torch import nn

from build_engines import checkpoint
from build_engines.artifact import Artifact, Order, Weights, WeightsOrigin
from build_engines.catalog.entry import Entry
from build_engines.heads import pyramid as heads
from build_engines.sources import pyramid
from contract.preprocess import PreprocessSpec
from contract.repository import Repository


def has_backbone(weights: Weights) -> bool:
    """Whether a checkpoint holds backbone and head together, under ``backbone.`` and ``head.``."""
    return isinstance(weights, Path) and bool(checkpoint.part(checkpoint.read(weights), pyramid.BACKBONE))


def join(
    network: nn.Module, entry: Entry, weights: Weights, spec: PreprocessSpec, origin: WeightsOrigin
) -> tuple[nn.Module, Artifact]:
    """Backbone and head as one network; its outputs' names, where its weights come from, and warnings.

    The backbone gives maps f32 [B,C,h,w] of several strides as a tuple, list or mapping, or one map. BuildFailure if
    it does not, or if the weights do not fit.
    """
    # Nothing is written from here: the order says what to build, and the repository stays with the builder.
    order = Order(entry, Repository(Path()), weights)
    made = pyramid.of_network(network, spec.height, spec.width)
    joined = heads.attach(pyramid.loaded(Artifact(order, preprocess=spec), made, origin, ()))
    if not isinstance(joined.network, nn.Module):
        raise TypeError("a head is joined with networks of torch only")
    return joined.network, joined
