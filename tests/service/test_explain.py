"""The route of explanations: heat maps of classifiers that were built to tell."""

from base64 import b64decode
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from contract.image import decode
from contract.repository import CARD, Repository
from contract.task import Task
from contract.tasks.maps import decode_map
from tests.doubles import until
from tests.service.running import BLACK, RED, WHITE, Running, encode, running
from tests.service.tiny_tasks import BY_CAM, explaining_model, outputs_of, write_task
from tests.tiny_models import COLOURS, write_version

HALF_RED = np.zeros((10, 12, 3), np.uint8)
HALF_RED[:, :6] = 255, 40, 0
HALF_RED[:, 6:] = 0, 40, 0


def unpacked(result: dict[str, Any]) -> Any:
    """A result's map as numbers."""
    return decode_map(result["map"] | {"data": b64decode(result["map"]["data"])})


async def test_the_default_is_a_model_that_can_explain(service: Running) -> None:
    """Without a name the model with heat maps answers, though another is the default of classify."""
    answer = (await service.ask("/v1/explain?encoding=npy", encode(HALF_RED))).json()
    result = answer["results"][0]
    assert answer["model"]["name"] == "quadrants"
    assert (result["class"]["label"], result["method"]) == ("red", "cam")
    heat = unpacked(result)
    assert heat.shape == (10, 12)
    assert heat[:, :4].min() > 0.9
    assert heat[:, 8:].max() == 0


async def test_a_class_is_chosen_by_parameter(service: Running) -> None:
    """By label or number, in the query or in JSON; one that is not explained is refused with those that are."""
    for wanted in ("green", "1"):
        answer = await service.ask(f"/v1/explain?class={wanted}", encode(HALF_RED))
        assert answer.json()["results"][0]["class"]["index"] == 1
    refused = await service.ask("/v1/explain?class=blue", encode(HALF_RED))
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_parameters")
    assert "red (0), green (1)" in refused.json()["detail"]


async def test_a_parameter_is_called_as_it_is_documented(service: Running) -> None:
    """An unknown name is refused with the names that callers use."""
    refused = await service.ask("/v1/explain?class_=1", RED)
    assert refused.json()["detail"] == "explain has no parameter 'class_'; it has encoding, class"


async def test_a_model_without_heat_says_how_to_build_one(service: Running) -> None:
    """A classifier that was not built to explain, and a model of another task, are refused each with its reason."""
    plain = await service.ask("/v1/explain?model=colours", RED)
    assert (plain.status_code, plain.json()["code"]) == (404, "model_not_found")
    assert "vitrail-build build NAME --explain" in plain.json()["detail"]
    other = await service.ask("/v1/explain?model=middle", RED)
    assert other.json()["detail"] == "middle is a model for detect, not for explain; see /v1/models"


async def test_without_any_such_model_the_refusal_says_so(tmp_path: Path) -> None:
    """A repository of plain classifiers explains nothing."""
    write_version(tmp_path, "colours")
    async with running(tmp_path) as service:
        refused = await service.ask("/v1/explain", RED)
    assert refused.json()["code"] == "model_not_found"
    assert "--explain" in refused.json()["detail"]


async def test_classify_is_answered_as_ever(service: Running) -> None:
    """A model that can explain answers classify with classes and nothing else."""
    result = (await service.ask("/v1/classify?model=quadrants", encode(HALF_RED))).json()["results"][0]
    assert set(result) == {"image", "classes"}
    assert [item["label"] for item in result["classes"]] == ["red", "green", "blue"]


async def test_what_is_no_number_is_no_answer(service: Running) -> None:
    """A black image has no light to share: the model gives NaN, and the caller an error."""
    answer = await service.ask("/v1/explain", BLACK)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")


async def test_a_plain_picture_has_a_plain_map(service: Running) -> None:
    """White is as bright everywhere: the map is black."""
    result = (await service.ask("/v1/explain", WHITE)).json()["results"][0]
    assert not decode(b64decode(result["map"]["data"])).any()


async def test_the_outputs_are_tensors_like_others(service: Running) -> None:
    """The tensor route gives the heat itself."""
    pixels = np.full((1, 8, 8, 3), 9, np.uint8)
    body = {
        "inputs": [{"name": "images", "shape": [1, 8, 8, 3], "datatype": "UINT8", "data": pixels.ravel().tolist()}],
        "outputs": [{"name": "heat"}],
    }
    answer = (await service.client.post("/v2/models/quadrants/infer", json=body)).json()
    assert answer["outputs"][0]["shape"] == [1, 2, 4, 4]


async def test_no_card_has_this_task(tmp_path: Path) -> None:
    """A version whose card says ``explain`` stays out, with the reason."""
    write_task(tmp_path, "odd", Task.CLASSIFY, explaining_model(), labels=COLOURS)
    card = Repository(tmp_path).version_path("odd", 1) / CARD
    card.write_text(card.read_text().replace('"task":"classify"', '"task":"explain"'))
    async with running(tmp_path) as service:
        version = (await service.client.get("/v1/models/odd")).json()["versions"][0]
    assert version["state"] == "failed"
    assert "outputs are not those of a model for explain" in version["reason"]


async def test_versions_in_traffic_are_compared_as_classifiers(tmp_path: Path) -> None:
    """A request to explain is copied to a shadow like any other, and the two versions' classes are compared."""
    model = explaining_model()
    for version in (1, 2):
        fields: dict[str, Any] = {"labels": COLOURS, "task_settings": BY_CAM}
        write_version(tmp_path, "quadrants", version, model=model, outputs=outputs_of(model), **fields)
    routing = {"models": {"quadrants": {"aliases": {"stable": 1}, "shadow": 2}}}
    (tmp_path / "routing.yaml").write_text(yaml.safe_dump(routing))
    async with running(tmp_path) as service:
        assert (await service.ask("/v1/explain", encode(HALF_RED))).status_code == 200
        rollout = service.application.rollout
        await until(lambda: bool(rollout.comparisons("quadrants")))
        (comparison,) = rollout.comparisons("quadrants").values()
    assert (comparison.images, comparison.share) == (1, 0)
    assert set(comparison.figures) == {"top1_flip", "total_variation"}
