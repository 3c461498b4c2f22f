"""The answer for a whole video of clips: the mean of its windows' probabilities, kept on disk with them.

Averaging the probabilities of several clips is how video classifiers are evaluated (e.g. VideoMAE, arXiv 2203.12602).
"""

import hashlib
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import orjson

from contract.card import ModelCard
from contract.preprocess import Floats
from service.video.disk import on_disk
from service.video.results_file import ResultsFile

_PARTS = 1_000_000
"""Scores are given to a millionth, and summed in whole ones: so the sum is exact in any order, also after a restart."""

Sums = npt.NDArray[np.int64]


class ClipMean:
    """The running mean of one job; a file has one line a window, with all its scores.

    The file is written before the job's own line is, so that after a crash no window is missing in it. A window that
    is answered a second time then counts as it did the first time.
    """

    def __init__(self, path: Path, card: ModelCard) -> None:
        """For the answers of that version. ``open`` is still to be called, and ``close`` at the end."""
        self._path, self._classes = path, card.outputs[0].shape[-1]
        self._labels = hashlib.sha256(orjson.dumps(card.labels)).hexdigest()[:16]
        self._file = ResultsFile(path)
        self._sums: Sums = np.zeros(self._classes, np.int64)
        self.windows = 0
        """That are in the mean."""
        self.others = 0
        """That are not, for a version with other classes answered them."""

    async def __aenter__(self) -> Self:
        await self._file.open()
        await on_disk(self._read)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._file.close()

    async def add(self, frame: int, classes: list[dict[str, Any]]) -> None:
        """Add all classes of the window that begins with that frame, unless that has been done; frames rise.

        Raises:
            ServiceError: overloaded, where the disk is full.
        """
        if self._file.last_frame is not None and frame <= self._file.last_frame:
            return
        scores: Sums = np.zeros(self._classes, np.int64)
        scores[[item["index"] for item in classes]] = [round(item["score"] * _PARTS) for item in classes]
        await self._file.append([{"frame": frame, "labels": self._labels, "scores": scores}])
        self._sums += scores
        self.windows += 1

    def mean(self) -> Floats:
        """Probabilities f32 [C]; zeros as long as there is no window."""
        mean: Floats = (self._sums / (max(1, self.windows) * _PARTS)).astype(np.float32)
        return mean

    def _read(self) -> None:
        with self._path.open("rb") as file:
            for text in file:
                line = orjson.loads(text)
                if line["labels"] == self._labels and len(line["scores"]) == self._classes:
                    self._sums += np.array(line["scores"], np.int64)
                    self.windows += 1
                else:
                    self.others += 1
