"""One version as it is served: an image file's bytes → the task's answer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from build_engines.artifact import BuildFailure
from build_engines.onnx_session import ENGINE_ERRORS, open_version, said
from contract.card import ModelCard, Platform
from contract.image import ImageTooLarge, InvalidImage, decode
from contract.preprocess import Geometry, Pixels, preprocess
from contract.repository import Repository, RepositoryError
from contract.tasks.definition import Parameters, UnusableOutput
from contract.tasks.table import TASKS


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A picture that could not be answered for, and why."""

    path: Path
    reason: str


class ServedModel:
    """A version of the repository, in ONNX Runtime on the CPU."""

    def __init__(self, repository: Repository, card: ModelCard, threads: int) -> None:
        """Open the version's file; BuildFailure where it is none of ONNX Runtime's, or cannot be loaded."""
        if card.platform is Platform.TENSORRT:
            raise BuildFailure(
                f"{card.name}:{card.version} is {card.platform}, and only ONNX files are evaluated",
                "evaluate the ONNX version that it was compiled from",
            )
        self.card = card
        self._definition = TASKS[card.task]
        self._settings = self._definition.settings.model_validate(card.task_settings)
        self._names = [output.name for output in card.outputs]
        self._session = open_version(
            repository.version_path(card.name, card.version) / card.platform.filename, threads=threads
        )

    def answers(
        self, paths: Sequence[Path], parameters: Parameters, batch_size: int
    ) -> Iterator[tuple[int, Any | Unreadable]]:
        """The answer to each picture, in order, with its place in ``paths``; Unreadable for one that cannot be decoded.

        Batches have the certified sizes up to ``batch_size``. Raises BuildFailure where the engine fails, or puts out
        what no answer can be made of.
        """
        waiting: list[tuple[int, Pixels, Geometry]] = []
        for index, path in enumerate(paths):
            try:
                data = path.read_bytes()
                pixels, geometry = preprocess(decode(data, trimap=self.card.preprocess.trimap), self.card.preprocess)
            except OSError as error:
                yield index, Unreadable(path, error.strerror or "it cannot be read")
                continue
            except (InvalidImage, ImageTooLarge) as error:
                yield index, Unreadable(path, str(error))
                continue
            waiting.append((index, pixels, geometry))
            if len(waiting) >= batch_size:
                yield from self._run(waiting, paths, parameters, batch_size)
                waiting = []
        yield from self._run(waiting, paths, parameters, batch_size)

    def outputs(self, images: Pixels, batch_size: int) -> Iterator[Mapping[str, np.ndarray[Any, Any]]]:
        """The raw outputs for each of the prepared images uint8 [K,H,W,3], in certified batches; see `answers`."""
        start = 0
        for size in batches(len(images), self.card.batch_sizes, batch_size):
            tensors = self._infer(images[start : start + size])
            start += size
            for slot in range(size):
                yield {name: values[slot] for name, values in zip(self._names, tensors, strict=True)}

    def _run(
        self, waiting: list[tuple[int, Pixels, Geometry]], paths: Sequence[Path], parameters: Parameters, limit: int
    ) -> Iterator[tuple[int, Any]]:
        start = 0
        for size in batches(len(waiting), self.card.batch_sizes, limit):
            part = waiting[start : start + size]
            start += size
            outputs = self._infer(np.stack([pixels for _, pixels, _ in part]))
            for slot, (index, _, geometry) in enumerate(part):
                yield index, self._answer([output[slot] for output in outputs], geometry, paths[index], parameters)

    def _infer(self, batch: Pixels) -> list[np.ndarray[Any, Any]]:
        try:
            return list(self._session.run(self._names, {self.card.input.name: batch}))
        except ENGINE_ERRORS as error:
            raise BuildFailure(
                f"the engine failed on a batch of {len(batch)}: {said(error)}", "build the model again"
            ) from error

    def _answer(
        self, tensors: Sequence[np.ndarray[Any, Any]], geometry: Geometry, path: Path, parameters: Parameters
    ) -> Any:
        outputs = dict(zip(self._names, tensors, strict=True))
        try:
            return self._definition.postprocess(outputs, geometry, self.card, self._settings, parameters)
        except UnusableOutput as error:
            raise BuildFailure(f"{path.name}: {error}", "look at the model's weights and precision") from error


def read_card(repository: Repository, reference: str) -> ModelCard:
    """The card of ``name`` (its newest version) or ``name:version``; BuildFailure where there is none."""
    name, _, number = reference.partition(":")
    try:
        versions = repository.versions(name)
        if not versions:
            there = ", ".join(repository.models()) or "none"
            raise BuildFailure(
                f"the repository {repository.root} has no model {name!r}",
                f"name one of its models ({there}), or build it",
            )
        if number and number not in map(str, versions):
            raise BuildFailure(f"{name} has no version {number}", f"its versions: {', '.join(map(str, versions))}")
        return repository.read_card(name, int(number) if number else versions[-1])
    except RepositoryError as error:
        raise BuildFailure(str(error), "name a model of the repository, as NAME or NAME:VERSION") from error


def batches(count: int, certified: Sequence[int], limit: int) -> list[int]:
    """Certified batch sizes, none above ``limit``, that add up to ``count``, the largest first."""
    sizes: list[int] = []
    for size in sorted((size for size in certified if size <= max(limit, 1)), reverse=True):
        sizes += [size] * ((count - sum(sizes)) // size)
    return sizes
