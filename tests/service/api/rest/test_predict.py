"""The routes of the tasks: typed answers, pictures, times, identities, deadlines."""

import asyncio
import re
from base64 import b64decode
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.image import decode
from contract.task import Task
from contract.tasks.maps import decode_map, decode_pixels
from contract.tasks.table import TASKS
from service.app import Application
from tests.doubles import until
from tests.service.running import BLACK, BLUE, GREEN, RED, WHITE, Running, encode, picture, running
from tests.service.tiny_tasks import A_TRIMAP, panoptic_model, trimap_model, write_task
from tests.tiny_models import COLOURS, write_version

ANSWERS = {
    Task.CLASSIFY: {"classes"},
    Task.DETECT: {"objects"},
    Task.SEGMENT: {"segments"},
    Task.EMBED: {"embedding", "dimension"},
    Task.REGIONS: {"regions"},
    Task.DEPTH: {"map", "quantity"},
    Task.MATTE: {"map"},
    Task.KEYPOINTS: {"people"},
    Task.RESTORE: {"map"},
    Task.EXPLAIN: {"class", "method", "map"},
}


@pytest.mark.parametrize("task", ANSWERS)
async def test_every_task_answers_in_its_form(service: Running, task: Task) -> None:
    """A result tells the image's size and what the task found; the answer tells model, times and request."""
    response = await service.ask(f"/v1/{task}", WHITE)
    answer = response.json()
    assert response.status_code == 200
    assert set(answer) == {"model", "results", "timings_ms", "request_id"}
    assert set(answer["results"][0]) == {"image", *ANSWERS[task]}
    assert answer["results"][0]["image"] == {"width": 12, "height": 10}
    assert len(answer["results"][0][min(ANSWERS[task] - {"dimension"})]) > 0


def test_every_task_of_images_is_tried_here() -> None:
    """The table above, which the tests of this file go through, holds every task that takes images."""
    assert set(ANSWERS) == {task.task for task in TASKS.values() if not task.clips}


async def test_clips_have_no_route_for_images(service: Running) -> None:
    """A model of clips is loaded and listed, its golden outputs replayed; an image cannot be sent to it."""
    model = (await service.client.get("/v1/models/clips")).json()
    assert (model["task"], model["versions"][0]["state"]) == ("classify-video", "ready")
    assert (await service.ask("/v1/classify-video", RED)).status_code == 404
    assert (await service.ask("/v1/classify?model=clips", RED)).json()["code"] == "model_not_found"


def unpacked(dense: dict[str, Any]) -> Any:
    """A map as JSON has it, with its bytes as bytes."""
    return {**dense, "data": b64decode(dense["data"])}


async def test_maps_come_as_pictures_or_as_numbers(service: Running) -> None:
    """Depth and matte come as the PNG or the NPY that is asked for, of the image's size and with its values."""
    grey = picture(51, 51, 51)
    for task in ("depth", "matte"):
        for encoding in ("png", "npy"):
            dense = (await service.ask(f"/v1/{task}?encoding={encoding}", grey)).json()["results"][0]["map"]
            assert dense["format"] == encoding
            np.testing.assert_allclose(decode_map(unpacked(dense)), np.full((10, 12), 0.2), atol=1e-3)


async def test_people_are_found_where_they_are(service: Running) -> None:
    """Key points come by name, in pixels of the image as sent."""
    (person,) = (await service.ask("/v1/keypoints", WHITE)).json()["results"][0]["people"]
    joints = [(point["name"], point["x"], point["y"]) for point in person["keypoints"]]
    assert joints == [("head", 3, 2.5), ("hand", 6, 5), ("foot", 9, 7.5)]
    assert person["box"] == {"x1": 3, "y1": 2.5, "x2": 6, "y2": 5}
    assert (await service.ask("/v1/keypoints", BLACK)).json()["results"][0]["people"] == []


async def test_a_restored_picture_is_enlarged(service: Running) -> None:
    """What a model that doubles gives back is twice the image as sent, in its colours."""
    dense = (await service.ask("/v1/restore", RED)).json()["results"][0]["map"]
    np.testing.assert_array_equal(decode_pixels(unpacked(dense)), np.full((20, 24, 3), (255, 0, 0), np.uint8))


async def test_a_trimap_travels_as_alpha(tmp_path: Path) -> None:
    """A model that wants a trimap gets the alpha channel; a picture without one is refused, and told why."""
    write_task(tmp_path, "cut-out", Task.MATTE, trimap_model(), preprocess=A_TRIMAP)
    rgba = np.full((8, 8, 4), 200, np.uint8)
    rgba[:, :, 3] = np.repeat([0, 128, 255, 0], 2)
    async with running(tmp_path) as service:
        dense = (await service.ask("/v1/matte?encoding=npy", encode(rgba))).json()["results"][0]["map"]
        drawn = await service.ask("/v1/matte", encode(rgba), Accept="image/png")
        refused = await service.ask("/v1/matte", RED)
    np.testing.assert_allclose(decode_map(unpacked(dense)), rgba[:, :, 3] / 255, atol=1e-6)
    assert decode(drawn.content)[4, 5].tolist() == [200, 200, 200]
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_image")
    assert "alpha channel is the trimap" in refused.json()["detail"]


async def test_a_panoptic_model_answers_like_one_of_instances(tmp_path: Path) -> None:
    """Each segment of a panoptic model has its label, score and mask."""
    write_task(tmp_path, "scene", Task.SEGMENT, panoptic_model(), labels=COLOURS)
    half = np.zeros((16, 16, 3), np.uint8)
    half[:, 8:] = 255
    async with running(tmp_path) as service:
        (segment,) = (await service.ask("/v1/segment", encode(half))).json()["results"][0]["segments"]
    assert (segment["label"], segment["score"], segment["area"]) == ("red", 0.75, 128)
    assert segment["box"] == {"x1": 8, "y1": 0, "x2": 16, "y2": 16}


async def test_many_images_keep_their_order(service: Running) -> None:
    """The results of one request come in the order of its images."""
    order = [RED, GREEN, BLUE, BLUE, GREEN, RED, GREEN, RED, BLUE, GREEN, RED]
    response = await service.client.post("/v1/classify", files=[("image", image) for image in order])
    expected = [{RED: "red", GREEN: "green", BLUE: "blue"}[image] for image in order]
    assert [result["classes"][0]["label"] for result in response.json()["results"]] == expected


@pytest.mark.parametrize(
    ("selector", "model"),
    [
        ("", {"name": "colours", "version": "2", "alias": "stable"}),
        ("?model=colours", {"name": "colours", "version": "2", "alias": "stable"}),
        ("?model=colours@stable", {"name": "colours", "version": "2", "alias": "stable"}),
        ("?model=colours:1", {"name": "colours", "version": "1"}),
    ],
)
async def test_the_model_is_chosen_by_its_selector(service: Running, selector: str, model: dict[str, str]) -> None:
    """The answer tells which version gave it, and by which alias it was found."""
    assert (await service.ask(f"/v1/classify{selector}", RED)).json()["model"] == model


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/classify?model=nothing", 404, "model_not_found"),
        ("/v1/classify?model=colours:9", 404, "model_not_found"),
        ("/v1/classify?model=colours@canary", 404, "model_not_found"),
        ("/v1/classify?model=means", 404, "model_not_found"),
        ("/v1/classify?model=../etc", 422, "invalid_parameters"),
        ("/v1/classify?model=", 422, "invalid_parameters"),
        ("/v1/classify?top_k=0", 422, "invalid_parameters"),
        ("/v1/classify?unknown=1", 422, "invalid_parameters"),
        ("/v1/embed?encoding=png", 422, "invalid_parameters"),
        ("/v1/depth?encoding=json", 422, "invalid_parameters"),
        ("/v1/keypoints?max_people=0", 422, "invalid_parameters"),
        ("/v1/detect?labels=zebra", 422, "invalid_parameters"),
        ("/v1/segment?mask_format=gif", 422, "invalid_parameters"),
    ],
)
async def test_what_makes_no_sense_is_refused(service: Running, path: str, status: int, code: str) -> None:
    """Each mistake gets its documented status and code, and the request's id."""
    response = await service.ask(path, RED, X_Request_Id="mine")
    problem = response.json()
    assert (response.status_code, problem["code"], problem["status"]) == (status, code, status)
    assert problem["request_id"] == response.headers["x-request-id"] == "mine"


async def test_the_two_accounts_of_time_agree(service: Running) -> None:
    """``Server-Timing`` and ``timings_ms`` hold the same stages with the same times."""
    response = await service.ask("/v1/segment", WHITE)
    header = dict(re.findall(r"(\w+);dur=([\d.]+)", response.headers["server-timing"]))
    times = response.json()["timings_ms"]
    total = times.pop("total")
    assert {stage: float(value) for stage, value in header.items()} == pytest.approx(times)
    assert total == pytest.approx(sum(times.values()), abs=0.005)
    assert min(times.values()) >= 0


async def test_a_callers_id_is_kept(service: Running) -> None:
    """The caller's id is in the header and in the body of the answer."""
    response = await service.ask("/v1/classify", RED, X_Request_Id="order-66")
    assert response.headers["x-request-id"] == response.json()["request_id"] == "order-66"


@pytest.mark.parametrize("given", [None, "", "x" * 129, "tab\there"])
async def test_an_id_is_made_where_there_is_no_sane_one(service: Running, given: str | None) -> None:
    """Without an id, or with an odd one, a new one is made; each request has its own."""
    headers = {} if given is None else {"X_Request_Id": given}
    ids = {(await service.ask("/v1/classify", RED, **headers)).json()["request_id"] for _ in range(2)}
    assert len(ids) == 2
    assert given not in ids


@pytest.mark.parametrize("text", ["0", "-1", "soon", "nan", "inf", ""])
async def test_a_deadline_must_be_a_time(service: Running, text: str) -> None:
    """A deadline that is no positive number is a parameter error."""
    response = await service.ask("/v1/classify", RED, X_Request_Timeout_Ms=text)
    assert response.json()["code"] == "invalid_parameters"


async def test_a_deadline_is_kept(service: Running) -> None:
    """When the engine is held up, the caller hears at the deadline, and the permit is free again."""
    service.engines["colours:2"].hold()
    response = await service.ask("/v1/classify", RED, X_Request_Timeout_Ms="60")
    assert (response.status_code, response.json()["code"]) == (504, "deadline_exceeded")
    assert service.application.inference.in_flight == 0


async def test_a_full_service_says_when_to_come_back(tiny_repository: Path) -> None:
    """With every permit taken the answer is 429 with Retry-After, at once."""
    async with running(tiny_repository, max_images_in_flight=1) as service:
        service.engines["colours:2"].hold()
        busy = asyncio.create_task(service.ask("/v1/classify", RED))
        await until(lambda: service.engines["colours:2"].arrived)
        refused = await service.ask("/v1/classify", RED)
        service.engines["colours:2"].let_go()
        assert (await busy).status_code == 200
    assert (refused.status_code, refused.json()["code"]) == (429, "overloaded")
    assert int(refused.headers["retry-after"]) >= 1


async def send_and_leave(application: Application, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Talk to the application as a server does, for a client who says these things and then no more."""
    sent: list[dict[str, Any]] = []
    waiting = [*messages]

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(dict(message))

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/classify",
        "headers": [(b"content-type", b"image/png")],
        "query_string": b"",
    }
    await application.asgi(scope, receive, send)
    return sent


@pytest.mark.parametrize("heard", [0, 1])
async def test_a_caller_who_leaves_stops_the_work(service: Running, heard: int) -> None:
    """Whether the caller leaves within the body or after it, the request ends, unanswered work undone."""
    engine = service.engines["colours:2"]
    engine.hold()
    body = [{"type": "http.request", "body": RED, "more_body": not heard}]
    sent = await send_and_leave(service.application, [*body, {"type": "http.disconnect"}])
    assert sent[0]["status"] == 499
    assert service.application.inference.in_flight == 0
    assert engine.computed == 0


async def test_a_request_that_is_cut_off_is_counted(service: Running) -> None:
    """A request that is ended from outside, as at the end of the drain, gets no answer and is counted as cancelled."""
    engine = service.engines["colours:2"]
    engine.hold()
    cut = asyncio.create_task(service.ask("/v1/classify", RED))
    await until(lambda: engine.arrived)
    cut.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cut
    labels = {"task": "classify", "reason": "cancelled", "transport": "rest"}
    assert service.application.telemetry.registry.get_sample_value("vitrail_rejections_total", labels) == 1


@pytest.mark.parametrize("media_type", ["image/png", "image/jpeg"])
@pytest.mark.parametrize("task", ANSWERS)
@pytest.mark.parametrize("image", [WHITE, BLACK, picture(255, 255, 255, width=1, height=1)], ids=["all", "none", "dot"])
async def test_a_picture_of_the_answer(service: Running, media_type: str, task: Task, image: bytes) -> None:
    """Any task's answer can be drawn, with findings or without, on any size; it has the image's size, or twice that."""
    if task is Task.EXPLAIN and image == BLACK:
        image = RED  # a tiny model has no shares of black to tell
    response = await service.ask(f"/v1/{task}", image, Accept=f"{media_type}, */*;q=0.1")
    assert response.headers["content-type"] == media_type, response.text
    assert response.headers["server-timing"]
    height, width, _ = decode(image).shape
    larger = 2 if task is Task.RESTORE else 1
    assert decode(response.content).shape == (larger * height, larger * width, 3)


async def test_what_is_found_is_drawn(service: Running) -> None:
    """A found object changes the picture; where nothing is found, the picture stays as it was."""
    grey = picture(200, 200, 200, width=200, height=160)
    drawn = decode((await service.ask("/v1/detect", grey, Accept="image/png")).content)
    plain = decode((await service.ask("/v1/detect?score_threshold=1", grey, Accept="image/png")).content)
    assert not np.array_equal(drawn, decode(grey))
    assert np.array_equal(plain, decode(grey))


async def test_a_model_of_many_labels_can_be_drawn(tmp_path: Path) -> None:
    """A card of ten thousand labels, asked for them all, still gives a picture."""
    write_version(tmp_path, "colours", labels=tuple(f"label {number}" for number in range(10_000)))
    async with running(tmp_path) as service:
        response = await service.ask("/v1/classify?top_k=10000", RED, Accept="image/png")
    assert response.status_code == 200
    assert decode(response.content).shape == (10, 12, 3)


async def test_only_one_image_can_be_drawn(service: Running) -> None:
    """Two images and one picture do not go together."""
    files = [("image", RED), ("image", BLUE)]
    response = await service.client.post("/v1/classify", files=files, headers={"Accept": "image/png"})
    assert response.json()["code"] == "invalid_parameters"


async def test_a_large_image_is_drawn_at_its_own_size(service: Running) -> None:
    """The picture has the size of the image as sent, not of the network's input."""
    image = encode(np.full((600, 900, 3), 255, np.uint8), "JPEG")
    response = await service.ask("/v1/segment", image, Accept="image/jpeg")
    assert decode(response.content).shape == (600, 900, 3)
