"""Heat maps judged by insertion and deletion: the curves themselves, and real weights on photographs."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from build_engines.__main__ import app
from build_engines.artifact import BuildFailure
from build_engines.catalog.loader import find
from build_engines.evaluation.datasets import pictures_in
from build_engines.evaluation.insertion_deletion import evaluate
from build_engines.evaluation.served import ServedModel, read_card
from build_engines.pipeline import build
from contract.repository import Repository
from contract.task import Task
from tests.assets import ASSETS, needs_assets
from tests.build_engines.conftest import Silent
from tests.build_engines.orders import an_order
from tests.service.tiny_tasks import explaining_model, write_task
from tests.tiny_models import COLOURS, write_version

PHOTOGRAPHS = ("dog_bicycle_car.jpg", "hot_dog.jpg", "parrot.jpg")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with a model that explains which of three colours it sees, and one that does not."""
    write_task(tmp_path / "repository", "quadrants", Task.CLASSIFY, explaining_model(), labels=COLOURS)
    write_version(tmp_path / "repository", "colours")
    return tmp_path / "repository"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two pictures: one half is red, the other is of a colour that is less so."""
    for place, other in enumerate(((0, 90, 60), (20, 60, 90))):
        pixels = np.full((8, 8, 3), other, np.uint8)
        pixels[:, 4 * place : 4 * place + 4] = 250, 20, 20
        path = tmp_path / "data" / "below" / f"{place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return tmp_path / "data"


def run(root: Path, data: Path, *options: str, model: str = "quadrants") -> Result:
    """The command line, on a model of the repository."""
    arguments = ["evaluate", model, "--data", str(data), "--repository", str(root), "--explain", *options]
    return CliRunner().invoke(app, arguments)


def served(root: Path, model: str) -> ServedModel:
    """A version as it is served."""
    repository = Repository(root)
    return ServedModel(repository, read_card(repository, model), 1)


def test_a_map_that_knows_beats_one_that_does_not(root: Path, data: Path) -> None:
    """Where the map is the truth, its pixels taken first lower the class soonest."""
    metrics = evaluate(served(root, "quadrants"), pictures_in(data), 4, steps=8).metrics
    # So small a picture is hardly blurred, and nothing is there to be inserted.
    assert metrics["deletion"] < metrics["deletion_random"] - 0.01
    assert metrics["deletion"] < metrics["deletion_centre"] - 0.01
    assert all(0 < value < 1 for value in metrics.values())


def test_the_curves_begin_and_end_where_they_must(root: Path, data: Path) -> None:
    """In one step a curve is the mean of its ends, and these are the same for every map."""
    metrics = evaluate(served(root, "quadrants"), pictures_in(data), 4, steps=1).metrics
    for curve in ("insertion", "deletion"):
        assert metrics[curve] == pytest.approx(metrics[f"{curve}_random"])
        assert metrics[curve] == pytest.approx(metrics[f"{curve}_centre"])


def test_the_figures_are_printed_and_written(root: Path, data: Path) -> None:
    """`evaluate --explain` writes six figures into the card, under the folder's name; what is no picture is named."""
    (data / "broken.png").write_bytes(b"no picture")
    result = run(root, data, "--json")
    event = json.loads(result.stdout)
    card = Repository(root).read_card("quadrants", 1)
    assert result.exit_code == 0
    assert {item.metric: item.value for item in card.evaluation} == pytest.approx(event["metrics"], abs=1e-6)
    assert set(event["metrics"]) == {
        f"{curve}{kind}" for curve in ("insertion", "deletion") for kind in ("", "_random", "_centre")
    }
    assert (event["images"], len(event["unreadable"]), card.evaluation[0].dataset) == (2, 1, "data")


@pytest.mark.parametrize(
    ("model", "options", "says"),
    [
        ("colours", (), "was not built to explain"),
        ("quadrants", ("--kind", "classes"), "leave --kind"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    root: Path, data: Path, model: str, options: tuple[str, ...], says: str
) -> None:
    """A model without heat maps, and options that belong to a truth."""
    result = run(root, data, *options, model=model)
    assert result.exit_code == 1
    assert says in result.stderr


def test_a_folder_without_pictures_is_refused(root: Path, tmp_path: Path) -> None:
    """One that holds none, and one whose pictures are all broken."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(BuildFailure, match="holds no pictures"):
        pictures_in(tmp_path / "empty")
    (tmp_path / "empty" / "a.png").write_bytes(b"no picture")
    with pytest.raises(BuildFailure, match="none of the pictures"):
        evaluate(served(root, "quadrants"), pictures_in(tmp_path / "empty"), 4)


@needs_assets
def test_real_maps_point_at_what_the_model_sees(tmp_path: Path) -> None:
    """EfficientNet-Lite0's own maps beat random ones and the picture's centre on photographs, both ways."""
    entry = find("efficientnet_lite0").model_copy(update={"max_batch_size": 3, "exporter": "tracer"})
    build(an_order(tmp_path, entry, weights="pretrained", resolution=None, explain=True), Silent())
    paths = [ASSETS / "images" / name for name in PHOTOGRAPHS]
    metrics = evaluate(served(tmp_path, "efficientnet_lite0"), paths, 3, steps=8).metrics
    for blind in ("random", "centre"):
        assert metrics["insertion"] > metrics[f"insertion_{blind}"] + 0.02
        assert metrics["deletion"] < metrics[f"deletion_{blind}"] - 0.02
