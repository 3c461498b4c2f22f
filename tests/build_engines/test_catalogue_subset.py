"""Another part of the catalogue every day builds and is certified; a week covers every source, task and head."""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from build_engines import results
from build_engines.catalog.loader import entries
from build_engines.catalog.rotation import features, subset
from build_engines.commands.build_many import build_many
from build_engines.report import JsonReport
from contract.repository import Repository

OUTCOMES = results.read(Path(str(__file__)).parents[2] / "build_engines" / "catalog" / "outcomes.jsonl")
ROTATION = int(os.environ.get("VITRAIL_ROTATION", datetime.now(UTC).toordinal()))
# The others stand with their diagnosis in docs/catalogue.md.
CERTIFIED = [entry for entry in entries() if entry.name in OUTCOMES and OUTCOMES[entry.name].certified]
CHOSEN = subset(
    CERTIFIED,
    {name: row.seconds for name, row in OUTCOMES.items()},
    ROTATION,
)


PATIENCE_S = 280
Outcome = Callable[[str], results.Row]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """Waits for an entry's outcome; all are built meanwhile, each by a process of its own, two at a time."""
    folder = tmp_path_factory.mktemp("subset")
    file = folder / "outcomes.jsonl"
    options = ["--weights", "random", "--engine", "tensorrt-rtx", "--no-cache"]
    names = [entry.name for entry in CHOSEN]
    arguments = (names, options, Repository(folder), 2, PATIENCE_S, file, JsonReport())
    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(build_many, *arguments, discard=True)

        def wait(name: str) -> results.Row:
            while name not in results.read(file) and not building.done():
                time.sleep(0.2)
            if building.done():
                building.result()  # Raises what ended the builds before their time.
            return results.read(file)[name]

        yield wait


def test_nothing_is_left_out() -> None:
    """Every source, task and head of the catalogue has an entry that is certified."""
    wanted, certified = (frozenset().union(*map(features, several)) for several in (entries(), CERTIFIED))
    assert certified == wanted


@pytest.mark.parametrize("name", [entry.name for entry in CHOSEN])
def test_the_entry_is_certified(name: str, outcome: Outcome) -> None:
    """Built from nothing, the entry is proven equal to its source at batch sizes that were not traced.

    And where the catalogue's page says that a TensorRT-RTX plan can be built, it can.
    """
    row = outcome(name)
    assert row.certified, f"step {row.step}: {row.reason}"
    assert len(row.batch_sizes) >= 3
    if name in OUTCOMES and OUTCOMES[name].plan:
        assert row.plan, row.plan_problem
