"""`evaluate` on folders of classes: what it measures, what it writes, and what it says when it cannot."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from build_engines.artifact import BuildFailure
from build_engines.commands import evaluate
from build_engines.evaluation.classification import class_indices
from build_engines.evaluation.datasets import open_data_set
from build_engines.evaluation.kinds import Kind
from build_engines.evaluation.names import indices_by_name
from build_engines.evaluation.run import Outcome, merged, spread
from build_engines.evaluation.served import batches
from contract.card import Evaluation
from contract.repository import Repository
from contract.task import Task
from tests.cards import a_card, a_tensor
from tests.tiny_models import COLOURS, write_version

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(evaluate.command)


def run(root: Path, data: Path, *options: str, model: str = "colours") -> Result:
    """The command on a model of the repository."""
    return CliRunner().invoke(app, [model, "--data", str(data), "--repository", str(root), *options])


def event(result: Result) -> dict[str, Any]:
    """The only line of the command's JSON."""
    (line,) = result.stdout.splitlines()
    return json.loads(line)


def paint(path: Path, *colour: int, size: tuple[int, int] = (20, 12)) -> Path:
    """A picture of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with a model that knows three colours."""
    write_version(tmp_path / "repository", "colours")
    return tmp_path / "repository"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Five pictures in three folders; one of the red ones is blue."""
    folder = tmp_path / "colours-val"
    for place, colour in enumerate([(200, 0, 0), (250, 9, 9), (0, 0, 255)]):
        paint(folder / "red" / f"{place}.png", *colour)
    paint(folder / "Green" / "0.jpg", 0, 200, 0)
    paint(folder / "blue" / "deeper" / "0.bmp", 0, 0, 200)
    return folder


def test_top_1_is_what_was_right(root: Path, data: Path) -> None:
    """Four of five pictures are right at first, and all among the best five; the card says so."""
    result = run(root, data, "--json")
    assert result.exit_code == 0, result.output
    assert event(result)["metrics"] == {"top1": 0.8, "top5": 1.0}
    written = Repository(root).read_card("colours", 1).evaluation
    found = [(item.metric, item.value, item.dataset, item.images) for item in written]
    assert found == [("top1", 0.8, "colours-val", 5), ("top5", 1.0, "colours-val", 5)]


def test_the_table_is_for_people(root: Path, data: Path) -> None:
    """Without --json the figures stand in a table on stdout, and what was done with them on stderr."""
    result = run(root, data)
    assert "0.8000" in result.stdout
    assert "written into the card" in result.stderr


def test_a_second_evaluation_replaces_the_first(root: Path, data: Path) -> None:
    """The same metric on the same data set stands in the card once, and other data sets' stay."""
    run(root, data, "--dataset", "other")
    run(root, data)
    shutil.rmtree(data / "red")
    assert run(root, data).exit_code == 0
    written = Repository(root).read_card("colours", 1).evaluation
    found = [(item.dataset, item.metric, item.value) for item in written]
    assert found == [
        (name, f"top{top}", value)
        for name, top, value in [("other", 1, 0.8), ("other", 5, 1.0), ("colours-val", 1, 1.0), ("colours-val", 5, 1.0)]
    ]


def test_a_part_never_stands_for_the_whole(root: Path, data: Path) -> None:
    """With --limit the pictures are spread evenly, and the card names the part."""
    run(root, data, "--limit", "2")
    assert {item.dataset for item in Repository(root).read_card("colours", 1).evaluation} == {"colours-val (2 of 5)"}
    assert spread(10, 5) == [0, 2, 4, 6, 8]
    assert spread(3, 5) == [0, 1, 2]


def test_a_dry_run_writes_nothing(root: Path, data: Path) -> None:
    """With --dry-run the card is left as it was."""
    before = (root / "colours" / "1" / "card.json").read_bytes()
    assert event(run(root, data, "--dry-run", "--json"))["written"] is False
    assert (root / "colours" / "1" / "card.json").read_bytes() == before


def test_a_broken_picture_is_counted_and_named(root: Path, data: Path) -> None:
    """A picture that cannot be read is left out of the figures, counted and named."""
    (data / "red" / "torn.jpg").write_bytes(b"\xff\xd8\xff torn")
    told = event(run(root, data, "--json"))
    assert told["images"] == 5
    assert [Path(item["path"]).name for item in told["unreadable"]] == ["torn.jpg"]
    assert "torn.jpg: the image is broken" in run(root, data).stderr


def test_an_unknown_folder_is_left_out_and_named(root: Path, data: Path) -> None:
    """A folder that is no class of the model is not judged, and said to be so."""
    paint(data / "mauve" / "0.png", 200, 100, 200)
    told = event(run(root, data, "--json"))
    assert told["images"] == 5
    assert told["notes"] == ["folders without a class in the model, left out: mauve"]


@pytest.mark.parametrize(
    ("model", "reason"),
    [("absent", "has no model 'absent'"), ("colours:9", "no version 9"), ("../x", "not a model name")],
)
def test_a_model_that_is_not_there_is_told(root: Path, data: Path, model: str, reason: str) -> None:
    """A name or version that stands for nothing ends with status 1, a reason and a remedy."""
    result = run(root, data, "--json", model=model)
    assert result.exit_code == 1
    assert reason in event(result)["reason"]
    assert event(result)["remedy"]


def test_an_empty_folder_is_told(root: Path, tmp_path: Path) -> None:
    """A folder without a data set, or no folder at all, says what is expected."""
    (tmp_path / "empty").mkdir()
    result = run(root, tmp_path / "empty")
    assert result.exit_code == 1
    assert "holds no data set" in result.stderr
    assert "What to do: lay it out" in result.stderr
    assert "is not a folder" in run(root, tmp_path / "absent").stderr


def test_folders_that_match_nothing_are_told(root: Path, tmp_path: Path) -> None:
    """Where no folder is a class, the message names the folders, and nothing is written."""
    paint(tmp_path / "wrong" / "train" / "0.png", 1, 2, 3)
    result = run(root, tmp_path / "wrong", "--json")
    assert "none of the 1 folders is a class of colours: train" in event(result)["reason"]
    assert Repository(root).read_card("colours", 1).evaluation == ()


def test_only_broken_pictures_are_told(root: Path, tmp_path: Path) -> None:
    """Where no picture can be read there are no figures, and the first one's trouble is named."""
    (tmp_path / "torn" / "red").mkdir(parents=True)
    (tmp_path / "torn" / "red" / "0.png").write_bytes(b"torn")
    assert "none of the 1 pictures could be used; 0.png" in event(run(root, tmp_path / "torn", "--json"))["reason"]


def test_a_task_that_cannot_be_evaluated_is_told(root: Path, data: Path) -> None:
    """An embedding has no truth to compare with, and the message says which tasks have one."""
    write_version(root, "vectors", task=Task.EMBED)
    told = event(run(root, data, "--json", model="vectors"))
    assert "a model for embed, which cannot be evaluated" in told["reason"]
    assert "classify, detect, segment" in told["remedy"]


def test_a_data_set_of_another_kind_is_told(root: Path, data: Path) -> None:
    """--kind overrules the layout, and a layout that is not of that kind is refused."""
    assert "no data set of the kind masks" in event(run(root, data, "--kind", "masks", "--json"))["reason"]


def test_the_newest_version_is_meant(root: Path, data: Path) -> None:
    """A name without a number is the newest version's."""
    write_version(root, "colours", 2)
    assert event(run(root, data, "--json"))["version"] == 2
    assert event(run(root, data, "--json", model="colours:1"))["version"] == 1


def test_ctrl_c_leaves_the_card(root: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle ends with status 130, says so, and leaves the card as it was."""

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("build_engines.evaluation.classification.TopScorer.add", stopped)
    result = run(root, data, "--json")
    assert result.exit_code == 130
    assert event(result) == {"event": "interrupted", "model": "colours"}
    assert Repository(root).read_card("colours", 1).evaluation == ()


def test_a_class_is_found_by_label_synset_and_number() -> None:
    """Folders are matched by label, by synonym, by ImageNet's synset, and by number where no label is it."""
    labels = tuple("tabby" if place == 281 else f"class {place}" for place in range(1000))
    card = a_card(labels=labels, outputs=(a_tensor("probabilities", 1000),))
    found = class_indices(["Tabby", "tabby, tabby cat", "n02123045", "281", "class_7", "1000", "n99999999"], card)
    assert [sorted(indices) for indices in found.values()] == [[281], [281], [281], [281], [7], [], []]


def test_one_name_may_be_several_labels() -> None:
    """Two labels of one name are both right, and a whole name comes before a synonym."""
    assert indices_by_name(["crane", "hot dog"], ["crane", "Crane", "hot-dog, red hot", "dog"]) == [{0, 1}, {2}]


def test_batches_are_certified_ones() -> None:
    """What remains is split into sizes that the certificate covers, the largest first."""
    assert batches(8, (1, 2, 4), 4) == [4, 4]
    assert batches(7, (1, 2, 4), 8) == [4, 2, 1]
    assert batches(3, (1, 2, 3), 2) == [2, 1]
    assert batches(0, (1,), 8) == []


def test_batches_change_nothing(root: Path, data: Path) -> None:
    """One picture at a time or four, the figures are the same."""
    alone, together = (event(run(root, data, "--batch-size", size, "--json"))["metrics"] for size in ("1", "4"))
    assert alone == together


def test_earlier_figures_of_other_data_sets_stay() -> None:
    """Only the same metric of the same data set is replaced, and the new one comes last."""
    then = datetime(2026, 1, 1, tzinfo=UTC)
    earlier = [
        Evaluation(metric=metric, value=0.1, dataset=name, images=1, evaluated_at=then)
        for metric, name in (("top1", "a"), ("top5", "a"), ("top1", "b"))
    ]
    outcome = Outcome({"top1": 0.9}, images=2, total=2, unreadable=(), notes=())
    found = [(item.metric, item.dataset, item.value) for item in merged(earlier, outcome, "a")]
    assert found == [("top5", "a", 0.1), ("top1", "b", 0.1), ("top1", "a", 0.9)]


def test_a_layout_shows_its_kind(data: Path) -> None:
    """Folders of pictures are a data set of classes, hidden folders and other files aside."""
    (data / ".cache").mkdir()
    paint(data / ".cache" / "0.png", 1, 2, 3)
    (data / "notes.txt").write_text("nothing")
    found = open_data_set(data)
    assert found.kind is Kind.CLASSES
    assert {name.lower() for name in found.classes} == {*COLOURS}


def test_nan_is_told_with_the_picture(root: Path, data: Path) -> None:
    """A model that puts out NaN is not scored: the message names the picture and the tensor."""
    model_file = root / "colours" / "1" / "model.onnx"
    import onnx  # noqa: PLC0415

    model = onnx.load(model_file)
    scale = next(item for item in model.graph.initializer if item.name == "scale")
    scale.CopyFrom(onnx.numpy_helper.from_array(np.float32(np.nan), "scale"))
    onnx.save(model, model_file)
    assert "values in probabilities that are not numbers" in event(run(root, data, "--json"))["reason"]


def test_a_broken_model_file_is_told(root: Path, data: Path) -> None:
    """A file that ONNX Runtime cannot load is said to be so."""
    (root / "colours" / "1" / "model.onnx").write_bytes(b"not a model")
    assert "cannot load model.onnx" in event(run(root, data, "--json"))["reason"]


def test_a_file_is_no_data_set(tmp_path: Path) -> None:
    """A file in the folder's place is refused."""
    (tmp_path / "file").write_text("")
    with pytest.raises(BuildFailure, match="is not a folder"):
        open_data_set(tmp_path / "file")
