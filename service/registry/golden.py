"""The last check before a version takes traffic: its own golden images must give its own golden outputs, here."""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from contract.preprocess import Pixels
from contract.tasks.classify import EXPLAINED
from contract.tasks.definition import Outputs
from contract.tasks.explain import aligned
from service.engines.base import Engine

_TOLERANCE = 1e-2
"""Relative l2 error over a tensor. Another processor rounds otherwise, and may move an extent by a cell of the map;
a wrong file, a wrong weight or a wrong order is far beyond."""
_EQUAL_SHARE = 0.99
"""Of integers (labels, class maps), so many must be equal."""


class GoldenMismatch(Exception):
    """The engine does not compute what the builder recorded."""


@dataclass(frozen=True, slots=True)
class Golden:
    """Recorded images uint8 [B, H, W, 3] and their outputs, batch first."""

    images: Pixels
    outputs: dict[str, npt.NDArray[Any]]

    @classmethod
    def read(cls, path: Path) -> "Golden":
        """Read ``golden.npz``; GoldenMismatch if it cannot be read, or records nothing."""
        try:
            with path.open("rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as archive:
                outputs = {
                    name.removeprefix("output."): archive[name] for name in archive.files if name.startswith("output.")
                }
                golden = cls(archive["images"], outputs)
        except OSError as error:
            # The error's own text holds the path, which is not the callers' business.
            raise GoldenMismatch(f"{path.name} cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise GoldenMismatch(f"{path.name} cannot be read: {error}") from error
        if not len(golden.images) or not golden.outputs:
            raise GoldenMismatch(f"{path.name} records nothing")
        return golden

    async def replay(self, engine: Engine) -> None:
        """Run the images, in batches that the engine offers; GoldenMismatch where an answer is another."""
        answers: list[Outputs] = []
        while (done := len(answers)) < len(self.images):
            size = max(size for size in engine.batch_sizes if size <= len(self.images) - done)
            answers += [answer.outputs for answer in await engine.infer(list(self.images[done : done + size]))]
        if missing := set(answers[0]) ^ set(self.outputs):
            raise GoldenMismatch(f"golden replay: {', '.join(sorted(missing))} is not both recorded and put out")
        if EXPLAINED in self.outputs:
            answers = self._aligned(answers)
        for name, expected in self.outputs.items():
            _compare(name, expected, np.stack([answer[name] for answer in answers]))

    def _aligned(self, answers: list[Outputs]) -> list[Outputs]:
        """The answers, where two equally probable classes are explained in the record's order.

        Which of them comes first may differ from processor to processor.
        """
        count = min(len(values) for values in self.outputs.values())
        recorded = [{name: values[slot] for name, values in self.outputs.items()} for slot in range(count)]
        # A record of another length than its images' is told of by the comparison.
        paired = zip(recorded, answers, strict=False)
        return [aligned(known, answer, _TOLERANCE) for known, answer in paired] + answers[len(recorded) :]

    async def warm_up(self, engine: Engine) -> None:
        """Run every batch size on offer once, so that none is slow for its first callers."""
        for size in engine.batch_sizes:
            await engine.infer([self.images[slot % len(self.images)] for slot in range(size)])


def _compare(name: str, expected: npt.NDArray[Any], actual: npt.NDArray[Any]) -> None:
    if expected.shape != actual.shape:
        raise GoldenMismatch(f"golden replay: {name} has shape {actual.shape}, recorded was {expected.shape}")
    if np.issubdtype(expected.dtype, np.integer):
        share = float(np.mean(expected == actual))
        if share < _EQUAL_SHARE:
            raise GoldenMismatch(f"golden replay: only {share:.1%} of {name} is as recorded")
        return
    reference = expected.astype(np.float64)
    error = float(np.linalg.norm(actual - reference)) / max(float(np.linalg.norm(reference)), 1e-12)
    if not error <= _TOLERANCE:
        raise GoldenMismatch(f"golden replay: {name} differs from the record by {error:.1e} (relative l2)")
