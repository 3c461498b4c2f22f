"""Plans for versions that are in a repository already; what is up to date is passed over, so that it can be resumed."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from build_engines.artifact import BuildFailure
from build_engines.compile.builder import Options, open_for
from build_engines.compile.engines import EngineName, plan_file
from build_engines.compile.listening import Progress
from build_engines.compile.step import Reference, fingerprint, fingerprint_of, make_plan, noise
from contract.card import ModelCard, Plan, Platform
from contract.preprocess import Pixels
from contract.repository import GOLDEN, Repository, RepositoryError

Begins = Callable[[str], None]
"""Hears the name of a version whose turn it is."""


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one version's plan."""

    model: str
    version: int
    outcome: str
    """``built``, ``up to date`` or ``failed``."""
    seconds: float
    size: int | None = None
    """Bytes of the plan."""
    plan: Plan | None = None
    reason: str | None = None
    remedy: str | None = None


def compile_repository(
    repository: Repository,
    names: Sequence[str],
    engine: EngineName,
    options: Options,
    reference: Reference,
    begins: Begins = lambda _: None,
    progress: Progress | None = None,
) -> Iterator[Row]:
    """Make the plans of these models' newest versions (``NAME``, or ``NAME:VERSION``; none: all models), one by one.

    A plan is written into the version's folder, and its card says so. One version's failure is a row, and the next
    follows; BuildFailure only where the engine's library does not load or lacks an option, or where a name stands for
    nothing.
    """
    open_for(engine, options)
    for model, version in _chosen(repository, names):
        begins(f"{model}:{version}")
        start = time.perf_counter()
        try:
            outcome, plan, size = _compile_version(repository, model, version, engine, options, reference, progress)
            yield Row(model, version, outcome, time.perf_counter() - start, size, plan)
        except BuildFailure as failure:
            spent = time.perf_counter() - start
            yield Row(model, version, "failed", spent, reason=failure.reason, remedy=failure.remedy)
        except (RepositoryError, OSError) as error:
            spent = time.perf_counter() - start
            yield Row(model, version, "failed", spent, reason=str(error), remedy="check the repository and its disk")


def _chosen(repository: Repository, names: Sequence[str]) -> list[tuple[str, int]]:
    found = []
    for name in names or repository.models():
        model, _, number = name.partition(":")
        try:
            versions = repository.versions(model)
        except RepositoryError as error:
            raise BuildFailure(str(error), "`vitrail-build list` shows the names") from error
        if not versions or (number and number not in map(str, versions)):
            raise BuildFailure(f"there is no {name} in the repository", "build it first")
        found.append((model, int(number or versions[-1])))
    return found


def _compile_version(
    repository: Repository,
    model: str,
    version: int,
    engine: EngineName,
    options: Options,
    reference: Reference,
    progress: Progress | None,
) -> tuple[str, Plan, int]:
    """Outcome, plan and size in bytes."""
    card = repository.read_card(model, version)
    folder = repository.version_path(model, version)
    if card.platform is Platform.TENSORRT:
        raise BuildFailure(f"{model}:{version} is no ONNX file, but {card.platform}", "compile an ONNX version")
    file = folder / plan_file(engine)
    present = next((plan for plan in card.plans if plan.file == file.name), None)
    graph = onnx.load(folder / Platform.ONNX.filename)
    mark = fingerprint(graph, engine, card.batch_sizes, options)
    if present is not None and file.is_file() and fingerprint_of(present) == mark:
        return "up to date", present, file.stat().st_size
    pictures = _pictures(folder, card)
    plan, content = make_plan(graph, card.task, engine, card.batch_sizes, pictures, options, reference, progress)
    others = tuple(plan for plan in card.plans if plan.file != file.name)
    if present is not None:
        # The card must not hold the old plan's certificate beside the new plan, however this ends.
        repository.rewrite_card(model, version, card.model_copy(update={"plans": others}))
    repository.put_file(model, version, file.name, content)
    repository.rewrite_card(model, version, card.model_copy(update={"plans": (*others, plan)}))
    return "built", plan, len(content)


def _pictures(folder: Path, card: ModelCard) -> Pixels:
    """The version's golden images, and noise beside them: certifying every slot takes several."""
    with np.load(folder / GOLDEN, allow_pickle=False) as arrays:
        golden = arrays[card.input.name]
    return np.concatenate([golden, noise(golden.shape[1:])])
