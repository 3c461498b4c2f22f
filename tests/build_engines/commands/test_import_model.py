"""`vitrail-build import`, as a user calls it."""

import json
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from build_engines.commands import import_model
from contract.repository import Repository
from tests.build_engines.onnx_files import a_detector

CARD = """
name: mine
task: regions
licence: MIT
preprocess: {height: 16, width: 16, resize: stretch, interpolation: bilinear}
normalisation: {range: [0, 1]}
max_batch_size: 3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a network and its card."""
    (tmp_path / "model.onnx").write_bytes(a_detector().SerializeToString())
    (tmp_path / "card.yaml").write_text(CARD, encoding="utf-8")
    return tmp_path


def call(folder: Path, *more: str) -> Result:
    """Import the folder's network into its repository."""
    app = typer.Typer()
    app.command()(import_model.command)
    arguments = [str(folder / "model.onnx"), "--card", str(folder / "card.yaml"), "--no-cache", *more]
    return CliRunner().invoke(app, [*arguments, "--repository", str(folder / "models")])


def test_a_file_and_a_card_become_a_version(folder: Path) -> None:
    """The version has the card's name and task, and its certificate names the file's own graph as its reference."""
    result = call(folder)
    assert result.exit_code == 0, result.output
    card = Repository(folder / "models").read_card("mine", 1)
    assert (card.task, card.batch_sizes) == ("regions", (1, 2, 3))
    assert "the source's own graph" in card.certificate.reference


def test_programs_are_told_as_json(folder: Path) -> None:
    """With --json every line of the output is an object, and the last one says what was built."""
    lines = [json.loads(line) for line in call(folder, "--json").stdout.splitlines()]
    assert (lines[0]["event"], lines[-1]["event"]) == ("begins", "built")
    assert lines[-1]["batch_sizes"] == [1, 2, 3]


def test_a_wrong_card_is_refused_before_any_work(folder: Path) -> None:
    """A card without a licence is a misuse of the command: status 2, the field and an example, and no repository."""
    (folder / "card.yaml").write_text(CARD.replace("licence: MIT\n", ""), encoding="utf-8")
    result = call(folder, "--json")
    assert result.exit_code == 2
    assert "licence: is missing; for example: licence: Apache-2.0" in json.loads(result.stdout)["reason"]
    assert not (folder / "models").exists()


def test_a_wrong_file_fails_in_the_step_source(folder: Path) -> None:
    """A text file in place of a network: status 1, the step, the file's name, and nothing in the repository."""
    (folder / "model.onnx").write_text("this is not a network", encoding="utf-8")
    result = call(folder, "--json")
    assert result.exit_code == 1
    failed = json.loads(result.stdout.splitlines()[-1])
    assert (failed["event"], failed["step"]) == ("failed", "source")
    assert "model.onnx is not a valid ONNX file" in failed["reason"]
    assert list((folder / "models").iterdir()) == []
