"""Tasks: output tensors become the typed answer, in pixels of the image as sent."""

import json
from base64 import b64encode
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import TypeAdapter

from contract.preprocess import Geometry
from contract.task import Task
from contract.tasks.classify import CLASSIFY
from contract.tasks.definition import InvalidParameter, TaskDefinition, UnusableOutput
from contract.tasks.detect import DETECT
from contract.tasks.embed import EMBED
from contract.tasks.maps import MapEncoding
from contract.tasks.masks import MaskFormat, decode_rle
from contract.tasks.regions import REGIONS
from contract.tasks.segment import SEGMENT
from contract.tasks.table import TASKS
from tests.cards import a_card, a_spec
from tests.contract.answers import MODES, answer

# pycocotools 2.0.11 speaks NumPy 1's form of a protocol, of which NumPy 2 warns.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def objects(*rows: tuple[float, int, tuple[float, float, float, float]], **more: Any) -> dict[str, Any]:
    """Detection's tensors of rows (score, label, box in 0…1)."""
    return {
        "scores": np.array([row[0] for row in rows], np.float32),
        "labels": np.array([row[1] for row in rows], np.int32),
        "boxes": np.array([row[2] for row in rows], np.float32).reshape(-1, 4),
        **more,
    }


BOX = (0.1, 0.2, 0.3, 0.4)


# --- classify


def classes(probabilities: list[float], **parameters: Any) -> list[int]:
    """The class numbers of a classification."""
    result = answer(CLASSIFY, {"probabilities": np.float32(probabilities)}, **parameters)
    return [entry["index"] for entry in result["classes"]]


@given(
    arrays(np.float32, st.integers(1, 30), elements=st.sampled_from(np.float32([0, 0.1, 0.2, 0.5, 1]))),
    st.integers(1, 40),
)
def test_the_best_classes_come_first(probabilities: np.ndarray, top_k: int) -> None:
    """The ``top_k`` best classes come best first, equal ones by number, as a stable sort of all would give them."""
    wanted = np.argsort(-probabilities, kind="stable")[:top_k].tolist()

    assert classes(probabilities.tolist(), top_k=top_k) == wanted


def test_improbable_classes_are_left_out() -> None:
    """Only classes of at least the threshold are answered; one that equals it is."""
    assert classes([0.1, 0.7, 0.2], score_threshold=0.2) == [1, 2]
    assert classes([0.1, 0.7, 0.2], score_threshold=0.9) == []


def test_classes_have_labels_or_numbers() -> None:
    """A class is called by its label, or by its number where the card has none."""
    named = answer(CLASSIFY, {"probabilities": np.float32([0.1, 0.9])})
    bare = answer(CLASSIFY, {"probabilities": np.float32([0.1, 0.9])}, card=a_card(labels=()))

    assert named["classes"][0] == {"label": "dog", "index": 1, "score": 0.9}
    assert bare["classes"][0]["label"] == "1"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("definition", "outputs"),
    [
        (CLASSIFY, {"probabilities": np.float32([0.5, 0.5])}),
        (DETECT, objects((0.9, 0, BOX))),
        (SEGMENT, objects((0.9, 0, BOX), masks=np.ones((1, 4, 4), np.float32))),
        (EMBED, {"embedding": np.ones(4, np.float32)}),
        (REGIONS, {"probability": np.ones((8, 8), np.float32)}),
    ],
)
def test_outputs_that_are_no_numbers_are_refused(definition: TaskDefinition, outputs: dict, value: float) -> None:
    """NaN or infinity in a tensor that is answered from is UnusableOutput, never an answer."""
    for name in outputs.keys() - {"labels"}:
        if definition is SEGMENT and name == "boxes":
            continue  # a segment's box is that of its mask
        damaged = {**outputs, name: outputs[name].copy()}
        damaged[name].flat[0] = value
        with pytest.raises(UnusableOutput, match=name):
            answer(definition, damaged)


# --- detect


def test_objects_come_best_first_above_the_threshold() -> None:
    """Objects are those of at least the caller's threshold, else the card's; best first, at most ``max_objects``."""
    outputs = objects((0.4, 0, BOX), (0.9, 1, BOX), (0.5, 2, BOX))

    assert [found["index"] for found in answer(DETECT, outputs)["objects"]] == [1, 2, 0]
    assert [found["index"] for found in answer(DETECT, outputs, setting={"score_threshold": 0.5})["objects"]] == [1, 2]
    assert [found["index"] for found in answer(DETECT, outputs, score_threshold=0.6)["objects"]] == [1]
    assert [found["index"] for found in answer(DETECT, outputs, max_objects=2)["objects"]] == [1, 2]


def test_empty_slots_are_never_objects() -> None:
    """A slot of score 0 is empty, also where the threshold is 0."""
    assert answer(DETECT, objects((0, 0, BOX), (0, 1, BOX)), score_threshold=0)["objects"] == []
    assert answer(DETECT, objects())["objects"] == []


def test_objects_are_filtered_by_label() -> None:
    """Only the labels that the caller names are answered, given as a list or separated by commas."""
    outputs = objects((0.4, 0, BOX), (0.9, 1, BOX), (0.5, 2, BOX))

    for labels in (["bird", "cat"], "bird, cat"):
        assert [found["label"] for found in answer(DETECT, outputs, labels=labels)["objects"]] == ["bird", "cat"]


def test_a_label_that_names_two_classes_finds_both() -> None:
    """Where two classes bear one label (ImageNet's cranes), filtering by it keeps both."""
    card = a_card(task=Task.DETECT, labels=("crane", "dog", "crane"))
    found = answer(DETECT, objects((0.4, 0, BOX), (0.9, 1, BOX), (0.5, 2, BOX)), card=card, labels="crane")

    assert [one["index"] for one in found["objects"]] == [2, 0]


@pytest.mark.parametrize("definition", [DETECT, SEGMENT])
def test_an_unknown_label_is_the_callers_mistake(definition: TaskDefinition) -> None:
    """A label that the model does not know is InvalidParameter, and named."""
    with pytest.raises(InvalidParameter, match="'unicorn'"):
        answer(definition, objects((0.9, 0, BOX), masks=np.ones((1, 4, 4), np.float32)), labels="cat,unicorn")


@pytest.mark.parametrize("spec", MODES.values(), ids=MODES.keys())
@pytest.mark.parametrize("size", [(300, 200), (200, 300)])
def test_boxes_are_in_pixels_of_the_image(spec: Any, size: tuple[int, int]) -> None:
    """A box of the image, given as the network sees it, comes back to a hundredth of a pixel."""
    geometry = Geometry.of(*size, spec)
    corners = np.float32([[110, 80], [170, 150]])
    box = geometry.to_input(corners).reshape(4) / 100

    found = answer(DETECT, objects((0.9, 0, tuple(box))), geometry)["objects"][0]["box"]

    np.testing.assert_allclose(list(found.values()), [110, 80, 170, 150], atol=0.02)


# --- segment


def test_instances_have_masks_boxes_and_areas() -> None:
    """An instance's area and box are those of its mask, in pixels of the image."""
    mask = np.zeros((1, 100, 100), np.float32)
    mask[0, 20:50, 10:30] = 1

    segment = answer(SEGMENT, objects((0.9, 1, BOX), masks=mask))["segments"][0]

    assert (segment["label"], segment["score"], segment["area"]) == ("dog", 0.9, 600)
    assert segment["box"] == {"x1": 10, "y1": 20, "x2": 30, "y2": 50}
    np.testing.assert_array_equal(decode_rle(segment["mask"]), mask[0] > 0)


def test_a_mask_without_a_pixel_is_left_out() -> None:
    """An instance whose mask reaches the threshold nowhere is no segment."""
    masks = np.stack([np.full((4, 4), 0.4), np.full((4, 4), 0.6)]).astype(np.float32)

    found = answer(SEGMENT, objects((0.9, 0, BOX), (0.8, 1, BOX), masks=masks))["segments"]

    assert [segment["label"] for segment in found] == ["dog"]


def test_semantic_classes_come_largest_first() -> None:
    """Each class of a map is one segment, the largest first; the background is none of them."""
    class_map = np.zeros((10, 10), np.uint8)
    class_map[:2], class_map[2:7] = 1, 2

    assert [one["index"] for one in answer(SEGMENT, {"class_map": class_map})["segments"]] == [2, 0, 1]
    found = answer(SEGMENT, {"class_map": class_map}, setting={"background": 0})["segments"]
    assert [(one["label"], one["area"]) for one in found] == [("bird", 5000), ("dog", 2000)]
    assert "score" not in found[0]
    assert [one["label"] for one in answer(SEGMENT, {"class_map": class_map}, labels="dog")["segments"]] == ["dog"]


def test_what_was_not_seen_belongs_to_no_class() -> None:
    """Outside a centre crop a semantic model says nothing, not even class 0."""
    geometry = Geometry.of(200, 100, MODES["centre crop"])
    found = answer(SEGMENT, {"class_map": np.zeros((10, 10), np.uint8)}, geometry)["segments"]

    assert [segment["index"] for segment in found] == [0]
    assert found[0]["area"] == pytest.approx((100 / 1.2) ** 2, rel=0.02)


# --- embed


def test_vectors_have_length_one_where_asked() -> None:
    """A vector is scaled to length 1 unless the caller declines, however large or small its numbers are."""
    for scale in (1, 1e-30, 1e30):
        found = answer(EMBED, {"embedding": np.float32([3 * scale, 4 * scale])})
        np.testing.assert_allclose(found["embedding"], [0.6, 0.8], rtol=1e-5)
    assert answer(EMBED, {"embedding": np.float32([3, 4])}, normalize=False)["embedding"] == [3, 4]


def test_a_zero_vector_stays_zero() -> None:
    """A vector without a direction is answered as it is."""
    assert answer(EMBED, {"embedding": np.zeros(3, np.float32)})["embedding"] == [0, 0, 0]


@given(arrays(np.float32, st.integers(1, 50), elements=st.floats(-10, 10, width=32)), st.booleans())
def test_base64_is_the_same_vector(vector: np.ndarray, normalize: bool) -> None:
    """The packed form holds little-endian float32, the very numbers of the JSON form."""
    plain = answer(EMBED, {"embedding": vector}, normalize=normalize)
    packed = answer(EMBED, {"embedding": vector}, normalize=normalize, encoding="base64")

    assert np.frombuffer(packed["embedding"], "<f4").tolist() == plain["embedding"]
    assert plain["dimension"] == packed["dimension"] == len(vector)


# --- regions


def drawn(corners: np.ndarray, side: int = 200) -> np.ndarray:
    """A map f32 [side, side] that is 0.9 inside a polygon."""
    canvas = np.zeros((side, side), np.uint8)
    cv2.fillPoly(canvas, [np.round(corners).astype(np.int32)], 1)
    return canvas.astype(np.float32) * np.float32(0.9)


@settings(max_examples=40, deadline=None)
@given(angle=st.floats(-90, 90), width=st.floats(60, 110), height=st.floats(16, 50))
def test_shrunken_kernels_grow_back(angle: float, width: float, height: float) -> None:
    """A rotated rectangle, drawn shrunken as text kernels are, is found again with an IoU above 0.8."""
    # A kernel's own area and perimeter decide how far it grows back: so much smaller it is drawn.
    grown = width * height * 1.6 / (2 * (width + height))
    whole = cv2.boxPoints(((100, 100), (width + 2 * grown, height + 2 * grown), angle))
    kernel = cv2.boxPoints(((100, 100), (width, height), angle))

    found = answer(REGIONS, {"probability": drawn(kernel)}, Geometry.of(200, 200, a_spec(height=200, width=200)))

    (region,) = found["regions"]
    got, wanted = drawn(np.array(region["polygon"]), 400) > 0, drawn(whole, 400) > 0
    assert (got & wanted).sum() / (got | wanted).sum() > 0.8
    assert region["score"] == pytest.approx(0.9, abs=0.01)


def test_specks_are_no_regions() -> None:
    """What is smaller than ``min_side`` is noise; nothing at all is no error; a single pixel may be asked for."""
    probability = np.zeros((50, 50), np.float32)
    assert answer(REGIONS, {"probability": probability})["regions"] == []
    probability[10, 10] = probability[20, 20:22] = 1
    for shape in ("quad", "polygon"):
        assert answer(REGIONS, {"probability": probability}, setting={"shape": shape})["regions"] == []
        unlimited = answer(REGIONS, {"probability": probability}, setting={"shape": shape, "min_side": 0})
        assert unlimited["regions"] == []


def test_polygons_follow_the_outline() -> None:
    """With the shape ``polygon`` an L stays an L, and is not grown."""
    corners = np.float32([[10, 10], [40, 10], [40, 60], [90, 60], [90, 90], [10, 90]])
    found = answer(REGIONS, {"probability": drawn(corners, 100)}, setting={"shape": "polygon"})

    got = drawn(np.array(found["regions"][0]["polygon"]) - 0.5, 100) > 0
    wanted = drawn(corners, 100) > 0
    assert (got & wanted).sum() / (got | wanted).sum() > 0.95


def test_holes_are_no_regions() -> None:
    """A frame is one region, not also the hole that it encloses; what stands in the hole is another."""
    probability = np.zeros((100, 100), np.float32)
    probability[10:90, 10:90], probability[14:86, 14:86], probability[45:60, 30:70] = 1, 0, 1
    found = answer(REGIONS, {"probability": probability}, score_threshold=0)["regions"]

    assert len(found) == 2
    assert found[0]["score"] == 1


def test_regions_are_limited_and_scored() -> None:
    """Regions come best first, at most ``max_regions``, none below the threshold."""
    probability = np.zeros((100, 100), np.float32)
    probability[10:20, 10:60], probability[40:50, 10:60], probability[70:80, 10:60] = 0.6, 0.9, 0.4
    outputs = {"probability": probability}

    assert [round(one["score"], 2) for one in answer(REGIONS, outputs)["regions"]] == [0.9, 0.6]
    assert len(answer(REGIONS, outputs, score_threshold=0)["regions"]) == 3
    assert len(answer(REGIONS, outputs, max_regions=1)["regions"]) == 1


# --- every task

_unit = st.floats(0, 1, width=32)
OUTPUTS = {
    "probabilities": arrays(np.float32, 3, elements=_unit),
    "embedding": arrays(np.float32, 4, elements=st.floats(-5, 5, width=32)),
    "boxes": arrays(np.float32, (5, 4), elements=st.floats(-1, 2, width=32)),
    "scores": arrays(np.float32, 5, elements=_unit),
    "labels": arrays(np.int32, 5, elements=st.integers(0, 5)),
    "masks": arrays(np.float32, (5, 8, 8), elements=_unit),
    "class_map": arrays(np.uint8, (8, 8), elements=st.integers(0, 4)),
    "probability": arrays(np.float32, (24, 24), elements=_unit),
    "segment_map": arrays(np.int32, (8, 8), elements=st.integers(-1, 4)),
    "segment_labels": arrays(np.int32, 5, elements=st.integers(0, 5)),
    "segment_scores": arrays(np.float32, 5, elements=_unit),
    "depth": arrays(np.float32, (8, 8), elements=st.floats(-5, 100, width=32)),
    "alpha": arrays(np.float32, (8, 8), elements=_unit),
    "keypoints": arrays(np.float32, (5, 3, 3), elements=st.floats(-1, 2, width=32)),
    "images": arrays(np.uint8, (24, 24, 3)),
    "restored": arrays(np.uint8, (24, 24, 3)),
    "explained": arrays(np.int32, 2, elements=st.integers(0, 2)),
    "heat": arrays(np.float32, (2, 8, 8), elements=st.floats(-5, 100, width=32)),
}
FORMS = {
    Task.SEGMENT: ("mask_format", MaskFormat),
    Task.DEPTH: ("encoding", MapEncoding),
    Task.MATTE: ("encoding", MapEncoding),
    Task.RESTORE: ("encoding", MapEncoding),
    Task.EXPLAIN: ("encoding", MapEncoding),
}
"""The parameter of a task that chooses the form of its answer."""


@pytest.mark.parametrize("task", Task)
def test_every_task_is_defined(task: Task) -> None:
    """Every task stands in the table with output sets and a result type of which a JSON schema can be made."""
    definition = TASKS[task]

    assert definition.task is task
    # Explain is asked of models for classify.
    assert bool(definition.output_sets) == (task is not Task.EXPLAIN)
    assert TypeAdapter(definition.result).json_schema()["properties"].keys() >= {"image"}


@pytest.mark.parametrize("task", Task)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_answer_has_its_declared_type(task: Task, data: st.DataObject) -> None:
    """Whatever a model puts out, the answer is of the task's result type, in every mode and form."""
    definition = TASKS[task]
    names = data.draw(st.sampled_from(definition.output_sets or CLASSIFY.output_sets[1:]))
    outputs = {name: data.draw(OUTPUTS[name]) for name in sorted(names)}
    size = data.draw(st.tuples(st.integers(1, 90), st.integers(1, 90)))
    name, forms = FORMS.get(task, (None, None))
    parameters = {name: data.draw(st.sampled_from(forms))} if name else {}

    geometry = Geometry.of(*size, data.draw(st.sampled_from(list(MODES.values()))))
    card = a_card(task=Task.CLASSIFY if task is Task.EXPLAIN else task)
    found = answer(definition, outputs, geometry, card, **parameters)

    assert found["image"] == {"width": size[0], "height": size[1]}
    text = json.dumps(found, allow_nan=False, default=lambda data: b64encode(data).decode())
    TypeAdapter(definition.result).validate_json(text)
