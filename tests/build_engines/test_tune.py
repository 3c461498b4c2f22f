"""`tune`: which batch sizes follow from which figures, and what is written."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from build_engines.artifact import BuildFailure
from build_engines.commands import tune
from build_engines.tune.choice import (
    Arrangement,
    arrangements,
    certified_sizes,
    cost_by_size,
    is_stable,
    preferred_sizes,
    summarise,
)
from build_engines.tune.machine import available_cpus, describe
from build_engines.tune.plot import write_plot
from build_engines.tune.run import tuning
from contract.card import Measurement, Tuning
from contract.repository import CONFIG, Repository
from tests.cards import a_card
from tests.tiny_models import write_version

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(tune.command)


def run(root: Path, *options: str, model: str = "colours") -> Result:
    """The command for a second, on two processors."""
    arguments = [model, "--repository", str(root), "--seconds", "1", "--cpus", "2", *options]
    return CliRunner().invoke(app, arguments)


def event(result: Result) -> dict[str, Any]:
    """The only line of the command's JSON."""
    (line,) = result.stdout.splitlines()
    return json.loads(line)


def measured(p50: dict[int, float], callers: int = 1, threads: int = 1) -> list[Measurement]:
    """Measurements with these milliseconds for each batch size."""
    return [
        Measurement(
            batch_size=size,
            callers=callers,
            threads=threads,
            latency_p50_ms=milliseconds,
            latency_p99_ms=2 * milliseconds,
            images_per_second=1000 * size * callers / milliseconds,
        )
        for size, milliseconds in p50.items()
    ]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with a model of three colours, certified for batches of 1 to 4."""
    write_version(tmp_path, "colours")
    return tmp_path


@pytest.mark.parametrize(
    ("p50", "preferred"),
    [
        ({1: 10, 2: 20, 4: 40}, (1,)),
        ({1: 10, 2: 18, 4: 32}, (1, 2, 4)),
        ({1: 10, 2: 18.1, 4: 35}, (1, 4)),
        ({1: 10, 2: 12, 4: 60}, (1, 2)),
        ({4: 30, 8: 31}, (4, 8)),
    ],
)
def test_a_larger_batch_must_gain_a_tenth(p50: dict[int, float], preferred: tuple[int, ...]) -> None:
    """A size is preferred if an image costs at least 10 % less in it than in the largest one chosen before."""
    assert preferred_sizes(measured(p50)) == preferred


def test_the_best_way_counts_for_each_size() -> None:
    """A size's cost is that of its best arrangement, and the machine's: two callers share it."""
    both = measured({1: 10, 2: 16}, callers=2) + measured({1: 6, 2: 6}, threads=2)
    assert cost_by_size(both) == {1: 5, 2: 3}


def test_a_lone_caller_does_not_count() -> None:
    """An arrangement that leaves processors idle is shown, but says nothing of a machine that is in use."""
    assert cost_by_size([*measured({1: 10}, callers=2), *measured({1: 1})]) == {1: 5}
    assert cost_by_size(measured({1: 1})) == {1: 1}


def test_nothing_measured_is_told() -> None:
    """Without a measurement there is no tuning."""
    with pytest.raises(BuildFailure, match="nothing could be measured"):
        tuning([], "a machine")


@pytest.mark.parametrize("cpus", [1, 2, 3, 6, 16])
def test_arrangements_fit_the_machine(cpus: int) -> None:
    """The service's way comes first, one thread for one caller is there, and none has more threads than processors."""
    ways = arrangements(cpus)
    assert ways[0] == Arrangement(cpus, 1)
    assert Arrangement(1, 1) in ways
    assert Arrangement(1, cpus) in ways
    assert all(way.callers * way.threads <= cpus for way in ways)
    assert len({*ways}) == len(ways)


def test_figures_settle_when_their_halves_agree() -> None:
    """Twenty calls are needed, and medians of both halves within 2 %; a machine that warms up has not settled."""
    assert is_stable([10.0] * 20)
    assert not is_stable([10.0] * 19)
    assert not is_stable([12.0] * 10 + [10.0] * 10)
    assert is_stable([10.0, 500.0] + [10.0] * 20)


def test_a_measurement_sums_up_its_calls() -> None:
    """The median and the 99th percentile are a batch's; the throughput is of all callers and over all calls."""
    item = summarise(4, Arrangement(callers=2, threads=3), [10.0, 10.0, 40.0])
    assert (item.batch_size, item.callers, item.threads) == (4, 2, 3)
    assert item.latency_p50_ms == 10
    assert 30 < item.latency_p99_ms <= 40
    assert item.images_per_second == 4 * 2 * 1000 / 20


def test_only_certified_sizes_are_measured() -> None:
    """All sizes on offer, or some of them; any other is refused."""
    card = a_card(batch_sizes=(1, 2, 4))
    assert certified_sizes(card, None) == [1, 2, 4]
    assert certified_sizes(card, "4, 1") == [1, 4]
    for wrong in ("3", "1,8", "", "many"):
        with pytest.raises(BuildFailure, match="is not certified for batches of"):
            certified_sizes(card, wrong)


def test_the_card_and_the_configuration_say_it(root: Path) -> None:
    """What was measured and chosen stands in the card, and Triton's configuration prefers the same sizes."""
    result = run(root, "--json")
    assert result.exit_code == 0, result.output
    card = Repository(root).read_card("colours", 1)
    assert {(item.callers, item.threads) for item in card.tuning.measurements} == {(2, 1), (1, 2), (1, 1)}
    assert {item.batch_size for item in card.tuning.measurements} == {1, 2, 3, 4}
    assert event(result)["tuning"] == card.tuning.model_dump(mode="json")
    preferred = [str(size) for size in card.tuning.preferred_batch_sizes if size > 1]
    line = f"preferred_batch_size: [{', '.join(preferred)}]"
    assert (line in (root / "colours" / CONFIG).read_text()) == bool(preferred)
    assert card.batch_sizes == (1, 2, 3, 4)


def test_an_older_version_leaves_the_configuration(root: Path) -> None:
    """Triton's configuration follows the newest version, so tuning an older one changes its card only."""
    write_version(root, "colours", 2)
    before = (root / "colours" / CONFIG).read_text()
    told = event(run(root, "--batch-sizes", "1", "--json", model="colours:1"))
    assert (told["written"], told["configured"]) == (True, False)
    assert (root / "colours" / CONFIG).read_text() == before
    assert Repository(root).read_card("colours", 1).tuning.preferred_batch_sizes == (1,)
    assert Repository(root).read_card("colours", 2).tuning is None


def test_a_dry_run_writes_nothing(root: Path) -> None:
    """With --dry-run the table is shown and nothing is written."""
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    result = run(root, "--batch-sizes", "1,2", "--dry-run")
    assert "images/s" in result.stdout
    assert "nothing was written" in result.stderr
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("options", "reason"),
    [(("--batch-sizes", "1,16"), "not certified for batches of 16"), (("--plot", "plot.gif"), "neither a PNG nor")],
)
def test_bad_wishes_are_told(root: Path, options: tuple[str, str], reason: str) -> None:
    """A size without a certificate, or a plot of another kind, is refused before anything is measured."""
    result = run(root, *options, "--json")
    assert result.exit_code == 1
    assert reason in event(result)["reason"]
    assert Repository(root).read_card("colours", 1).tuning is None


def test_a_model_that_is_not_there_is_told(root: Path) -> None:
    """A name that stands for nothing ends with status 1, on stderr for a person."""
    result = run(root, model="absent")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "has no model 'absent'" in result.stderr


def test_ctrl_c_leaves_the_card(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle ends with status 130 and leaves the card as it was."""

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("build_engines.tune.measure.summarise", stopped)
    result = run(root, "--json")
    assert (result.exit_code, event(result)["event"]) == (130, "interrupted")
    assert Repository(root).read_card("colours", 1).tuning is None


def a_tuning() -> Tuning:
    """Two ways, of which batches of four gain."""
    measurements = [*measured({1: 10, 4: 30}, callers=2), *measured({1: 6, 4: 20}, threads=2)]
    return Tuning(
        machine="a machine, 2 CPUs",
        measurements=tuple(measurements),
        preferred_batch_sizes=(1, 4),
        tuned_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_a_plot_is_a_picture(tmp_path: Path) -> None:
    """The plot is a PNG of two panels, or an SVG whose text is text."""
    write_plot(a_tuning(), "tiny:1", tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as image:
        assert (image.format, image.width > image.height) == ("PNG", True)
    write_plot(a_tuning(), "tiny:1", tmp_path / "plot.svg")
    text = (tmp_path / "plot.svg").read_text()
    assert "2 callers x 1 thread<" in text
    assert re.search(r">images a second<", text)


def test_a_plot_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A folder that is not there is the user's to mend."""
    with pytest.raises(BuildFailure, match="the plot cannot be written"):
        write_plot(a_tuning(), "tiny:1", tmp_path / "absent" / "plot.png")


@pytest.mark.parametrize(("quota", "cpus"), [("max 100000", None), ("50000 100000", 1), ("100 nonsense", None)])
def test_a_containers_quota_counts(tmp_path: Path, quota: str, cpus: int | None) -> None:
    """Processors are the container's share, of its own group or one above it; what makes no sense is passed over."""
    (tmp_path / "group" / "own").mkdir(parents=True)
    (tmp_path / "group" / "cpu.max").write_text(quota)
    (tmp_path / "cgroup").write_text("0::/group/own\n")
    free = available_cpus(tmp_path / "none", tmp_path / "none")
    assert available_cpus(tmp_path, tmp_path / "cgroup") == (cpus or free)


def test_the_machine_is_described_without_its_name(tmp_path: Path) -> None:
    """The processor's model and how many may be used; something, where the system tells nothing."""
    (tmp_path / "cpuinfo").write_text("processor: 0\nmodel name\t: Quick 9000\n")
    assert describe(2, tmp_path / "cpuinfo") == "Quick 9000, 2 CPUs"
    assert describe(1, tmp_path / "absent").endswith(", 1 CPU")
