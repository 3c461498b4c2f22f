"""Top-1 and top-5 on a folder of pictures for each class."""

import re
from collections.abc import Sequence
from pathlib import Path

from build_engines.artifact import BuildFailure
from build_engines.evaluation.datasets import ClassFolders
from build_engines.evaluation.names import indices_by_name, listed
from build_engines.torchvision_operators import declare_missing
from contract.card import ModelCard
from contract.tasks.classify import ClassifyParameters, ClassifyResult

_WNID = re.compile(r"n\d{8}")
_TOP = 5
"""Keeps the declared operators alive; the builder's sources may have declared them before."""


class TopScorer:
    """Counts how often the right class is the best, or among the best five."""

    def __init__(self, data: ClassFolders, card: ModelCard) -> None:
        """Match the folders with the card's classes; BuildFailure where none matches."""
        classes = class_indices(data.classes, card)
        unknown = [name for name in data.classes if not classes[name]]
        if len(unknown) == len(data.classes):
            raise BuildFailure(
                f"none of the {len(data.classes)} folders is a class of {card.name}: {listed(unknown)}",
                "name the folders by the card's labels, by ImageNet's synsets (n02123045), or by class numbers",
            )
        self._pictures = [(path, classes[name]) for path, name in data.pictures if classes[name]]
        self._hits = {1: 0, _TOP: 0}
        self._seen = 0
        self.paths: Sequence[Path] = [path for path, _ in self._pictures]
        self.parameters = ClassifyParameters(top_k=_TOP)
        self.notes = [f"folders without a class in the model, left out: {listed(unknown)}"] if unknown else []

    def add(self, index: int, answer: ClassifyResult) -> None:
        """Look for the right class among the answer's."""
        right = self._pictures[index][1]
        found = [item["index"] in right for item in answer["classes"]]
        self._seen += 1
        for top in self._hits:
            self._hits[top] += any(found[:top])

    def metrics(self) -> dict[str, float]:
        """``top1`` and ``top5``, in 0…1."""
        return {f"top{top}": hits / self._seen for top, hits in self._hits.items()}


def class_indices(names: Sequence[str], card: ModelCard) -> dict[str, frozenset[int]]:
    """The class numbers that each folder's name stands for: by label, by ImageNet's synset, or by number.

    A number is taken for a class number only where no label is that number.
    """
    classes = card.outputs[0].shape[-1]
    synsets = _synsets(classes) if any(_WNID.fullmatch(name) for name in names) else {}
    by_label = dict(zip(names, indices_by_name(names, card.labels), strict=True))
    return {name: by_label[name] or _by_number(name, synsets, classes) for name in names}


def _by_number(name: str, synsets: dict[str, int], classes: int) -> frozenset[int]:
    if name in synsets:
        return frozenset({synsets[name]})
    index = int(name) if name.isascii() and name.isdigit() else classes
    return frozenset({index}) if index < classes else frozenset()


def _synsets(classes: int) -> dict[str, int]:
    """The class number of each synset, in that subset of ImageNet that has so many classes."""
    declare_missing()
    from timm.data.imagenet_info import ImageNetInfo, infer_imagenet_subset  # noqa: PLC0415  (brings torchvision)

    subset = infer_imagenet_subset({"num_classes": classes})
    if subset is None:
        return {}
    info = ImageNetInfo(subset)
    return {str(info.index_to_label_name(index)): index for index in range(classes)}
