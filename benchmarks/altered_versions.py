"""Versions of a model whose weights were altered on purpose, to have something to compare and to send back."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import numpy_helper

from contract.card import ModelCard
from contract.repository import CARD, GOLDEN, LABELS, Repository

Weights = npt.NDArray[np.float32]


def as_int8(weights: Weights) -> Weights:
    """The weights as 8-bit integers hold them, symmetric, with one scale an output channel."""
    scale = np.abs(weights).max(axis=tuple(range(1, weights.ndim)), keepdims=True) / 127
    return np.round(weights / np.maximum(scale, 1e-12)).astype(np.int8).astype(np.float32) * scale


def shuffled(weights: Weights) -> Weights:
    """The weights, their output channels in another order: a model that runs and answers nonsense."""
    return weights[np.random.default_rng(0).permutation(len(weights))]


def write_altered(
    source: Path, repository: Repository, number: int, alter: Callable[[Weights], Weights], *, layers: slice
) -> None:
    """Write a version whose matrices and kernels, those of ``layers`` in their order, are altered.

    It records golden outputs of its own, as every version does: what they prove is that it runs as it was made.
    """
    card = ModelCard.model_validate_json((source / CARD).read_bytes())
    model = onnx.load(source / card.platform.filename)
    kernels = [tensor for tensor in model.graph.initializer if len(tensor.dims) > 1 and tensor.data_type == 1]
    for tensor in kernels[layers]:
        altered = alter(numpy_helper.to_array(tensor)).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(altered), tensor.name))
    notes = ("weights altered on purpose, for a measurement; the certificate is that of the version it was made from",)
    provenance = card.provenance.model_copy(update={"notes": notes})
    card = card.model_copy(update={"version": number, "provenance": provenance, "plans": ()})
    with repository.writing(card.name, number) as folder:
        content = model.SerializeToString()
        (folder / card.platform.filename).write_bytes(content)
        (folder / CARD).write_text(card.model_dump_json(indent=2))
        shutil.copy(source / LABELS, folder / LABELS)
        with np.load(source / GOLDEN) as golden:
            images = golden["images"]
        np.savez_compressed(folder / GOLDEN, images=images, **_outputs(content, card, images))


def _outputs(content: bytes, card: ModelCard, images: npt.NDArray[np.uint8]) -> dict[str, Any]:
    names = [output.name for output in card.outputs]
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    single = [session.run(names, {card.input.name: image[None]}) for image in images]
    return {f"output.{name}": np.concatenate([run[slot] for run in single]) for slot, name in enumerate(names)}
