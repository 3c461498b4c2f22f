"""The client against a real service: equal results whichever the transport, plain or asynchronous."""

import asyncio
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pictures
from vitrail_client import AsyncClient, Client, VitrailError

from service.telemetry import STAGES
from tests.clients.addresses import TRANSPORTS, Addresses, Transport
from tests.service.running import GREEN, RED, WHITE, encode, picture

SQUARE = np.zeros((40, 60, 3), np.uint8)
SQUARE[10:30, 20:50] = 255
SCENE = encode(SQUARE)

QUESTIONS: list[tuple[str, dict[str, Any]]] = [
    ("classify", {}),
    ("classify", {"top_k": 2, "score_threshold": 0.01, "model": "colours:1"}),
    ("detect", {"score_threshold": 0.1, "max_objects": 3, "labels": ["red"]}),
    *(("segment", {"mask_format": form, "score_threshold": 0.1}) for form in ("rle", "polygon", "png", "palette")),
    *(("segment", {"mask_format": form, "score_threshold": 0.1}) for form in ("bits", "none")),
    *(("segment", {"mask_format": form, "score_threshold": 0.1, "mask_crop": True}) for form in ("rle", "png", "bits")),
    ("segment", {"mask_format": "polygon", "mask_tolerance": 0.5, "score_threshold": 0.1}),
    ("embed", {}),
    ("embed", {"normalize": False, "encoding": "base64"}),
    ("regions", {"score_threshold": 0.1, "max_regions": 5}),
    *((task, {"encoding": form}) for task in ("depth", "matte", "restore") for form in ("png", "npy")),
    ("keypoints", {"score_threshold": 0.1}),
    ("explain", {}),
    ("explain", {"class_": "green", "encoding": "npy"}),
    ("explain", {"class_": 1}),
]


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> Transport:
    """Each transport."""
    chosen: Transport = request.param
    return chosen


@pytest.fixture
def url(served: Addresses, transport: Transport) -> str:
    """The service's address for the transport."""
    return served.over(transport)


@pytest.mark.parametrize(("task", "asked"), QUESTIONS)
async def test_equal_results(served: Addresses, task: str, asked: dict[str, Any]) -> None:
    """REST and gRPC, plain and asynchronous, give the very same result for each task and form."""
    with Client(served.rest) as rest, Client(served.grpc) as grpc:
        results = [getattr(client, task)(SCENE, **asked) for client in (rest, grpc)]
    async with AsyncClient(served.rest) as rest_async, AsyncClient(served.grpc) as grpc_async:
        results += [await getattr(client, task)(SCENE, **asked) for client in (rest_async, grpc_async)]

    first, *others = results
    assert first["image"] == {"width": 60, "height": 40}
    assert [first] * 3 == others


def test_one_image_or_several(url: str) -> None:
    """One image gives one result, a list gives a list in its order, and an empty one an empty one."""
    with Client(url) as client:
        alone = client.classify(RED, top_k=1)
        several = client.classify([RED, GREEN], top_k=1)

        assert client.classify([]) == []
    assert several[0] == alone
    assert [result["classes"][0]["label"] for result in several] == ["red", "green"]


@pytest.mark.parametrize("form", ["bytes", "memory", "path", "text", "file", "picture", "array"])
def test_forms_of_images(url: str, form: str, tmp_path: Path) -> None:
    """An image may be its bytes, its path, an open file, a picture of Pillow's or an array."""
    path = tmp_path / "red.png"
    path.write_bytes(RED)
    with Pictures.open(path) as opened:
        forms: dict[str, Any] = {
            "bytes": RED,
            "memory": memoryview(RED),
            "path": path,
            "text": str(path),
            "file": io.BytesIO(RED),
            "picture": opened,
            "array": np.asarray(opened),
        }
        with Client(url) as client:
            assert client.classify(forms[form])["classes"][0]["label"] == "red"


def test_what_is_no_image(url: str) -> None:
    """Something else is refused before anything is sent."""
    with Client(url) as client, pytest.raises(TypeError, match="int is no image"):
        client.classify(3)  # type: ignore[call-overload]


def test_the_whole_answer(url: str) -> None:
    """``predict`` tells also of the version that answered, the times, and the request's id."""
    with Client(url, headers={"X-Request-Id": "mine"}) as client:
        answer = client.predict("classify", [RED, WHITE], model="colours@stable")

    assert answer["model"] == {"name": "colours", "version": "2", "alias": "stable"}
    assert len(answer["results"]) == 2
    assert set(answer["timings_ms"]) == {*STAGES, "total"}
    assert answer["timings_ms"]["total"] >= answer["timings_ms"]["compute"] > 0
    assert answer["request_id"] == "mine"


def test_large_answers(url: str) -> None:
    """A map of more bytes than gRPC takes by default arrives whole."""
    with Client(url) as client:
        dense = client.depth(picture(9, 9, 9, width=1500, height=1000), encoding="npy")["map"]

    assert len(dense["data"]) > 1500 * 1000 * 4


async def test_made_before_the_event_loop(served: Addresses, transport: Transport) -> None:
    """An asynchronous client may be made where no event loop runs, and used in one."""
    client = await asyncio.to_thread(AsyncClient, served.over(transport))
    async with client:
        assert (await client.classify(RED))["classes"][0]["label"] == "red"


@pytest.mark.parametrize("form", ["png", "jpeg"])
def test_drawing(url: str, form: Any) -> None:
    """``draw`` gives the picture in the form asked for, of the image's size."""
    with Client(url) as client:
        drawn = client.draw("detect", picture(200, 200, 200, width=64, height=48), form=form, score_threshold=0.1)

    with Pictures.open(io.BytesIO(drawn)) as opened:
        assert (opened.format, opened.size) == (form.upper(), (64, 48))


def test_labels_with_commas(url: str) -> None:
    """A label that holds a comma arrives as one label, also over REST, whose query would tear it apart."""
    with Client(url) as client, pytest.raises(VitrailError, match="'red, white'"):
        client.detect(RED, labels=["red, white"])


async def test_readiness(url: str) -> None:
    """A service is ready that answers; where nobody is, nothing is."""
    with Client(url) as client, Client(url.split("//", maxsplit=1)[0] + "//127.0.0.1:9", retries=0) as nobody:
        assert client.ready()
        assert not nobody.ready()
    async with AsyncClient(url) as client_async:
        assert await client_async.ready()


async def test_models(served: Addresses) -> None:
    """Models are listed over REST; gRPC says that it has no list."""
    async with AsyncClient(served.rest) as rest, AsyncClient(served.grpc) as grpc:
        assert "colours" in {model["name"] for model in await rest.models()}
        with pytest.raises(VitrailError, match="over REST") as refused:
            await grpc.models()
    assert refused.value.code == "unsupported"


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host", "http://", ""])
def test_addresses(url: str) -> None:
    """What is no address is refused at once."""
    with pytest.raises(ValueError, match="is no address"):
        Client(url)
