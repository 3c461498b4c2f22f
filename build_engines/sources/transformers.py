"""A model of transformers, with weights from the hub, a local file or folder, or none."""

import copy
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import HfHubHTTPError
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoConfig, PreTrainedConfig
from transformers.utils import logging as library_logging

from build_engines import checkpoint, random_weights
from build_engines.artifact import Artifact, BuildFailure, Order, Step, WeightsOrigin
from build_engines.catalog.entry import PyramidHead, TransformersSource, at_resolution
from build_engines.sources import (
    hub,
    label_sets,
    package,
    position_embeddings,
    transformers_configuration,
    transformers_preprocess,
)
from build_engines.sources import pyramid as pyramids
from build_engines.sources.transformers_outputs import pyramid, wrap
from contract.preprocess import PreprocessSpec
from contract.task import Task

_SETTLING_BATCH = 4
_INTERPOLATES_ITSELF = {"yolos"}
"""Types whose `image_size` is the size of the stored position embeddings and not the input's."""
_UNREADABLE = (OSError, HfHubHTTPError, SafetensorError, ValueError)


def load(artifact: Artifact) -> Artifact:
    """Make the network in evaluation mode, load its weights, and say how its pixels are prepared.

    BuildFailure for an architecture, options, a size or weights that transformers cannot make a network of.
    """
    order = artifact.order
    source = _source(order)
    stated = _stated(order, source)
    preprocess, normalisation = _preprocess(order, source, stated)
    model, origin = _with_weights(order, source, stated, preprocess)
    network, names = wrap(
        order.entry.task, model, preprocess, str(source.options.get("answer", "")), head=order.entry.head
    )
    if isinstance(order.entry.head, PyramidHead):
        made = pyramids.of_network(network, preprocess.height, preprocess.width)
        prepared = artifact.having(preprocess=preprocess, normalisation=normalisation)
        return pyramids.loaded(prepared, made, origin, label_sets.of_head(order.entry, order.entry.head))
    # Some models hand a parameter to a module, which tools that count work cannot follow where it wants gradients.
    network.eval().requires_grad_(requires_grad=False)
    if not origin.trained:
        _settle(network, preprocess)
    return artifact.having(
        network=network,
        output_names=names,
        preprocess=preprocess,
        normalisation=normalisation,
        labels=() if order.entry.task is Task.EMBED else _labels(order, model.config),
        origin=origin,
    )


STEP = Step(
    "source",
    load,
    requires=(),
    ensures=("network", "output_names", "preprocess", "normalisation", "origin"),
)


def _source(order: Order) -> TransformersSource:
    if not isinstance(order.entry.source, TransformersSource):
        raise TypeError(f"{order.entry.name} does not come from transformers")
    return order.entry.source


def _stated(order: Order, source: TransformersSource) -> Any:
    """The configuration with its published size: the entry's, or that of a folder with weights."""
    if not (isinstance(order.weights, Path) and order.weights.is_dir()):
        return transformers_configuration.configuration_of(source)
    try:
        return AutoConfig.from_pretrained(order.weights, local_files_only=True)
    except _UNREADABLE as error:
        raise BuildFailure(
            f"{order.weights} is not a folder that save_pretrained() wrote: {error}",
            "it needs config.json and model.safetensors",
        ) from error


def _preprocess(order: Order, source: TransformersSource, stated: Any) -> tuple[PreprocessSpec, Any]:
    default, normalisation = transformers_preprocess.of_type(source.type, stated, order.entry.task)
    spec = order.entry.preprocess or default
    if order.resolution is not None:
        spec = at_resolution(spec, order.resolution)
    return spec, order.entry.normalisation or normalisation


def _with_weights(
    order: Order, source: TransformersSource, stated: Any, spec: PreprocessSpec
) -> tuple[Any, WeightsOrigin]:
    chosen = _class(order, source, stated)
    if order.weights == "random":
        network = _made(chosen, _sized(stated, spec))
        random_weights.fill(network)
        return network, WeightsOrigin("random", None, trained=False)
    if isinstance(order.weights, Path) and order.weights.is_dir():
        network = _loaded(chosen, order.weights, config=stated, local_files_only=True)
        return _at_size(chosen, network, spec), WeightsOrigin(order.weights.name, None, trained=True)
    if isinstance(order.weights, Path):
        return _from_file(chosen, order.weights, stated, spec)
    return _from_hub(chosen, order, spec)


def _class(order: Order, source: TransformersSource, stated: Any) -> Any:
    if order.entry.head is not None:
        pyramid.all_stages(stated)
        return pyramid.class_for(stated)
    return transformers_configuration.class_of(source, stated, order.entry.task)


def _from_file(chosen: Any, path: Path, stated: Any, spec: PreprocessSpec) -> tuple[Any, WeightsOrigin]:
    tensors = checkpoint.read(path)
    classes = tensors.get("classifier.bias")
    if classes is not None and classes.ndim == 1 and len(classes) != stated.num_labels:
        # A fine-tuned checkpoint brings its own number of classes.
        stated = copy.deepcopy(stated)
        stated.num_labels = len(classes)
    wanted = _made(chosen, stated).state_dict()
    fitted = position_embeddings.fitted(tensors, wanted, (spec.height, spec.width), (spec.height, spec.width))
    network = _loaded(chosen, None, config=stated, state_dict=fitted, file=path.name)
    return _at_size(chosen, network, spec), WeightsOrigin(path.name, package.digest(path), trained=True)


def _from_hub(chosen: Any, order: Order, spec: PreprocessSpec) -> tuple[Any, WeightsOrigin]:
    name = getattr(order.entry.weights, "id", None)
    if name is None:
        raise BuildFailure(
            f"{order.entry.name} names no weights on the hub, and transformers has no choice of its own",
            hub.LOCAL_ALTERNATIVES,
        )
    hub.require_reachable()
    network = _loaded(chosen, name, file=name)
    return _at_size(chosen, network, spec), WeightsOrigin(name, None, trained=True)


def _made(chosen: Any, configuration: Any) -> Any:
    """The class's model with the library's initial weights; BuildFailure if the configuration makes none."""
    torch.manual_seed(0)
    try:
        with _Quiet():
            return chosen._from_config(copy.deepcopy(configuration), attn_implementation="eager").eval()  # noqa: SLF001
    except (ValueError, TypeError, RuntimeError, AttributeError, KeyError, AssertionError) as error:
        raise BuildFailure(
            f"transformers cannot make {chosen.__name__} with this configuration: {error}",
            "correct the entry's options, or choose another --resolution",
        ) from error


def _loaded(chosen: Any, place: Path | str | None, *, file: str | None = None, **arguments: Any) -> Any:
    """The class's model with the weights found there, all of them; BuildFailure with a report if some are missing."""
    try:
        with _Quiet():
            network, report = chosen.from_pretrained(
                place,
                dtype=torch.float32,
                attn_implementation="eager",
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **arguments,
            )
    except _UNREADABLE as error:
        raise BuildFailure(f"the weights could not be loaded: {error}", hub.LOCAL_ALTERNATIVES) from error
    mismatched = [
        f"{name} is {tuple(found)} and should be {tuple(due)}" for name, found, due in report["mismatched_keys"]
    ]
    faults = {"missing": sorted(report["missing_keys"]), "of another size": sorted(mismatched)}
    told = [
        f"{len(names)} {what} ({', '.join(names[:5])}{' …' if names[5:] else ''})"
        for what, names in faults.items()
        if names
    ]
    if told:
        raise BuildFailure(
            f"{file or place} does not fit {chosen.__name__}: " + "; ".join(told),
            "choose the catalogue entry or 'transformers:TYPE' that the checkpoint was trained with",
        )
    return network.eval()


def _sized(configuration: PreTrainedConfig, spec: PreprocessSpec) -> Any:
    """A copy of the configuration for inputs of this size."""
    sized = copy.deepcopy(configuration)
    if sized.model_type not in _INTERPOLATES_ITSELF:
        transformers_configuration.set_size(sized, spec.height, spec.width)
    if spec.frames is not None and hasattr(sized, "num_frames"):
        sized.num_frames = spec.frames
    return sized


def _at_size(chosen: Any, network: Any, spec: PreprocessSpec) -> Any:
    """The same network for inputs of this size, its position embeddings interpolated where it has such."""
    before = transformers_configuration.image_size(network.config) or (spec.height, spec.width)
    sized = _sized(network.config, spec)
    if sized.to_dict() == network.config.to_dict():
        return network
    resized = _made(chosen, sized)
    tensors: Mapping[str, Tensor] = network.state_dict()
    fitted = position_embeddings.fitted(tensors, resized.state_dict(), before, (spec.height, spec.width))
    checkpoint.load(resized, fitted, f"the checkpoint at {spec.height} x {spec.width}", "by_name")
    return resized


def _settle(network: nn.Module, spec: PreprocessSpec) -> None:
    shape = spec.input_shape
    pixels = (_SETTLING_BATCH, *shape[:-3], shape[-1], *shape[-3:-1])
    try:
        random_weights.settle(network, pixels)
    except (RuntimeError, ValueError, AssertionError, IndexError) as error:
        raise BuildFailure(
            f"the network does not run at {spec.height} x {spec.width}: {error}",
            "choose another --resolution (many networks want a multiple of 32)",
        ) from error


def _labels(order: Order, configuration: Any) -> tuple[str, ...]:
    labels = order.entry.labels
    if isinstance(labels, tuple):
        return labels
    if labels is not None:
        return label_sets.labels_for(labels, int(configuration.num_labels))
    own = [str(label) for _, label in sorted((getattr(configuration, "id2label", None) or {}).items())]
    return () if all(label.startswith("LABEL_") for label in own) else tuple(own)


class _Quiet:
    """The library's remarks on loading are kept back: what matters of them becomes a BuildFailure."""

    def __enter__(self) -> None:
        self._before = library_logging.get_verbosity()
        library_logging.set_verbosity(logging.CRITICAL)

    def __exit__(self, *_: object) -> None:
        library_logging.set_verbosity(self._before)
