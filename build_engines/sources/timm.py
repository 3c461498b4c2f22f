"""A model of timm, with weights from a package, the hub, a local file, or none."""

import math
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import timm
from huggingface_hub.errors import HfHubHTTPError
from timm.data.config import resolve_data_config
from torch import nn

from build_engines import checkpoint, random_weights
from build_engines.artifact import Artifact, BuildFailure, Order, Step, WeightsOrigin
from build_engines.catalog.entry import Normalisation, PyramidHead, TimmSource, at_resolution
from build_engines.sources import hub, imagenet, label_sets, package, pyramid
from contract.preprocess import Interpolation, PreprocessSpec, Resize
from contract.task import Task

_OUTPUTS = {Task.CLASSIFY: ("probabilities",), Task.EMBED: ("embedding",)}


def load(artifact: Artifact) -> Artifact:
    """Make the network in evaluation mode, load its weights, and say how its pixels are prepared."""
    order = artifact.order
    network, origin = _with_weights(order)
    stated = resolve_data_config(model=network)  # type: ignore[no-untyped-call]  # timm's types are partial
    preprocess = _preprocess(order, stated)
    classes = int(network.num_classes)
    if isinstance(order.entry.head, PyramidHead):
        prepared = artifact.having(preprocess=preprocess, normalisation=_normalisation(order, stated))
        made = pyramid.of_timm(network, preprocess.height, preprocess.width)
        return pyramid.loaded(prepared, made, origin, label_sets.of_head(order.entry, order.entry.head))
    if order.entry.task is Task.EMBED and not _projects_to_text(network):
        network.reset_classifier(0)
    network.eval()
    if not origin.trained:
        pixels = (4, 3, preprocess.height, preprocess.width)
        random_weights.settle(network, pixels)
        if order.entry.task is Task.CLASSIFY:
            random_weights.temper(network, _classifiers(network), pixels)
    return artifact.having(
        network=network,
        output_names=_OUTPUTS.get(order.entry.task, ("logits",)),
        preprocess=preprocess,
        normalisation=_normalisation(order, stated),
        labels=imagenet.labels_for(classes) if order.entry.labels else (),
        origin=origin,
    )


def _normalisation(order: Order, stated: dict[str, Any]) -> Normalisation:
    return order.entry.normalisation or Normalisation(mean=stated["mean"], std=stated["std"])


STEP = Step(
    "source",
    load,
    requires=(),
    ensures=("network", "output_names", "preprocess", "normalisation", "origin"),
)


@dataclass(frozen=True, slots=True)
class _Architecture:
    """What to create; ``size`` only for the networks that are made for one size."""

    name: str
    size: int | None
    options: dict[str, Any] = field(default_factory=dict)

    def create(self, *, pretrained: bool = False, classes: int | None = None) -> Any:
        """The network; a network of timm has attributes that no common type declares."""
        options: dict[str, Any] = {} if classes is None else {"num_classes": classes}
        if self.size is not None:
            options["img_size"] = self.size
        options |= self.options
        return timm.create_model(self.name, pretrained=pretrained, **options)


def _with_weights(order: Order) -> tuple[Any, WeightsOrigin]:
    source = order.entry.source
    if not isinstance(source, TimmSource):
        raise TypeError(f"{order.entry.name} does not come from timm")
    if not timm.is_model(source.model):
        near = ", ".join(get_close_matches(source.model, timm.list_models(), n=3))
        remedy = f"did you mean {near}?" if near else "see timm's documentation for its models"
        raise BuildFailure(f"timm {timm.__version__} has no model {source.model!r}", remedy)
    configuration = timm.get_pretrained_cfg(source.model)
    fixed = configuration is not None and configuration.fixed_input_size
    architecture = _Architecture(source.model, _side(order) if fixed else None, source.options)
    if order.weights == "random":
        network = architecture.create()
        random_weights.fill(network)
        return network, WeightsOrigin("random", None, trained=False)
    if isinstance(order.weights, Path):
        return _from_checkpoint(architecture, order.weights, joined=isinstance(order.entry.head, PyramidHead))
    if order.entry.weights.kind == "package":
        path, origin = package.locate(order.entry.weights)
        network = architecture.create()
        checkpoint.load(network, checkpoint.read(path), path.name, order.entry.weights.mapping)
        return network, origin
    return _from_hub(architecture)


def _side(order: Order) -> int | None:
    """The input's side, where it is not the architecture's own."""
    if order.resolution is None and isinstance(order.entry.head, PyramidHead) and order.entry.preprocess:
        return order.entry.preprocess.height
    return order.resolution


def _from_checkpoint(architecture: _Architecture, path: Path, *, joined: bool) -> tuple[Any, WeightsOrigin]:
    tensors = checkpoint.read(path)
    network = architecture.create()
    origin = WeightsOrigin(path.name, package.digest(path), trained=True)
    if joined and checkpoint.part(tensors, pyramid.BACKBONE):
        # The names are those of a pyramid, which is still to be made of the network.
        return network, origin
    bias = tensors.get(f"{network.pretrained_cfg.get('classifier')}.bias")
    if bias is not None and len(bias) != network.num_classes:
        # A fine-tuned checkpoint brings its own number of classes.
        network = architecture.create(classes=len(bias))
    checkpoint.load(network, tensors, path.name, "by_name")
    return network, origin


def _from_hub(architecture: _Architecture) -> tuple[Any, WeightsOrigin]:
    configuration = timm.get_pretrained_cfg(architecture.name)
    if configuration is None or not configuration.has_weights:
        raise BuildFailure(f"timm publishes no weights for {architecture.name}", hub.LOCAL_ALTERNATIVES)
    hub.require_reachable()
    try:
        network = architecture.create(pretrained=True)
    except (OSError, HfHubHTTPError) as error:
        raise BuildFailure(f"the weights could not be fetched: {error}", hub.LOCAL_ALTERNATIVES) from error
    origin = network.pretrained_cfg.get("hf_hub_id") or network.pretrained_cfg.get("url")
    return network, WeightsOrigin(str(origin), None, trained=True)


def _preprocess(order: Order, stated: dict[str, Any]) -> PreprocessSpec:
    spec = order.entry.preprocess or _as_timm_does(stated)
    return spec if order.resolution is None else at_resolution(spec, order.resolution)


def _as_timm_does(stated: dict[str, Any]) -> PreprocessSpec:
    """The evaluation transform of timm as a spec; BuildFailure for one that the contract cannot express."""
    _, height, width = stated["input_size"]
    crop, mode, interpolation = stated["crop_pct"], stated["crop_mode"], stated["interpolation"]
    known_way = mode == "center" or (mode == "squash" and crop == 1.0)
    if interpolation not in set(Interpolation) or height != width or not known_way:
        raise BuildFailure(
            f"timm prepares images for this model in a way that is not supported: {interpolation}, {mode}, "
            f"{height} x {width}",
            "add a catalogue entry that states its preprocess",
        )
    if mode == "squash":
        return PreprocessSpec(height=height, width=width, resize=Resize.STRETCH, interpolation=interpolation)
    return PreprocessSpec(
        height=height,
        width=width,
        resize=Resize.SHORTEST_EDGE,
        shortest_edge=math.floor(height / crop),
        interpolation=interpolation,
    )


def _projects_to_text(network: Any) -> bool:
    """Whether the last layer is no classifier but leads into the space that a contrastive text encoder shares."""
    stated = network.pretrained_cfg
    contrastive = "clip" in f"{stated.get('architecture')}.{stated.get('tag')}"
    return contrastive and not imagenet.labels_for(int(network.num_classes))


def _classifiers(network: Any) -> tuple[nn.Module, ...]:
    """The last layers; networks that were distilled have two."""
    found = network.get_classifier()
    return tuple(found) if isinstance(found, tuple | list | nn.ModuleList) else (found,)
