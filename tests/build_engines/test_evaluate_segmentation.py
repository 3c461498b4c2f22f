"""Mean IoU: an oracle's is 1, and what masks and labels mean is never guessed wrongly."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from build_engines.artifact import BuildFailure
from build_engines.evaluation.datasets import open_data_set
from build_engines.evaluation.kinds import MaskValues
from build_engines.evaluation.run import Outcome, evaluate
from build_engines.evaluation.segmentation import classes_of
from build_engines.evaluation.served import ServedModel
from contract.preprocess import Interpolation, PreprocessSpec, Resize
from contract.repository import Repository
from contract.task import Task
from tests.build_engines.oracle import write_oracle

ASSETS = Path(os.environ.get("VITRAIL_ASSETS", Path(__file__).parents[3] / "shared" / "assets"))
HEIGHT, WIDTH = 6, 8
TRUTH = np.repeat(np.uint8([[0, 0, 1, 1, 2, 2, 255, 255]]), HEIGHT, axis=0)
"""Three classes, and two columns that nobody judges."""
LABELS = ("sky", "sea", "sand")


def a_spec(height: int = HEIGHT, width: int = WIDTH) -> PreprocessSpec:
    """A network that takes the pictures as they are."""
    return PreprocessSpec(height=height, width=width, resize=Resize.STRETCH, interpolation=Interpolation.BILINEAR)


def write_pair(folder: Path, mask: np.ndarray[Any, Any] = TRUTH, name: str = "a") -> Path:
    """A grey picture with that mask, as ADE20K lays them out; the picture's path."""
    for part in ("images", "annotations"):
        (folder / part / "val").mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(folder / "annotations" / "val" / f"{name}.png")
    path = folder / "images" / "val" / f"{name}.bmp"
    Image.new("RGB", (WIDTH, HEIGHT), "grey").save(path)
    return path


def evaluated(root: Path, data: Path, paths: list[Path], answer: np.ndarray[Any, Any], **card: Any) -> Outcome:
    """The outcome for an oracle that answers with this class map [H,W]."""
    spec = a_spec(*answer.shape)
    fields = {"labels": LABELS, **card}
    written = write_oracle(root / "repository", Task.SEGMENT, spec, paths, {"class_map": answer[None]}, **fields)
    return evaluate(ServedModel(Repository(root / "repository"), written, 1), open_data_set(data), 4)


def test_an_oracle_is_right_everywhere(tmp_path: Path) -> None:
    """The truth given back has a mean IoU of 1, whatever is answered where nobody judges."""
    path = write_pair(tmp_path / "data")
    outcome = evaluated(tmp_path, tmp_path / "data", [path], np.where(TRUTH == 255, 1, TRUTH).astype(np.uint8))
    assert outcome.metrics == {"miou": 1.0, "pixel_accuracy": 1.0}


def test_a_wrong_column_costs_two_classes(tmp_path: Path) -> None:
    """One of two columns of sea called sand: 1/1, 1/2 and 2/3 over the three classes, and 5 of 6 pixels."""
    path = write_pair(tmp_path / "data")
    answer = np.where(TRUTH == 255, 0, TRUTH).astype(np.uint8)
    answer[:, 3] = 2
    metrics = evaluated(tmp_path, tmp_path / "data", [path], answer).metrics
    assert metrics["miou"] == pytest.approx((1 + 1 / 2 + 2 / 3) / 3)
    assert metrics["pixel_accuracy"] == pytest.approx(5 / 6)


def test_classes_are_matched_by_name(tmp_path: Path) -> None:
    """With classes.txt the model may number its labels otherwise, and a class that it lacks is not judged."""
    path = write_pair(tmp_path / "data")
    (tmp_path / "data" / "classes.txt").write_text("Sea\nunicorn\nsand\n")
    answer = np.select([TRUTH == 0, TRUTH == 2], [1, 2], 0).astype(np.uint8)
    outcome = evaluated(tmp_path, tmp_path / "data", [path], answer)
    assert outcome.metrics == {"miou": 1.0, "pixel_accuracy": 1.0}
    assert "classes without a label in the model, not judged: unicorn" in outcome.notes


def test_the_background_is_a_class_here(tmp_path: Path) -> None:
    """A class that the service does not answer, because it stands for nothing, is still scored."""
    path = write_pair(tmp_path / "data")
    answer = np.where(TRUTH == 255, 0, TRUTH).astype(np.uint8)
    outcome = evaluated(tmp_path, tmp_path / "data", [path], answer, task_settings={"background": 0})
    assert outcome.metrics["miou"] == 1.0


def test_ade20ks_numbers_are_one_more(tmp_path: Path) -> None:
    """ADE20K's 0 is not judged, and its 1 is the first class."""
    assert classes_of(np.uint8([[0, 1, 150]]), MaskValues.ADE20K).tolist() == [[-1, 0, 149]]


def test_cityscapes_numbers_become_training_numbers() -> None:
    """Of Cityscapes' own numbers, road (7), bicycle (33) and car (26) are judged; void (3) and caravan (29) are not."""
    assert classes_of(np.uint8([[7, 33, 26, 3, 29]]), MaskValues.CITYSCAPES).tolist() == [[0, 18, 13, -1, -1]]


@pytest.mark.parametrize(("ending", "values"), [("labelTrainIds", "classes"), ("labelIds", "cityscapes")])
def test_cityscapes_layout_is_known(tmp_path: Path, ending: str, values: str) -> None:
    """leftImg8bit and gtFine are paired by name, and the masks' names tell what their numbers are."""
    for part, tail in (("leftImg8bit", "leftImg8bit"), ("gtFine", f"gtFine_{ending}")):
        folder = tmp_path / part / "val" / "ulm"
        folder.mkdir(parents=True)
        Image.new("L", (4, 4)).save(folder / f"ulm_0_{tail}.png")
    found = open_data_set(tmp_path)
    assert (found.values, found.classes, len(found.pairs)) == (values, 19, 1)


def test_pairs_in_one_folder_are_known(tmp_path: Path) -> None:
    """X.jpg with X.png is a pair, and a name that begins with ADE_ is one of ADE20K's."""
    Image.new("RGB", (4, 4)).save(tmp_path / "ADE_val_1.jpg")
    Image.new("L", (4, 4)).save(tmp_path / "ADE_val_1.png")
    assert open_data_set(tmp_path).values is MaskValues.ADE20K
    assert open_data_set(tmp_path, values=MaskValues.CLASSES).values is MaskValues.CLASSES


def test_another_number_of_classes_is_told(tmp_path: Path) -> None:
    """A model of three labels on ADE20K, without names to match by, is refused and not scored by number."""
    path = write_pair(tmp_path / "data")
    (tmp_path / "data" / "objectInfo150.txt").write_text("Idx\tName\n")
    with pytest.raises(BuildFailure, match="has 150 classes and oracle 3"):
        evaluated(tmp_path, tmp_path / "data", [path], TRUTH)


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        (TRUTH[:, :5], "the mask is 5 x 6 pixels, and the picture 8 x 6"),
        (np.full((HEIGHT, WIDTH), 9, np.uint8), "the mask has the class 9, and there are 3 classes"),
        (np.zeros((HEIGHT, WIDTH, 3), np.uint8), "it must hold a class number a pixel"),
    ],
)
def test_a_mask_that_cannot_be_used_is_named(tmp_path: Path, mask: np.ndarray[Any, Any], reason: str) -> None:
    """A mask of another size, with unknown numbers or in colours is left out, with the reason."""
    first = write_pair(tmp_path / "data", name="a")
    write_pair(tmp_path / "data", mask, name="b")
    outcome = evaluated(tmp_path, tmp_path / "data", [first], np.where(TRUTH == 255, 0, TRUTH).astype(np.uint8))
    assert outcome.images == 1
    assert [reason in item.reason for item in outcome.unreadable] == [True]


def test_a_file_that_is_no_mask_is_named(tmp_path: Path) -> None:
    """A mask that is not a picture is the picture's fault, and when it is the only one, there are no figures."""
    path = write_pair(tmp_path / "data")
    (tmp_path / "data" / "annotations" / "val" / "a.png").write_bytes(b"torn")
    with pytest.raises(BuildFailure, match=r"none of the 1 pictures could be used; a\.bmp: the mask cannot be read"):
        evaluated(tmp_path, tmp_path / "data", [path], TRUTH)


def test_nothing_judged_is_told(tmp_path: Path) -> None:
    """Masks without a judged pixel give no figure, and a hint at what their numbers may mean."""
    path = write_pair(tmp_path / "data", np.full((HEIGHT, WIDTH), 255, np.uint8))
    with pytest.raises(BuildFailure, match="judges no pixel"):
        evaluated(tmp_path, tmp_path / "data", [path], np.zeros((HEIGHT, WIDTH), np.uint8))


@pytest.mark.skipif(not (ASSETS / "ade20k").is_dir(), reason="the shared test inputs are not here")
def test_an_oracle_of_ade20k_is_right_everywhere(tmp_path: Path) -> None:
    """ADE20K's own mask, given back as a model's class map, has a mean IoU of 1."""
    mask = np.asarray(Image.open(ASSETS / "ade20k" / "ADE_val_00000001.png")).astype(np.int16)
    paths = [ASSETS / "ade20k" / "ADE_val_00000001.jpg"]
    labels = tuple(f"class {place}" for place in range(150))
    outcome = evaluated(tmp_path, ASSETS / "ade20k", paths, mask - 1, labels=labels)
    assert outcome.metrics == {"miou": 1.0, "pixel_accuracy": 1.0}
