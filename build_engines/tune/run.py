"""What was measured → the card and Triton's configuration."""

from collections.abc import Sequence
from datetime import UTC, datetime

from build_engines.artifact import BuildFailure
from build_engines.tune.choice import preferred_sizes
from contract.card import Measurement, ModelCard, Tuning
from contract.repository import Repository, RepositoryError
from contract.triton import to_config


def tuning(measurements: Sequence[Measurement], machine: str) -> Tuning:
    """The measurements with the batch sizes that they speak for; BuildFailure where there are none."""
    if not measurements:
        raise BuildFailure("nothing could be measured in the time that was given", "give more --seconds")
    return Tuning(
        machine=machine,
        measurements=tuple(measurements),
        preferred_batch_sizes=preferred_sizes(measurements),
        tuned_at=datetime.now(UTC),
    )


def write_tuning(repository: Repository, card: ModelCard, result: Tuning) -> bool:
    """Put the tuning into the version's card, and its batch sizes into the model's configuration.

    Triton has one configuration for all versions of a model, and it follows the newest: for an older one only the card
    is written. Returns whether the configuration was. BuildFailure where a file cannot be written.
    """
    try:
        present = repository.read_card(card.name, card.version)
        changed = ModelCard.model_validate(present.model_copy(update={"tuning": result}).model_dump())
        repository.rewrite_card(card.name, card.version, changed)
        newest = card.version == repository.versions(card.name)[-1]
        if newest:
            repository.write_config(card.name, to_config(changed))
    except (RepositoryError, OSError, ValueError) as error:
        raise BuildFailure(
            f"the card cannot be written: {error}", "look at the repository's disk and rights"
        ) from error
    return newest
