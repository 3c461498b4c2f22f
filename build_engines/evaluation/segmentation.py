"""Mean intersection over union, and pixel accuracy, on masks of class numbers.

Counted over all pixels of all pictures together (Everingham et al., PASCAL VOC challenge, IJCV 2010, section 4.3). The
mean is over the classes that occur in the truth or in an answer, as mmsegmentation has it.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from build_engines.artifact import BuildFailure
from build_engines.evaluation.datasets import MaskPairs
from build_engines.evaluation.kinds import MaskValues
from build_engines.evaluation.names import indices_by_name, listed
from build_engines.evaluation.scorer import UnusableTruth
from contract.card import ModelCard
from contract.tasks.masks import RleMask, decode_rle
from contract.tasks.segment import SegmentParameters, SegmentResult, SegmentSettings

ClassMap = npt.NDArray[np.int64]

_CITYSCAPES = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""Cityscapes' own numbers of the 19 classes that are judged, in the order of their training numbers."""
_NOT_JUDGED = -1
_MOST = 256
_LABELS = 1 << 15
"""How many classes a class map of i16 can tell apart."""


class MaskScorer:
    """Counts which class of the truth was answered with which."""

    def __init__(self, data: MaskPairs, card: ModelCard) -> None:
        """Match the data set's classes with the card's labels; BuildFailure where that cannot be done."""
        self._pairs, self._values = data.pairs, data.values
        found = _matched(data, card)
        self._known = np.array([bool(indices) for indices in found])
        self._classes = len(found)
        self._by_label = np.full(max(_LABELS, len(card.labels)), self._classes)
        for number, indices in enumerate(found):
            self._by_label[list(indices)] = number
        self._background = SegmentSettings.model_validate(card.task_settings).background
        self._counts = np.zeros((self._classes, self._classes + 1), np.int64)
        self.paths: Sequence[Path] = [path for path, _ in data.pairs]
        self.parameters = SegmentParameters()
        self.notes = _notes(data, [bool(indices) for indices in found])

    def add(self, index: int, answer: SegmentResult) -> None:
        """Compare the answer with the mask, pixel by pixel; UnusableTruth for a mask that cannot be read."""
        truth = self._truth(self._pairs[index][1])
        given = self._given(answer)
        if truth.shape != given.shape:
            raise UnusableTruth(f"the mask is {_size(truth)} pixels, and the picture {_size(given)}")
        judged = truth >= 0
        pairs = truth[judged] * (self._classes + 1) + given[judged]
        self._counts += np.bincount(pairs, minlength=self._counts.size).reshape(self._counts.shape)

    def metrics(self) -> dict[str, float]:
        """``miou`` and ``pixel_accuracy``, in 0…1; none where no pixel was judged."""
        right = np.diag(self._counts)
        union = self._counts.sum(axis=1) + self._counts[:, : self._classes].sum(axis=0) - right
        if not union.any():
            return {}
        occurring = union > 0
        return {
            "miou": float((right[occurring] / union[occurring]).mean()),
            "pixel_accuracy": float(right.sum() / self._counts.sum()),
        }

    def _truth(self, path: Path) -> ClassMap:
        """The class of each pixel i64 [H,W] by the data set's numbers; `_NOT_JUDGED` where none is."""
        truth = classes_of(_read(path), self._values)
        if truth.max(initial=0) >= self._classes:
            raise UnusableTruth(
                f"the mask has the class {int(truth.max())}, and there are {self._classes} classes, from 0"
                f" (read as {self._values}; --mask-values says otherwise)"
            )
        truth[(truth >= 0) & ~self._known[truth]] = _NOT_JUDGED
        return truth

    def _given(self, answer: SegmentResult) -> ClassMap:
        """The class i64 [H,W] that was answered for each pixel, ``self._classes`` for any other or none.

        Of objects that overlap, the more certain one covers the other.
        """
        size = answer["image"]
        nothing = self._classes if self._background is None else self._by_label[self._background]
        given = np.full((size["height"], size["width"]), nothing, np.int64)
        for segment in reversed(answer["segments"]):
            mask: RleMask = segment["mask"]  # type: ignore[assignment]  # run lengths are asked for
            given[decode_rle(mask)] = self._by_label[segment["index"]]
        return given


def classes_of(mask: npt.NDArray[np.integer], values: MaskValues) -> ClassMap:
    """The class numbers i64 [H,W], from 0, that a mask's values mean; -1 where nothing is judged."""
    numbers = mask.astype(np.int64)
    match values:
        case MaskValues.ADE20K:
            return numbers - 1
        case MaskValues.CLASSES:
            return np.where(numbers == 255, _NOT_JUDGED, numbers)
        case MaskValues.CITYSCAPES:
            table = np.full(_MOST, _NOT_JUDGED, np.int64)
            table[list(_CITYSCAPES)] = range(len(_CITYSCAPES))
            return table[np.clip(numbers, 0, _MOST - 1)]


def _matched(data: MaskPairs, card: ModelCard) -> list[frozenset[int]]:
    """For each class of the data set the card's class numbers that mean it."""
    if data.names:
        found = indices_by_name(data.names, card.labels)
        if not any(found):
            raise BuildFailure(
                f"none of the {len(data.names)} classes is a label of {card.name}: {listed(data.names)}",
                "evaluate a model of these classes, or mend the names in classes.txt",
            )
        return found
    classes = data.classes or len(card.labels) or _MOST
    if card.labels and len(card.labels) != classes:
        raise BuildFailure(
            f"the data set has {classes} classes and {card.name} {len(card.labels)}; nothing says which is which",
            "put the names of the data set's classes into classes.txt beside them, a line each, in order",
        )
    return [frozenset({number}) for number in range(classes)]


def _notes(data: MaskPairs, known: list[bool]) -> list[str]:
    notes = [f"masks are read as {data.values}"]
    if not data.names:
        notes.append("the data set's class numbers are taken for the model's")
    if unknown := [name for name, there in zip(data.names, known, strict=False) if not there]:
        notes.append(f"classes without a label in the model, not judged: {listed(unknown)}")
    return notes


def _read(path: Path) -> npt.NDArray[np.integer]:
    """The numbers [H,W] of a mask; a palette's are its indices."""
    try:
        with Image.open(path) as image:
            mask = np.asarray(image)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise UnusableTruth("the mask cannot be read") from error
    if mask.ndim != 2 or not np.issubdtype(mask.dtype, np.integer):
        raise UnusableTruth(
            f"the mask has {mask.dtype} values of {mask.ndim} axes; it must hold a class number a pixel"
        )
    return mask


def _size(values: ClassMap) -> str:
    return f"{values.shape[1]} x {values.shape[0]}"
