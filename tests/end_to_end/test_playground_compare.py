"""Two versions side by side in the playground: what differs is what the service itself would say."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from contract.task import Task
from service.rollout.disagreement import disagreement
from tests.end_to_end.gateway import gateway
from tests.end_to_end.test_playground import BROWSER, PLACED, browser, choose_task, colours_at, detections, playground
from tests.service.tiny_hostile import constant
from tests.service.tiny_tasks import (
    brightness_model,
    doubling_model,
    object_model,
    outputs_of,
    people_model,
    write_task,
)
from tests.tiny_models import COLOURS, SIDE, colour_model, embedding_model, write_version

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")

__all__ = ["browser"]
MOVED = [
    ((0.02, 0.02, 0.42, 0.42), 0.85, 0),
    ((0.5, 0.5, 1, 1), 0.8, 2),
    ((0.05, 0.6, 0.3, 0.95), 0.6, 1),
]
"""Beside PLACED: the first is shifted, the second has another label, the third stands elsewhere."""
BOTH, RELABELLED, ONLY_FIRST, ONLY_SECOND = (39, 176, 119), (200, 50, 74), (47, 85, 212), (233, 162, 59)
"""The page's colours for what became of an object."""


def below(limit: float) -> Any:
    """Segment, semantic: class 1 where the picture is darker than a limit, class 0 elsewhere."""
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", SIDE, SIDE, 3])
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "channels"], ["grey"], keepdims=0),
        helper.make_node("Less", ["grey", "limit"], ["dark"]),
        helper.make_node("Cast", ["dark"], ["class_map"], to=TensorProto.UINT8),
    ]
    constants = {"channels": np.int64([3]), "limit": np.float32(limit)}
    values = [helper.make_tensor_value_info("class_map", TensorProto.UINT8, ["batch", SIDE, SIDE])]
    initialisers = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "below", [images], values, initialisers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def write_versions(root: Path, name: str, task: Task, models: list[Any], **fields: Any) -> None:
    """Write versions of one model that differ in their graphs."""
    for number, model in enumerate(models, 1):
        write_version(root, name, number, task=task, model=model, outputs=outputs_of(model), **fields)


@pytest.fixture(scope="module")
def service_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a service with two versions of a model for each way of comparing."""
    root = tmp_path_factory.mktemp("models")
    write_versions(root, "colours", Task.CLASSIFY, [colour_model(), colour_model(2.0)], labels=COLOURS)
    write_task(root, "shares", Task.CLASSIFY, colour_model(1.0), labels=COLOURS)
    boxes = [constant(detections(PLACED)), constant(detections(MOVED))]
    write_versions(root, "boxes", Task.DETECT, boxes, labels=COLOURS)
    write_versions(root, "ground", Task.SEGMENT, [below(128), below(250)], labels=COLOURS)
    left = np.zeros((1, 1, SIDE, SIDE), np.float32)
    left[..., :3] = 1
    segments = constant({**detections([((0, 0, 0.4, 1), 0.8, 0)]), "masks": left})
    write_versions(root, "blobs", Task.SEGMENT, [object_model(masks=True), segments], labels=COLOURS)
    lines = [brightness_model(), constant({"probability": left[0]})]
    write_versions(root, "bright", Task.REGIONS, lines, task_settings={"min_side": 1})
    joints = np.array([[[[0.27, 0.25, 0.9], [0.5, 0.54, 0.8], [0.75, 0.75, 0.1]]]], np.float32)
    people = [people_model(), constant({"keypoints": joints, "scores": np.full((1, 1), 0.6, np.float32)})]
    write_versions(root, "diagonal", Task.KEYPOINTS, people)
    grey = constant({"restored": np.full((1, 2 * SIDE, 2 * SIDE, 3), 90, np.uint8)})
    write_versions(root, "double", Task.RESTORE, [doubling_model(), grey])
    write_versions(root, "means", Task.EMBED, [embedding_model(), embedding_model()])
    depths = [brightness_model("depth"), constant({"depth": np.ones((1, SIDE, SIDE), np.float32)})]
    write_versions(root, "distances", Task.DEPTH, depths, task_settings={"quantity": "metres"})
    mattes = [brightness_model("alpha"), constant({"alpha": np.full((1, SIDE, SIDE), 0.5, np.float32)})]
    write_versions(root, "cut-out", Task.MATTE, mattes)
    with gateway(root, tmp_path_factory.mktemp("service") / "log", threads=2) as running:
        yield running.url


@pytest.fixture
def page(browser: sync_api.Browser, service_url: str) -> Iterator[sync_api.Page]:
    """The playground before that service."""
    with playground(browser, service_url) as page:
        yield page


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of 320 x 160: bright and reddish on the left, dark on the right."""
    pixels = np.full((160, 320, 3), 20, np.uint8)
    pixels[:, :160] = (230, 200, 150)
    path = tmp_path_factory.mktemp("pictures") / "halves.png"
    Image.fromarray(pixels).save(path)
    return path


def compare(page: sync_api.Page, picture: Path, task: str, first: str, second: str) -> float:
    """Show two answers side by side; the share that differs, as the page has it."""
    name, _, version = first.partition(":")
    choose_task(page, task)
    page.locator("#model").select_option(name)
    page.locator("#version").select_option(f":{version}")
    page.set_input_files("#file", picture)
    page.locator("#rival").select_option(second)
    page.wait_for_selector('#comparison[aria-busy="false"][data-share]')
    sync_api.expect(page.locator("#answer-heading")).to_have_text("Difference")
    sync_api.expect(page.locator("#count")).to_contain_text("apart")
    return float(page.locator("#comparison").get_attribute("data-share") or "nan")


def of_service(url: str, picture: Path, task: Task, first: str, second: str, **parameters: str) -> float:
    """The same share by the service's own rules, from the answers that it gives."""
    results = []
    for model in (first, second):
        answer = httpx.post(
            f"{url}/v1/{task}", params={"model": model, **parameters}, content=picture.read_bytes(), timeout=30
        )
        result = answer.json()["results"][0]
        if "map" in result:
            result["map"]["data"] = base64.b64decode(result["map"]["data"])
        results.append(result)
    return disagreement(task, *results).share


def test_objects_are_matched(page: sync_api.Page, halves: Path, service_url: str) -> None:
    """What both found is paired with its IoU, what one found is said to be its own; the share is the service's."""
    share = compare(page, halves, "Detect", "boxes:1", "boxes:2")

    assert share == pytest.approx(of_service(service_url, halves, Task.DETECT, "boxes:1", "boxes:2"), abs=1e-3)
    sync_api.expect(page.locator("#answer .verdict")).to_have_text(
        "1 in both, mean IoU 0.82 · 1 under another label · 1 only in A · 1 only in B"
    )
    rows = page.locator("#answer li").all_inner_texts()
    assert [re.sub(r"\s+", " ", row) for row in rows] == [
        *("green → blue IoU 1.00", "red only A · 70 %", "green only B · 60 %", "red IoU 0.82")
    ]


def test_what_became_of_an_object_is_its_colour(page: sync_api.Page, halves: Path) -> None:
    """Boxes of both, of one side, and of another label have a colour each, on the side where they were found."""
    compare(page, halves, "Detect", "boxes:1", "boxes:2")
    places = {(0.2, 0.4): BOTH, (0.75, 0.5): RELABELLED, (0.7, 0.8): ONLY_FIRST}
    first = colours_at(page, list(places), "side-canvas-0")
    second = colours_at(page, [(0.2, 0.42), (0.75, 0.5), (0.15, 0.95)], "side-canvas-1")

    assert np.abs(first - list(places.values())).max() < 60
    assert np.abs(second - [BOTH, RELABELLED, ONLY_SECOND]).max() < 60


def test_an_object_is_pointed_out_on_both_sides(page: sync_api.Page, halves: Path) -> None:
    """A pointer over an object on one side lifts its row, and on the other side its like."""
    compare(page, halves, "Detect", "boxes:1", "boxes:2")
    other = [(0.15, 0.95)]
    plain = colours_at(page, other, "side-canvas-1")
    box = page.locator("#side-canvas-0").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.2 * box["height"])

    sync_api.expect(page.locator("#answer li.lifted")).to_contain_text("IoU 0.82")
    assert np.abs(colours_at(page, other, "side-canvas-1") - plain).max() > 20


def test_pixels_that_differ_are_shown(page: sync_api.Page, halves: Path, service_url: str) -> None:
    """Where two label maps differ the map is bright, elsewhere dark; how much it is stands beside it."""
    share = compare(page, halves, "Segment", "ground:1", "ground:2")
    bright, dark = colours_at(page, [(0.2, 0.5), (0.9, 0.5)], "apart-canvas").mean(axis=1)

    assert share == pytest.approx(of_service(service_url, halves, Task.SEGMENT, "ground:1", "ground:2"), abs=1e-3)
    sync_api.expect(page.locator("#answer .verdict")).to_contain_text(re.compile(r"^(5[0-9]|4[5-9]) % of the pixels"))
    assert bright - dark > 100


def test_classes_stand_beside_one_another(page: sync_api.Page, halves: Path, service_url: str) -> None:
    """Each class has both scores; the share is the service's."""
    share = compare(page, halves, "Classify", "colours:1", "colours:2")

    assert share == pytest.approx(of_service(service_url, halves, Task.CLASSIFY, "colours:1", "colours:2"), abs=1e-4)
    assert share > 0.05
    sync_api.expect(page.locator("#answer li .score").first).to_have_text(re.compile(r"^(\d+) % · (?!\1)\d+ %$"))


def test_two_models_are_compared_by_their_labels(page: sync_api.Page, halves: Path) -> None:
    """Classes of two models are the same where their names are."""
    compare(page, halves, "Classify", "colours:1", "shares")

    sync_api.expect(page.locator("#answer li")).to_have_count(3)
    sync_api.expect(page.locator("#side-name-1")).to_have_text("shares")


@pytest.mark.parametrize(
    ("task", "model", "tolerance"),
    [
        (Task.SEGMENT, "blobs", 1e-3),
        (Task.REGIONS, "bright", 0.02),
        (Task.KEYPOINTS, "diagonal", 1e-3),
        (Task.DEPTH, "distances", 1e-4),
        (Task.MATTE, "cut-out", 5e-3),
        (Task.RESTORE, "double", 1e-4),
    ],
)
def test_the_share_is_the_services(
    page: sync_api.Page, halves: Path, service_url: str, task: Task, model: str, tolerance: float
) -> None:
    """Masks, polygons, people and maps are apart by what the service says, to what a raster of 64 or of 256 allows."""
    share = compare(page, halves, task.title(), f"{model}:1", f"{model}:2")
    encoding = {"encoding": "npy"} if task in (Task.DEPTH, Task.MATTE) else {}
    expected = of_service(service_url, halves, task, f"{model}:1", f"{model}:2", **encoding)

    assert 0.01 < expected < 1
    assert share == pytest.approx(expected, abs=tolerance)


def test_equal_vectors_are_not_apart(page: sync_api.Page, halves: Path) -> None:
    """Two versions that compute the same have a cosine of 1."""
    assert compare(page, halves, "Embed", "means:1", "means:2") == pytest.approx(0, abs=1e-6)
    sync_api.expect(page.locator("#answer .verdict")).to_contain_text("Cosine 1.0000")


def test_both_are_asked_at_once(page: sync_api.Page, halves: Path) -> None:
    """The second request does not wait for the first one's answer; the times of both stand side by side."""
    choose_task(page, "Classify")
    page.set_input_files("#file", halves)
    page.wait_for_selector("#timings-card:not([hidden])")
    held: list[sync_api.Route] = []
    page.route("**/v1/classify?*", lambda route: held.append(route))  # noqa: PLW0108
    page.locator("#rival").select_option("shares")
    for _ in range(100):
        if len(held) == 2:
            break
        page.wait_for_timeout(20)
    for route in held:
        route.continue_()

    sync_api.expect(page.locator("#answer-heading")).to_have_text("Difference")
    sync_api.expect(page.locator("#timings li.compute .pair")).to_have_count(2)
    assert len(held) == 2


def test_an_error_of_one_does_not_hide_the_other(page: sync_api.Page, halves: Path) -> None:
    """Where one side is refused, that side says why, and the other shows what it found."""
    problem = {"title": "Overloaded", "detail": "try again", "code": "overloaded", "request_id": "x"}
    page.route("**/v1/detect?model=boxes:2*", lambda route: route.fulfill(status=429, json=problem))
    choose_task(page, "Detect")
    page.locator("#version").select_option(":1")
    page.set_input_files("#file", halves)
    page.locator("#rival").select_option("boxes:2")

    sync_api.expect(page.locator("#side-problem-1")).to_contain_text("Overloaded: try again (overloaded)")
    sync_api.expect(page.locator("#side-facts-0")).to_contain_text("3 objects")
    sync_api.expect(page.locator("#waiting")).to_contain_text("boxes:2 gave no answer")
    assert np.abs(colours_at(page, [(0.2, 0.4)], "side-canvas-0") - ONLY_FIRST).max() < 60
    page.unroute_all()
    page.get_by_role("button", name="Ask both again").click()
    sync_api.expect(page.locator("#answer .verdict")).to_contain_text("1 in both")


def test_the_threshold_holds_for_both(page: sync_api.Page, halves: Path) -> None:
    """The slider filters both sides and compares anew, without another request."""
    compare(page, halves, "Detect", "boxes:1", "boxes:2")
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    page.locator("#score").fill("0.75")

    sync_api.expect(page.locator("#side-facts-0")).to_contain_text("2 objects")
    sync_api.expect(page.locator("#answer li")).to_have_count(2)
    assert addresses == []


def test_leaving_the_comparison_shows_the_picture_alone(page: sync_api.Page, halves: Path) -> None:
    """With nothing to compare with, the picture stands alone again, with its answer."""
    compare(page, halves, "Detect", "boxes:1", "boxes:2")
    page.locator("#rival").select_option("")

    sync_api.expect(page.locator("#comparison")).to_be_hidden()
    sync_api.expect(page.locator("#canvas")).to_be_visible()
    sync_api.expect(page.locator("#answer li")).to_have_count(3)


def test_a_narrow_phone_shows_both(page: sync_api.Page, halves: Path) -> None:
    """At 360 pixels the sides stand below one another, and nothing is wider than the screen."""
    page.set_viewport_size({"width": 360, "height": 740})
    compare(page, halves, "Detect", "boxes:1", "boxes:2")
    first, second = (page.locator(f"#side-canvas-{side}").bounding_box() for side in (0, 1))

    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert first is not None
    assert second is not None
    assert second["y"] > first["y"] + first["height"]
