"""What is known of each version that is compared, as its card says it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from contract.card import Evaluation, Measurement, ModelCard, Plan
from contract.repository import Repository, RepositoryError

_HEADLINES = ("top1", "box_map", "mask_map", "miou")
"""The metrics that stand for a version's accuracy, one for each way of scoring; the others are listed only."""


class NothingToCompare(Exception):
    """No version could be read that was asked for; the message says why."""


@dataclass(frozen=True, slots=True)
class Row:
    """One version."""

    card: ModelCard
    megabytes: float
    """Of the file that is run."""

    @property
    def name(self) -> str:
        """``name:version``."""
        return f"{self.card.name}:{self.card.version}"

    @property
    def latency(self) -> Measurement | None:
        """The quickest answer to one caller who sends one image at a time; None where nobody measured it."""
        alone = [item for item in self._measurements if (item.batch_size, item.callers) == (1, 1)]
        return min(alone, key=lambda item: item.latency_p50_ms, default=None)

    @property
    def throughput(self) -> Measurement | None:
        """The most images a second; None where nobody measured it."""
        return max(self._measurements, key=lambda item: item.images_per_second, default=None)

    @property
    def headlines(self) -> tuple[Evaluation, ...]:
        """The figures that stand for its accuracy."""
        return tuple(item for item in self.card.evaluation if item.metric in _HEADLINES)

    @property
    def uncertified(self) -> tuple[Plan, ...]:
        """The plans that are never offered, for nobody has compared them with their source on a GPU."""
        return tuple(plan for plan in self.card.plans if not plan.certified)

    @property
    def _measurements(self) -> tuple[Measurement, ...]:
        return self.card.tuning.measurements if self.card.tuning else ()


@dataclass(frozen=True, slots=True)
class Group:
    """Versions whose accuracy can be compared, for it is the same metric on the same data set."""

    metric: str
    dataset: str
    members: tuple[tuple[Row, Evaluation], ...]
    """Best first."""


def read_rows(repository: Repository, references: Sequence[str]) -> tuple[list[Row], list[str]]:
    """The versions named (``name``: all of its versions; nothing: all there are), and what could not be read.

    Raises NothingToCompare where a name stands for nothing, or no version is left.
    """
    rows, problems = [], []
    for model, version in _wanted(repository, references):
        try:
            card = repository.read_card(model, version)
            size = (repository.version_path(model, version) / card.platform.filename).stat().st_size
            rows.append(Row(card, size / 1e6))
        except RepositoryError as error:
            problems.append(str(error))
        except OSError as error:
            problems.append(f"{model}:{version} has no readable model file: {error.strerror}")
    if not rows:
        raise NothingToCompare("; ".join(problems) or f"{repository.root} holds no version; build one first")
    return rows, problems


def groups(rows: Iterable[Row]) -> list[Group]:
    """The versions by metric and data set, in alphabetical order."""
    found: dict[tuple[str, str], list[tuple[Row, Evaluation]]] = {}
    for row in rows:
        for item in row.headlines:
            found.setdefault((item.dataset, item.metric), []).append((row, item))
    return [
        Group(metric, dataset, tuple(sorted(members, key=lambda member: -member[1].value)))
        for (dataset, metric), members in sorted(found.items(), key=lambda pair: pair[0])
    ]


def _wanted(repository: Repository, references: Sequence[str]) -> list[tuple[str, int]]:
    wanted: list[tuple[str, int]] = []
    for reference in references or repository.models():
        name, _, number = reference.partition(":")
        try:
            versions = repository.versions(name)
        except RepositoryError as error:
            raise NothingToCompare(str(error)) from error
        chosen = [version for version in versions if number in ("", str(version))]
        if not chosen:
            raise NothingToCompare(f"the repository {repository.root} has no {reference}")
        wanted += [(name, version) for version in chosen]
    return list(dict.fromkeys(wanted))
