"""`--explain`: from the command line to certified versions of several kinds, and what it refuses."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from build_engines.__main__ import app
from build_engines.artifact import Artifact, StepFailed
from build_engines.catalog.entry import TimmSource
from build_engines.catalog.external import entry_from
from build_engines.commands.build_many import fingerprint
from build_engines.pipeline import build
from contract.card import ModelCard
from contract.repository import Repository
from contract.task import Task
from tests.build_engines.conftest import Silent
from tests.build_engines.orders import SMALL, an_entry, an_order

FOREIGN = Path(__file__).parent / "foreign_code"
TINY_SWIN = {"depths": [1, 1], "num_heads": [1, 2], "embed_dim": 16, "window_size": 4}
TINY_VIT = {"depth": 2, "embed_dim": 24, "num_heads": 2}


def explained(root: Path, source: TimmSource, **changes: Any) -> Artifact:
    """A network of timm with random weights, built with heat maps."""
    entry = an_entry(source=source, max_batch_size=3)
    return build(an_order(root, entry, explain=True, **changes), Silent())


def card_of(artifact: Artifact) -> ModelCard:
    """The card that was written."""
    return artifact.order.repository.read_card(artifact.order.entry.name, 1)


@pytest.mark.parametrize(
    ("source", "method", "grid"),
    [
        (TimmSource(model="swin_tiny_patch4_window7_224", options=TINY_SWIN), "cam", (8, 8)),
        (TimmSource(model="vit_tiny_patch16_224", options=TINY_VIT), "legrad", (4, 4)),
    ],
)
def test_each_kind_is_certified(tmp_path: Path, source: TimmSource, method: str, grid: tuple[int, int]) -> None:
    """A hierarchical network and a plain transformer: heat, method and proof are in the card."""
    card = card_of(explained(tmp_path, source))
    outputs = {output.name: (str(output.dtype), output.shape) for output in card.outputs}
    assert outputs["probabilities"] == ("float32", (1000,))
    assert outputs["explained"] == ("int32", (5,))
    assert outputs["heat"] == ("float32", (5, *grid))
    assert card.task_settings == {"explanation": method}
    assert card.batch_sizes == (1, 2, 3)
    assert any("Heat maps by" in note for note in card.provenance.notes)


def test_own_code_is_explained_where_it_lives(tmp_path: Path) -> None:
    """A cloned repository's classifier is explained in its own process, and the proof is made there."""
    entry = entry_from("models.tiny:tiny", FOREIGN / "paper", {}, Task.CLASSIFY, name="paper-tiny")
    entry = entry.model_copy(update={"max_batch_size": 3})
    card = card_of(build(an_order(tmp_path, entry, explain=True, resolution=32), Silent()))
    assert card.outputs[2].shape == (5, 16, 16)
    assert card.task_settings == {"explanation": "cam"}
    assert any("Zhou et al." in note for note in card.provenance.notes)


def test_versions_with_and_without_do_not_mix(built: Artifact) -> None:
    """The second version of a model cannot have other outputs; that is said before anything is built."""
    observer = Silent()
    with pytest.raises(StepFailed, match="was built without --explain") as failure:
        build(an_order(built.order.repository.root, explain=True), observer)
    assert "--name small_explained" in failure.value.remedy
    assert observer.steps == ["reserve"]


def run(*arguments: str) -> Result:
    """The command line, in this process."""
    return CliRunner().invoke(app, ["build", *arguments])


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("efficientnet_lite0_cam", "--explain"), "--explain is for classifiers"),
        (("ppocr_det", "--explain"), "--explain is for classifiers"),
        (("--default", "--explain"), "--explain is for classifiers"),
        (("ppocr_det", "vit_tiny", "--explain", "--jobs", "2"), "--explain is for classifiers"),
        (("timm:resnet18", "--head", "fcos", "--explain"), "--explain is for classifiers"),
        (("--entry", "a:b", "--task", "detect", "--explain"), "--explain is for classifiers"),
        (("timm:resnet18", "--task", "explain"), "build that with --explain"),
    ],
)
def test_what_cannot_be_explained_is_refused(tmp_path: Path, arguments: tuple[str, ...], problem: str) -> None:
    """A model of another task, a head, and a task that is no model's."""
    result = run(*arguments, "--repository", str(tmp_path))
    assert result.exit_code == 2
    assert problem in result.stderr


def test_many_are_built_with_heat_maps(tmp_path: Path) -> None:
    """A convolutional network, built in a process of its own as one of several: the option reaches it."""
    options = ("--weights", "random", "--resolution", "64", "--repository", str(tmp_path), "--jobs", "2")
    result = run(f"timm:{SMALL}", "--explain", *options)
    assert result.exit_code == 0, result.output
    card = Repository(tmp_path).read_card(SMALL, 1)
    assert [output.shape for output in card.outputs] == [(1000,), (5,), (5, 2, 2)]
    assert card.task_settings == {"explanation": "grad-cam"}


def test_an_outcome_with_heat_maps_is_another_one() -> None:
    """A file of outcomes does not take a plain build for one that explains."""
    options = ["--weights", "random", "--explain"]
    assert fingerprint(an_entry(), options) != fingerprint(an_entry(), options[:2])
