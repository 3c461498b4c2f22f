"""Extremes: whatever a model puts out for whatever image, the answer is one of numbers, or UnusableOutput."""

import json
from base64 import b64encode
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from contract.preprocess import Geometry, PreprocessSpec
from contract.task import Task
from contract.tasks.classify import CLASSIFY
from contract.tasks.definition import TaskDefinition, UnusableOutput
from contract.tasks.detect import DETECT
from contract.tasks.keypoints import KEYPOINTS
from contract.tasks.maps import MapEncoding
from contract.tasks.masks import MaskFormat
from contract.tasks.regions import REGIONS
from contract.tasks.segment import SEGMENT
from contract.tasks.table import TASKS
from tests.cards import a_card
from tests.contract.answers import MODES, answer

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIZES = [(1, 1), (1, 20_000), (20_000, 1)]
_ANY = st.floats(width=32, allow_nan=True, allow_infinity=True) | st.sampled_from([3e38, -3e38, 1e-45, 0.5, 1.0])
_SHAPES: dict[str, tuple[int, ...]] = {
    "probabilities": (3,),
    "embedding": (4,),
    "boxes": (5, 4),
    "scores": (5,),
    "masks": (5, 4, 4),
    "probability": (9, 9),
    "segment_scores": (5,),
    "depth": (3, 3),
    "alpha": (3, 3),
    "keypoints": (5, 3, 3),
    "heat": (2, 3, 3),
}
WHOLE = {
    "labels": np.arange(5, dtype=np.int32),
    "class_map": np.arange(16, dtype=np.uint8).reshape(4, 4) % 3,
    "segment_map": np.arange(16, dtype=np.int32).reshape(4, 4) % 6 - 1,
    "segment_labels": np.arange(5, dtype=np.int32),
    "images": np.full((20, 20, 3), 7, np.uint8),
    "restored": np.full((20, 20, 3), 7, np.uint8),
    "explained": np.int32([2, 0]),
}
KINDS = [(task, names) for task in TASKS.values() for names in task.output_sets or CLASSIFY.output_sets[1:]]
NAMES = [f"{task.task} {'+'.join(sorted(names))}" for task, names in KINDS]
FORMS: dict[str, Any] = {"mask_format": MaskFormat, "encoding": MapEncoding}


def in_json(result: Any) -> str:
    """A result in JSON, which has no NaN and no infinity."""
    return json.dumps(result, allow_nan=False, default=lambda data: b64encode(data).decode())


def answered(definition: TaskDefinition, outputs: dict[str, Any], geometry: Geometry, **parameters: Any) -> Any:
    """An answer at a threshold of 0, so that everything is in it."""
    if "score_threshold" in definition.parameters.model_fields:
        parameters["score_threshold"] = 0
    card = a_card(task=Task.CLASSIFY if definition.task is Task.EXPLAIN else definition.task)
    return answer(definition, outputs, geometry, card, **parameters)


@pytest.mark.parametrize(("definition", "names"), KINDS, ids=NAMES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_answer_holds_what_is_no_number(
    definition: TaskDefinition, names: frozenset[str], data: st.DataObject
) -> None:
    """Of any floats at all, NaN and the largest among them, an answer is made of numbers, or none is made."""
    floats = {
        name: data.draw(arrays(np.float32, _SHAPES[name], elements=_ANY)) for name in sorted(names & _SHAPES.keys())
    }
    outputs = {**floats, **{name: WHOLE[name] for name in names & WHOLE.keys()}}
    geometry = Geometry.of(7, 5, data.draw(st.sampled_from(list(MODES.values()))))
    fields = definition.parameters.model_fields
    parameters = {name: data.draw(st.sampled_from(forms)) for name, forms in FORMS.items() if name in fields}

    try:
        result = answered(definition, outputs, geometry, **(parameters if definition.task is not Task.EMBED else {}))
    except UnusableOutput:
        return
    assert in_json(result)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("definition", "names"), KINDS, ids=NAMES)
def test_any_image_has_an_answer(
    definition: TaskDefinition, names: frozenset[str], mode: str, size: tuple[int, int]
) -> None:
    """An image of one pixel and one of twenty thousand in a row are answered, by every task, in every mode."""
    rng = np.random.default_rng(0)
    outputs = {name: rng.random(_SHAPES[name], np.float32) if name in _SHAPES else WHOLE[name] for name in names}
    result = answered(definition, outputs, Geometry.of(*size, MODES[mode]))

    assert result["image"] == {"width": size[0], "height": size[1]}
    assert in_json(result)


@pytest.mark.parametrize("count", [0, 10_000])
@pytest.mark.parametrize("boxed", [False, True])
def test_any_number_of_findings_has_an_answer(count: int, boxed: bool) -> None:
    """No detections and ten thousand are answered, all of them, best first."""
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.5, 1, count).astype(np.float32)
    outputs = {"scores": scores, "labels": np.zeros(count, np.int32), "boxes": rng.random((count, 4), np.float32)}
    people = {"scores": scores, "keypoints": rng.random((count, 3, 3), np.float32)}
    if boxed:
        people["boxes"] = outputs["boxes"]

    objects = answer(DETECT, outputs, max_objects=10_000)["objects"]
    found = answer(KEYPOINTS, people, max_people=10_000)["people"]
    assert len(objects) == len(found) == count
    assert [one["score"] for one in objects] == sorted((one["score"] for one in objects), reverse=True)
    assert in_json([objects, found])


@pytest.mark.parametrize("count", [0, 10_000])
def test_any_number_of_masks_has_an_answer(count: int) -> None:
    """Of ten thousand instances the best hundred are answered; of none, none, in every form."""
    outputs = {
        "scores": np.linspace(1, 0.5, count, dtype=np.float32),
        "labels": np.zeros(count, np.int32),
        "boxes": np.zeros((count, 4), np.float32),
        "masks": np.ones((count, 2, 2), np.float32),
    }
    for form in MaskFormat:
        assert len(answer(SEGMENT, outputs, mask_format=form)["segments"]) == min(count, 100)


def test_many_regions_have_an_answer() -> None:
    """A map full of specks gives as many regions as are asked for."""
    probability = np.zeros((400, 400), np.float32)
    probability.reshape(100, 4, 100, 4)[:, :3, :, :3] = 0.9
    setting = {"min_side": 0, "shape": "polygon"}
    geometry = Geometry.of(400, 400, spec_of(400))

    assert (
        len(answer(REGIONS, {"probability": probability}, geometry, setting=setting, max_regions=10_000)["regions"])
        == 10_000
    )


def spec_of(side: int) -> PreprocessSpec:
    """A specification that stretches to a square."""
    return MODES["stretch"].model_copy(update={"height": side, "width": side})
