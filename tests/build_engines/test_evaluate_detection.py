"""Average precision: an oracle's is 1, and the rules are COCO's."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from build_engines.artifact import BuildFailure
from build_engines.evaluation.datasets import open_data_set
from build_engines.evaluation.detection import CocoScorer
from build_engines.evaluation.run import Outcome, evaluate
from build_engines.evaluation.served import ServedModel
from contract.preprocess import Interpolation, PreprocessSpec, Resize
from contract.repository import Repository
from contract.task import Task
from tests.build_engines.oracle import write_oracle
from tests.cards import a_card, a_tensor

ASSETS = Path(os.environ.get("VITRAIL_ASSETS", Path(__file__).parents[3] / "shared" / "assets"))
SPEC = PreprocessSpec(height=64, width=64, resize=Resize.STRETCH, interpolation=Interpolation.BILINEAR)
WIDTH, HEIGHT = 100, 80
BOXES = {1: [(10, 10, 40, 30, 1), (60, 40, 30, 30, 3)], 2: [(5, 5, 80, 60, 1)]}
"""By picture: x, y, width, height and category."""
CATEGORIES = [{"id": 1, "name": "person"}, {"id": 3, "name": "Traffic_Light"}, {"id": 7, "name": "unicorn"}]
LABELS = ("traffic light", "person", "kite")
_INDEX = {1: 1, 3: 0}


def write_data(folder: Path, **changes: Any) -> Path:
    """Two pictures with three boxes, and their masks as rectangles."""
    (folder / "images").mkdir(parents=True)
    annotations = [
        {
            "id": 0,
            "image_id": image,
            "category_id": category,
            "bbox": [x, y, w, h],
            "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]],
        }
        for image, boxes in BOXES.items()
        for x, y, w, h, category in boxes
    ]
    for image in BOXES:
        Image.new("RGB", (WIDTH, HEIGHT), (40 * image, 0, 0)).save(folder / "images" / f"{image}.png")
    images = [{"id": image, "file_name": f"{image}.png", "width": WIDTH, "height": HEIGHT} for image in BOXES]
    content = {"images": images, "annotations": annotations, "categories": CATEGORIES, **changes}
    (folder / "annotations.json").write_text(json.dumps(content))
    return folder


def answers(shift: float = 0.0) -> dict[str, np.ndarray[Any, Any]]:
    """The boxes as a model puts them out, moved by ``shift`` of the width."""
    boxes, scores, labels = np.zeros((2, 3, 4), np.float32), np.zeros((2, 3), np.float32), np.zeros((2, 3), np.int32)
    for place, found in enumerate(BOXES.values()):
        for slot, (x, y, w, h, category) in enumerate(found):
            boxes[place, slot] = np.array([x, y, x + w, y + h]) / [WIDTH, HEIGHT, WIDTH, HEIGHT] + [shift, 0, shift, 0]
            scores[place, slot], labels[place, slot] = 0.9 - 0.1 * slot, _INDEX[category]
    return {"boxes": boxes, "scores": scores, "labels": labels}


def with_masks() -> dict[str, np.ndarray[Any, Any]]:
    """The same with a mask f32 [80,100] for each box."""
    masks = np.zeros((2, 3, HEIGHT, WIDTH), np.float32)
    for place, found in enumerate(BOXES.values()):
        for slot, (x, y, w, h, _) in enumerate(found):
            masks[place, slot, y : y + h, x : x + w] = 1
    return answers() | {"masks": masks}


def evaluated(tmp_path: Path, data: Path, tensors: dict[str, Any], spec: PreprocessSpec = SPEC, **card: Any) -> Outcome:
    """The outcome for an oracle that answers with these tensors."""
    paths = sorted((data / "images").glob("*.png")) or [data / f"{name:012}.jpg" for name in (785, 40083)]
    task = Task.SEGMENT if "masks" in tensors else Task.DETECT
    written = write_oracle(tmp_path / "repository", task, spec, paths, tensors, **{"labels": LABELS, **card})
    return evaluate(ServedModel(Repository(tmp_path / "repository"), written, 1), open_data_set(data), 4)


def test_an_oracle_has_every_box(tmp_path: Path) -> None:
    """A model that returns the annotations has an AP of 1, though it numbers and spells the classes otherwise."""
    outcome = evaluated(tmp_path, write_data(tmp_path / "data"), answers())
    assert outcome.metrics["box_map"] == pytest.approx(1.0)
    assert outcome.metrics["box_ar100"] == pytest.approx(1.0)
    assert outcome.notes == ("categories without a label in the model, not judged: unicorn",)


def test_a_shift_costs_the_stricter_thresholds(tmp_path: Path) -> None:
    """Boxes that are a little off still count at an IoU of 0.5 and no more at stricter ones."""
    metrics = evaluated(tmp_path, write_data(tmp_path / "data"), answers(shift=0.08)).metrics
    assert metrics["box_map50"] == pytest.approx(1.0)
    assert 0.2 < metrics["box_map"] < 0.8


def test_the_figures_are_pycocotools(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The reference that published figures are made with gives the same ones for the same objects."""
    data, card = open_data_set(write_data(tmp_path / "data")), a_card(task=Task.DETECT, labels=LABELS)
    scorer, reference, found = CocoScorer(data, card), COCO(), []
    generator = np.random.default_rng(3)
    for place, (image, boxes) in enumerate(BOXES.items()):
        objects = []
        for x, y, w, h, category in boxes * 4:
            dx, dy, score = (float(value) for value in generator.uniform(0, 9, 3).round(2))
            box = {"x1": x + dx, "y1": y + dy, "x2": x + w, "y2": y + h}
            objects.append({"label": "", "index": _INDEX[category], "score": score / 9, "box": box})
            found.append(
                {
                    "image_id": image,
                    "category_id": category,
                    "score": score / 9,
                    "bbox": [box["x1"], box["y1"], w - dx, h - dy],
                }
            )
        scorer.add(place, {"objects": objects})
    ours = scorer.metrics()
    assert capsys.readouterr().out == ""
    truth = [
        {**item, "id": number, "iscrowd": 0, "area": item["bbox"][2] * item["bbox"][3]}
        for number, item in enumerate(data.annotations, 1)
    ]
    reference.dataset = {"images": [*data.images], "annotations": truth, "categories": CATEGORIES}
    reference.createIndex()
    theirs = COCOeval(reference, reference.loadRes(found), "bbox")
    theirs.evaluate()
    theirs.accumulate()
    theirs.summarize()
    assert 0.05 < ours["box_map"] < 0.95
    expected = dict(zip(("map", "map50", "map75"), theirs.stats[:3], strict=True))
    assert {name: ours[f"box_{name}"] for name in expected} == pytest.approx(expected, abs=1e-9)


def test_a_model_that_finds_nothing_has_none(tmp_path: Path) -> None:
    """Without a single object the AP is 0, not an error."""
    nothing = {name: np.zeros_like(values) for name, values in answers().items()}
    assert evaluated(tmp_path, write_data(tmp_path / "data"), nothing).metrics == {"box_map": 0.0, "box_map50": 0.0}


def test_the_cards_threshold_cuts_nothing_off(tmp_path: Path) -> None:
    """The average precision needs doubtful objects too, whatever the card shows to callers."""
    settings = {"score_threshold": 0.99}
    metrics = evaluated(tmp_path, write_data(tmp_path / "data"), answers(), task_settings=settings).metrics
    assert metrics["box_map"] == pytest.approx(1.0)


def test_an_oracle_has_every_mask(tmp_path: Path) -> None:
    """A model of instances is measured by its boxes and by its masks."""
    spec = SPEC.model_copy(update={"height": HEIGHT, "width": WIDTH})
    metrics = evaluated(tmp_path, write_data(tmp_path / "data"), with_masks(), spec).metrics
    assert metrics["mask_map"] == pytest.approx(1.0)
    assert metrics["box_map"] == pytest.approx(1.0)


def test_a_picture_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A picture that the annotations name and the disk lacks is left out, and so is its truth."""
    data = write_data(tmp_path / "data")
    paths = sorted((data / "images").glob("*.png"))
    card = write_oracle(tmp_path / "repository", Task.DETECT, SPEC, paths, answers(), labels=LABELS)
    paths[1].unlink()
    outcome = evaluate(ServedModel(Repository(tmp_path / "repository"), card, 1), open_data_set(data), 4)
    assert [item.path.name for item in outcome.unreadable] == ["2.png"]
    assert (outcome.images, outcome.metrics["box_map"]) == (1, pytest.approx(1.0))


def test_categories_that_match_nothing_are_told(tmp_path: Path) -> None:
    """Where no category is a label, the message names the categories."""
    data = open_data_set(write_data(tmp_path / "data"))
    card = a_card(task=Task.DETECT)
    with pytest.raises(BuildFailure, match="none of the 3 categories is a label of tiny: person, Traffic_Light"):
        CocoScorer(data, card)


def test_a_model_of_classes_finds_no_objects(tmp_path: Path) -> None:
    """A semantic model cannot be measured by COCO's rules, and is told so."""
    data = open_data_set(write_data(tmp_path / "data"))
    card = a_card(task=Task.SEGMENT, outputs=(a_tensor("class_map", 8, 8),), labels=LABELS)
    with pytest.raises(BuildFailure, match="finds no single objects"):
        CocoScorer(data, card)


def test_several_annotation_files_are_told(tmp_path: Path) -> None:
    """Two files of instances leave it open which is meant, until --annotations says."""
    data = write_data(tmp_path / "data")
    for split in ("train", "val"):
        (data / f"instances_{split}.json").write_bytes((data / "annotations.json").read_bytes())
    with pytest.raises(BuildFailure, match=r"several annotation files: instances_train\.json, instances_val\.json"):
        open_data_set(data)
    assert len(open_data_set(data, annotations=data / "instances_val.json").paths) == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is not JSON"),
        ("[]", "has not the form"),
        ('{"images": [{}], "annotations": [], "categories": []}', "an image without 'file_name'"),
    ],
)
def test_broken_annotations_are_told(tmp_path: Path, text: str, reason: str) -> None:
    """A file that is not COCO's says what is wrong with it."""
    (tmp_path / "broken.json").write_text(text)
    with pytest.raises(BuildFailure, match=reason):
        open_data_set(tmp_path, annotations=tmp_path / "broken.json")


@pytest.mark.skipif(not (ASSETS / "coco").is_dir(), reason="the shared test inputs are not here")
def test_an_oracle_has_every_person(tmp_path: Path) -> None:
    """COCO's own person boxes, given back as a detector's answer, have an AP of 1; the crowd-free truth is COCO's."""
    content = json.loads((ASSETS / "coco" / "test_coco.json").read_bytes())
    tensors = {
        "boxes": np.zeros((2, 5, 4), np.float32),
        "scores": np.zeros((2, 5), np.float32),
        "labels": np.zeros((2, 5), np.int32),
    }
    for place, image in enumerate((785, 40083)):
        size = next([item["width"], item["height"]] * 2 for item in content["images"] if item["id"] == image)
        found = [item["bbox"] for item in content["annotations"] if item["image_id"] == image]
        for slot, (x, y, w, h) in enumerate(found):
            tensors["boxes"][place, slot] = np.array([x, y, x + w, y + h]) / size
            tensors["scores"][place, slot] = 0.9
    outcome = evaluated(tmp_path, ASSETS / "coco", tensors, labels=("person",))
    assert outcome.metrics["box_map"] == pytest.approx(1.0)
    assert (outcome.images, len(outcome.unreadable)) == (2, 2)
