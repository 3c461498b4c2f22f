"""The evaluation itself: data set and version → figures, and figures → card."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from build_engines.artifact import BuildFailure
from build_engines.evaluation.classification import TopScorer
from build_engines.evaluation.datasets import DataSet
from build_engines.evaluation.detection import CocoScorer
from build_engines.evaluation.kinds import Kind
from build_engines.evaluation.scorer import Scorer, UnusableTruth
from build_engines.evaluation.segmentation import MaskScorer
from build_engines.evaluation.served import ServedModel, Unreadable
from contract.card import Evaluation, ModelCard
from contract.repository import Repository, RepositoryError
from contract.task import Task

_SCORERS: dict[tuple[Task, Kind], Callable[[Any, ModelCard], Scorer]] = {
    (Task.CLASSIFY, Kind.CLASSES): TopScorer,
    (Task.DETECT, Kind.COCO): CocoScorer,
    (Task.SEGMENT, Kind.COCO): CocoScorer,
    (Task.SEGMENT, Kind.MASKS): MaskScorer,
}
"""How a model of a task is scored on a data set of a kind; what is not here cannot be."""

Advance = Callable[[int, int], None]
"""Hears of progress: pictures done, and pictures in all."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an evaluation found."""

    metrics: dict[str, float]
    images: int
    """How many pictures the figures are over."""
    total: int
    """How many the data set has."""
    unreadable: tuple[Unreadable, ...]
    notes: tuple[str, ...]


def evaluate(
    model: ServedModel, data: DataSet, batch_size: int, limit: int | None = None, advance: Advance | None = None
) -> Outcome:
    """Ask the model about every picture, or about ``limit`` of them spread evenly, and compare with the truth.

    Raises BuildFailure where the task or the data set's classes do not fit the model, or no picture can be read.
    """
    scorer = _scorer(data, model.card)
    chosen = spread(len(scorer.paths), limit)
    paths = [scorer.paths[index] for index in chosen]
    unreadable: list[Unreadable] = []
    for done, (place, answer) in enumerate(model.answers(paths, scorer.parameters, batch_size), 1):
        if isinstance(answer, Unreadable):
            unreadable.append(answer)
        else:
            try:
                scorer.add(chosen[place], answer)
            except UnusableTruth as error:
                unreadable.append(Unreadable(paths[place], str(error)))
        if advance is not None:
            advance(done, len(paths))
    if len(unreadable) == len(paths):
        raise _nothing_read(unreadable)
    metrics = scorer.metrics()
    if not metrics:
        raise BuildFailure("the data set judges no pixel of these pictures", "look at its masks, and at --mask-values")
    return Outcome(metrics, len(paths) - len(unreadable), len(scorer.paths), tuple(unreadable), tuple(scorer.notes))


def write_result(repository: Repository, card: ModelCard, outcome: Outcome, dataset: str) -> ModelCard:
    """Put the figures into the version's card, in place of earlier ones of the same metric on the same data set.

    The card is read anew, for an evaluation may last hours. BuildFailure where it cannot be written.
    """
    try:
        present = repository.read_card(card.name, card.version)
        changed = present.model_copy(update={"evaluation": merged(present.evaluation, outcome, dataset)})
        repository.rewrite_card(card.name, card.version, changed)
    except (RepositoryError, OSError) as error:
        raise BuildFailure(
            f"the card cannot be written: {error}", "look at the repository's disk and rights"
        ) from error
    return changed


def merged(earlier: Sequence[Evaluation], outcome: Outcome, dataset: str) -> tuple[Evaluation, ...]:
    """The earlier figures but for those that are replaced, and then the new ones."""
    now = datetime.now(UTC)
    new = tuple(
        Evaluation(metric=metric, value=round(value, 6), dataset=dataset, images=outcome.images, evaluated_at=now)
        for metric, value in outcome.metrics.items()
    )
    replaced = {(item.metric, item.dataset) for item in new}
    return tuple(item for item in earlier if (item.metric, item.dataset) not in replaced) + new


def spread(count: int, limit: int | None) -> list[int]:
    """The places of at most ``limit`` of ``count`` items, evenly spread: the first pictures are often of one class."""
    if limit is None or limit >= count:
        return list(range(count))
    return [place * count // limit for place in range(limit)]


def _scorer(data: DataSet, card: ModelCard) -> Scorer:
    make = _SCORERS.get((card.task, data.kind))
    if make is not None:
        return make(data, card)
    kinds = [str(kind) for task, kind in _SCORERS if task is card.task]
    if not kinds:
        tasks = ", ".join(dict.fromkeys(str(task) for task, _ in _SCORERS))
        raise BuildFailure(
            f"{card.name} is a model for {card.task}, which cannot be evaluated",
            f"evaluate a model for one of: {tasks}",
        )
    raise BuildFailure(
        f"{card.name} is a model for {card.task}, and the data set is of the kind {data.kind}",
        f"give a data set of the kind {' or '.join(kinds)}",
    )


def _nothing_read(unreadable: Sequence[Unreadable]) -> BuildFailure:
    if not unreadable:
        return BuildFailure("the data set has no pictures", "look at the folder that --data names")
    first: Path = unreadable[0].path
    return BuildFailure(
        f"none of the {len(unreadable)} pictures could be used; {first.name}: {unreadable[0].reason}",
        "look at the pictures, and at the folder that --data names",
    )
