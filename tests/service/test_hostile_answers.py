"""Answers that are hard to give: what is no number, nothing at all, far too much, and images of absurd shapes."""

import io
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from contract.tasks.masks import MaskFormat
from contract.tasks.table import TASKS
from tests.service.running import BLACK, WHITE, Running, picture, running
from tests.service.tiny_hostile import MANY, SPOILED, write_crowds, write_segmenters, write_spoiled

SHAPES = [(1, 1), (20_000, 1), (1, 20_000)]


def strictly(content: bytes) -> Any:
    """JSON as a strict reader takes it: no NaN, no infinities, and nothing that is null."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} in JSON")

    value = json.loads(content, parse_constant=refuse)
    assert b"null" not in content
    return value


def route(name: str) -> str:
    """Where a model of `tiny_hostile` is asked."""
    task = "segment" if name in ("instances", "panoptic") else name
    return f"/v1/{task}?model={name}"


@pytest.fixture(scope="module")
def crowds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models that find 10,000 of everything."""
    root = tmp_path_factory.mktemp("crowds")
    write_crowds(root)
    return root


@pytest.fixture
async def crowded(crowds: Path) -> AsyncIterator[Running]:
    """A service over them."""
    async with running(crowds) as service:
        yield service


@pytest.fixture(scope="module")
def segmenters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of each of the three ways to segment."""
    root = tmp_path_factory.mktemp("segmenters")
    write_segmenters(root)
    return root


@pytest.fixture
async def segmenting(segmenters: Path) -> AsyncIterator[Running]:
    """A service over them."""
    async with running(segmenters) as service:
        yield service


# --- what is no number


@pytest.mark.parametrize("number", ["nan", "inf"])
@pytest.mark.parametrize(("name", "output"), SPOILED)
async def test_what_is_no_number_is_an_error(tmp_path: Path, name: str, output: str, number: str) -> None:
    """A model that puts out NaN or infinity gives an ``internal`` problem that says so, as JSON and as a picture."""
    write_spoiled(tmp_path, name, output, float(number))
    async with running(tmp_path) as service:
        good = await service.ask(route(name), picture(200, 40, 40))
        bad = [await service.ask(route(name), WHITE, accept=accept) for accept in ("*/*", "image/png")]
    assert good.status_code == 200
    strictly(good.content)
    for response in bad:
        problem = strictly(response.content)
        assert (response.status_code, problem["code"]) == (500, "internal")
        assert f"{name}: the model put out values in {output} that are not numbers" in problem["detail"]


async def test_one_image_without_numbers_fails_the_request(tmp_path: Path) -> None:
    """Among several images the one for which the model has no numbers fails all, whatever the others would get."""
    write_spoiled(tmp_path, "embed", "embedding", float("nan"))
    async with running(tmp_path) as service:
        files = [("image", ("image.png", data, "image/png")) for data in (WHITE, WHITE)]
        response = await service.client.post("/v1/embed", files=files)
    assert (response.status_code, response.json()["code"]) == (500, "internal")


# --- nothing


@pytest.mark.parametrize(
    ("task", "found"),
    [("detect", "objects"), ("segment", "segments"), ("regions", "regions"), ("keypoints", "people")],
)
async def test_nothing_found_is_an_answer(service: Running, task: str, found: str) -> None:
    """Where nothing is found the list is empty, and the picture the image itself."""
    response = await service.ask(f"/v1/{task}", BLACK)
    drawn = await service.ask(f"/v1/{task}", BLACK, accept="image/png")
    result = strictly(response.content)["results"][0]
    assert (response.status_code, result[found]) == (200, [])
    assert result["image"] == {"width": 12, "height": 10}
    with Image.open(io.BytesIO(drawn.content)) as image:
        assert (image.size, image.getextrema()) == ((12, 10), ((0, 0),) * 3)


# --- far too much


@pytest.mark.parametrize(
    ("path", "found"),
    [("/v1/detect?max_objects=10000", "objects"), ("/v1/keypoints?max_people=10000", "people")],
)
async def test_ten_thousand_findings(crowded: Running, path: str, found: str) -> None:
    """All of them are answered where the caller wants all, best first, and they can be drawn."""
    image = picture(90, 90, 90, width=400, height=300)
    result = strictly((await crowded.ask(path, image)).content)["results"][0]
    drawn = await crowded.ask(path, image, accept="image/png")
    scores = [one["score"] for one in result[found]]
    assert len(scores) == MANY
    assert scores == sorted(scores, reverse=True)
    assert drawn.status_code == 200
    with Image.open(io.BytesIO(drawn.content)) as picture_of_all:
        assert picture_of_all.size == (400, 300)


@pytest.mark.parametrize(("path", "found"), [("/v1/detect", "objects"), ("/v1/keypoints", "people")])
async def test_no_more_than_a_hundred_unless_asked_for(crowded: Running, path: str, found: str) -> None:
    """By default the hundred best are answered."""
    result = strictly((await crowded.ask(path, WHITE)).content)["results"][0]
    assert len(result[found]) == 100
    assert result[found][-1]["score"] > 0.89


# --- absurd shapes


@pytest.mark.parametrize("task", [task for task, definition in TASKS.items() if not definition.clips])
async def test_images_of_absurd_shapes(service: Running, task: str) -> None:
    """An image of one pixel, row or column is answered by every task, in JSON and as a picture of its size."""
    factor = 2 if task == "restore" else 1
    for width, height in SHAPES:
        image = picture(250, 240, 230, width=width, height=height)
        response = await service.ask(f"/v1/{task}", image)
        drawn = await service.ask(f"/v1/{task}", image, accept="image/png")
        assert (response.status_code, drawn.status_code) == (200, 200)
        assert strictly(response.content)["results"][0]["image"] == {"width": width, "height": height}
        with Image.open(io.BytesIO(drawn.content)) as opened:
            assert opened.size == (factor * width, factor * height)


@pytest.mark.parametrize("form", MaskFormat)
async def test_masks_of_absurd_shapes(segmenting: Running, form: MaskFormat) -> None:
    """A mask of one pixel, row or column has a form in every format, and the whole image is its area."""
    for kind, (width, height) in itertools.product(["instances", "panoptic", "semantic"], SHAPES):
        image = picture(255, 255, 255, width=width, height=height)
        response = await segmenting.ask(f"/v1/segment?model={kind}&mask_format={form}", image)
        (segment,) = strictly(response.content)["results"][0]["segments"]
        assert segment["area"] == width * height
        assert segment["box"] == {"x1": 0, "y1": 0, "x2": width, "y2": height}
        assert ("mask" in segment) == (form is not MaskFormat.NONE)
