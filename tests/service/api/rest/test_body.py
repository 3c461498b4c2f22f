"""The forms of a request's body, sent as clients send them."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.service.running import BLUE, GREEN, RED, Running, running

JSON = {"Content-Type": "application/json"}


def labels(response: httpx.Response) -> list[str]:
    """The best label of each result."""
    assert response.status_code == 200, response.text
    return [result["classes"][0]["label"] for result in response.json()["results"]]


def refusal(response: httpx.Response) -> tuple[int, str]:
    """Status and code of a problem document."""
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


def b64(image: bytes) -> str:
    """An image as JSON carries it."""
    return base64.b64encode(image).decode()


@pytest.fixture
async def small(tiny_repository: Path) -> AsyncIterator[Running]:
    """A service that takes little."""
    async with running(tiny_repository, max_body_bytes=4096, max_images_per_request=2) as service:
        yield service


@pytest.mark.parametrize(
    "content_type",
    [
        "image/png",
        "image/jpeg",
        "IMAGE/PNG; charset=binary",
        "image/x-anything",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "",
        None,
    ],
)
async def test_the_image_itself(service: Running, content_type: str | None) -> None:
    """An image may be sent as it is, under any image type, as bytes, as curl does by default, or without a type."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    assert labels(await service.client.post("/v1/classify", content=GREEN, headers=headers)) == ["green"]


async def test_parts_of_a_form(service: Running) -> None:
    """Each part named ``image`` is an image, in their order."""
    files = [("image", ("a.png", image, "image/png")) for image in (RED, BLUE, GREEN, BLUE)]
    assert labels(await service.client.post("/v1/classify", files=files)) == ["red", "blue", "green", "blue"]


async def test_large_parts_of_a_form(service: Running) -> None:
    """A part that is too large for memory's share lies in a temporary file, and is answered all the same."""
    files = [("image", RED), ("image", GREEN + bytes(3_000_000))]
    assert labels(await service.client.post("/v1/classify", files=files)) == ["red", "green"]


async def test_a_form_that_was_cut_short_is_not_answered_in_part(service: Running) -> None:
    """A form whose last image is cut off is refused, though its first image is whole."""
    part = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    body = part + RED + b"\r\n" + part + GREEN[:30]
    response = await service.client.post("/v1/classify", content=body, headers={"Content-Type": FORM})
    assert refusal(response) == (422, "invalid_parameters")
    assert "closing boundary" in response.json()["detail"]


async def test_fields_of_a_form_are_parameters(service: Running) -> None:
    """Fields beside the images are the task's parameters, and the model."""
    data = {"top_k": "2", "model": "colours:1"}
    response = await service.client.post("/v1/classify", files=[("image", RED)], data=data)
    assert len(response.json()["results"][0]["classes"]) == 2
    assert response.json()["model"]["version"] == "1"


async def test_json_with_base64(service: Running) -> None:
    """JSON carries images in base64, plain or as data URLs, with the parameters beside them."""
    images = [{"b64": b64(RED)}, {"b64": f"data:image/png;base64,{b64(BLUE)}"}]
    body = {"images": images, "parameters": {"top_k": 1, "model": "colours@stable"}}
    response = await service.client.post("/v1/classify", json=body)
    assert labels(response) == ["red", "blue"]
    assert {len(result["classes"]) for result in response.json()["results"]} == {1}


async def test_the_query_goes_before_the_body(service: Running) -> None:
    """A parameter in the address beats the same one in the body."""
    body = {"images": [{"b64": b64(RED)}], "parameters": {"top_k": 3, "model": "colours:1"}}
    response = await service.client.post("/v1/classify?top_k=1&model=colours:2", json=body)
    assert len(response.json()["results"][0]["classes"]) == 1
    assert response.json()["model"] == {"name": "colours", "version": "2"}


async def test_nothing_is_fetched(service: Running) -> None:
    """An address instead of an image is forbidden."""
    body = {"images": [{"url": "http://127.0.0.1:1/cat.jpg"}]}
    assert refusal(await service.client.post("/v1/classify", json=body)) == (403, "forbidden")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"images": []}',
        b'{"images": [{}]}',
        b'{"images": [{"b64": "!"}]}',
        b'{"images": [{"b64": "\xc3\xa9"}]}',
        b'{"images": [{"b64": "aGk="}], "more": 1}',
        b'{"images": [{"b64": "aGk=", "url": "x"}]}',
        b'{"images": [{"b64": 5}]}',
        b'{"images": [{"b64": "aGk="}], "parameters": {"model": 5}}',
        b'{"images": [{"b64": "aGk="}], "parameters": {"model": ["a"]}}',
        b'{"images": "\xff\xfe"}',
        b"[" * 100_000,
        b'{"images":' * 100_000,
        b'{"images": [{"b64": "data:image/png"}], "parameters": []}',
    ],
)
async def test_json_of_another_form(service: Running, body: bytes) -> None:
    """JSON that is broken, too deep, or not of the documented form is a parameter error."""
    response = await service.client.post("/v1/classify", content=body, headers=JSON)
    assert refusal(response) == (422, "invalid_parameters")


FORM = "multipart/form-data; boundary=b"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--b\r\n"),
        ("multipart/form-data; boundary=", b"--b\r\n"),
        (FORM, b""),
        (FORM, b"no form at all"),
        (FORM, b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\nunfinished'),
        (FORM, b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n"),
        (FORM, b'--b\r\nContent-Disposition: form-data; name="top_k"\r\n\r\n1\r\n--b--\r\n'),
        (FORM, b'--b\r\nContent-Disposition: form-data; name="other"; filename="a"\r\n\r\nx\r\n--b--\r\n'),
        (FORM, b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"x" * 70_000 + b"\r\n--b--\r\n"),
        (FORM, b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' * 70 + b"--b--\r\n"),
        (FORM + "; charset=nonsense", b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--b--\r\n'),
    ],
)
async def test_a_form_that_cannot_be_read(service: Running, content_type: str, body: bytes) -> None:
    """A broken form, one without a boundary, or one without an image is a parameter error."""
    response = await service.client.post("/v1/classify", content=body, headers={"Content-Type": content_type})
    assert refusal(response) == (422, "invalid_parameters")


@pytest.mark.parametrize("media_type", ["text/plain", "text/html", "video/mp4", "application/xml", "application/jsonl"])
async def test_other_types_are_not_taken(service: Running, media_type: str) -> None:
    """A body of a type that is not in the list is refused by its type, also if it is an image."""
    response = await service.client.post("/v1/classify", content=RED, headers={"Content-Type": media_type})
    assert refusal(response) == (415, "unsupported_media_type")


@pytest.mark.parametrize("extra", [{}, {"Content-Length": "nonsense"}, {"Content-Length": "-5"}])
async def test_a_body_beyond_the_limit(small: Running, extra: dict[str, str]) -> None:
    """A body that is too large is refused, whatever length was declared."""

    async def stream() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield bytes(1000)

    headers = {"Content-Type": "image/png", **extra}
    response = await small.client.post("/v1/classify", content=stream(), headers=headers)
    assert refusal(response) == (413, "too_large")


async def test_a_declared_length_beyond_the_limit_is_refused_unread(small: Running) -> None:
    """Nothing of a body is read whose declared length is too large."""
    read = []

    async def stream() -> AsyncIterator[bytes]:
        read.append(1)
        yield b""

    headers = {"Content-Type": "image/png", "Content-Length": "5000"}
    response = await small.client.post("/v1/classify", content=stream(), headers=headers)
    assert refusal(response) == (413, "too_large")
    assert not read


def forms_of(images: int) -> list[dict[str, Any]]:
    """A request of so many images, in each form that can hold many."""
    body = json.dumps({"images": [{"b64": "aGk="}] * images})
    return [{"files": [("image", b"x")] * images}, {"content": body, "headers": JSON}]


@pytest.mark.parametrize("form", [0, 1])
@pytest.mark.parametrize("images", [3, 4, 20])
async def test_more_images_than_one_request_may_hold(small: Running, form: int, images: int) -> None:
    """A request of too many images is too large, however it came and however many they are."""
    response = await small.client.post("/v1/classify", **forms_of(images)[form])
    assert refusal(response) == (413, "too_large")
