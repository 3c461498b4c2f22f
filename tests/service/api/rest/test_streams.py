"""``/v1/streams`` as its callers see it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pytest

from contract.image import DecodeLimits, decode
from tests.doubles import until
from tests.service.running import Running, running
from tests.service.video.clips import every, write_clip
from tests.service.video.filming import grey
from tests.service.video.rtsp_camera import RtspCamera

STREAMS = "/v1/streams"
NOWHERE = "rtsp://127.0.0.1:9/camera"


@pytest.fixture
async def watching(tiny_repository: Path) -> AsyncIterator[Running]:
    """A service that may watch cameras on loopback."""
    async with running(tiny_repository, allowed_urls="rtsp://127.0.0.1:*") as service:
        yield service


@pytest.fixture
def camera(tmp_path: Path) -> Iterator[RtspCamera]:
    """A camera that never stops."""
    clip = write_clip(tmp_path / "camera.h264", every(50), paint=grey)
    with RtspCamera(clip, pause_s=0.01, endless=True) as playing:
        yield playing


async def begun(service: Running, url: str, **wanted: Any) -> dict[str, Any]:
    """A new stream, as the answer describes it."""
    response = await service.client.post(STREAMS, json={"url": url, "task": "detect", **wanted})
    assert response.status_code == 201, response.text
    stream: dict[str, Any] = response.json()
    assert response.headers["location"] == stream["links"]["self"] == f"{STREAMS}/{stream['id']}"
    return stream


async def status_of(service: Running, stream: dict[str, Any]) -> dict[str, Any]:
    """How a stream stands."""
    status: dict[str, Any] = (await service.client.get(stream["links"]["self"])).json()
    return status


async def processed(service: Running, stream: dict[str, Any]) -> dict[str, Any]:
    """The stream once a frame of it was processed."""
    async with asyncio.timeout(30):
        while not (status := await status_of(service, stream))["frames"]["processed"]:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)
    return status


async def test_a_stream_from_its_beginning_to_its_end(camera: RtspCamera, watching: Running) -> None:
    """A stream is begun, tells how it stands, is ended, and is forgotten when it is ended again."""
    stream = await begun(watching, camera.url.replace("//", "//user:secret@"), track=True, fps=20)
    assert (stream["state"], stream["task"], stream["source"]) == ("connecting", "detect", None)
    assert datetime.fromisoformat(stream["created"]).tzinfo is not None
    status = await processed(watching, stream)
    assert (status["state"], status["connections"], status["error"]) == ("running", 1, None)
    assert status["model"] == {"name": "middle", "version": "1"}
    assert (status["source"]["codec"], status["source"]["width"], status["source"]["height"]) == ("h264", 128, 64)
    assert status["url"] == status["request"]["url"] == camera.url
    assert (status["summary"], status["lag_s"] >= 0, status["last_frame_s_ago"] >= 0) == ({"tracks": 1}, True, True)
    for left in ([status["id"]], []):
        assert (await watching.client.delete(stream["links"]["self"])).status_code == 204
        listed = (await watching.client.get(STREAMS)).json()["streams"]
        assert [(found["id"], found["state"]) for found in listed] == [(one, "ended") for one in left]
    assert (await watching.client.get(stream["links"]["self"])).status_code == 404


async def test_results_are_lines(camera: RtspCamera, watching: Running) -> None:
    """Results are lines of JSON, from the moment they are asked for up to the end of the stream."""
    stream = await begun(watching, camera.url)
    reading = asyncio.create_task(watching.client.get(stream["links"]["results"]))
    await until(lambda: watching.application.live.readers == 1)
    await processed(watching, stream)
    await watching.client.delete(stream["links"]["self"])
    response = await reading
    assert (response.status_code, response.headers["content-type"]) == (200, "application/x-ndjson")
    lines = [orjson.loads(line) for line in response.text.splitlines()]
    assert [set(line) >= {"frame", "timestamp_s", "lag_s", "objects"} for line in lines] == [True] * len(lines)
    assert [line["frame"] for line in lines] == sorted({line["frame"] for line in lines})
    assert (await watching.client.get(stream["links"]["results"])).text == ""


@asynccontextmanager
async def reader_of(service: Running, stream: dict[str, Any]) -> AsyncIterator[asyncio.Event]:
    """One who reads results, and leaves when the event is set."""
    left = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        await asyncio.sleep(0)

    path = stream["links"]["results"]
    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b"", "root_path": ""}
    scope |= {"http_version": "1.1", "scheme": "http", "server": ("service", 80), "client": ("127.0.0.1", 1)}
    reading = asyncio.create_task(service.application.asgi(scope, receive, send))
    try:
        yield left
    finally:
        left.set()
        await reading


@pytest.mark.parametrize("silent", [True, False])
async def test_a_reader_who_leaves_frees_the_place(camera: RtspCamera, watching: Running, silent: bool) -> None:
    """The place of a reader is free as soon as the connection is closed, also where no line ever came."""
    stream = await begun(watching, NOWHERE if silent else camera.url)
    live = watching.application.live
    async with reader_of(watching, stream) as left:
        await until(lambda: live.readers == 1)
        left.set()
        await until(lambda: live.readers == 0)
    assert (await status_of(watching, stream))["state"] != "ended"


async def test_readers_have_their_limit(watching: Running) -> None:
    """The thirty-third reader of a stream is refused, and the others are left alone."""
    stream = await begun(watching, NOWHERE)
    found = watching.application.live.get(stream["id"])
    assert found is not None
    readers = [found.readers.add() for _ in range(32)]
    response = await watching.client.get(stream["links"]["results"])
    assert (response.status_code, response.json()["code"]) == (429, "rate_limited")
    assert len(found.readers) == len(readers)


async def test_the_picture_is_the_last_frame_drawn(camera: RtspCamera, watching: Running) -> None:
    """The picture has the frame's size and what was found in it; before the first frame there is none."""
    nothing = await begun(watching, NOWHERE)
    response = await watching.client.get(nothing["links"]["picture"])
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    stream = await begun(watching, camera.url)
    await processed(watching, stream)
    response = await watching.client.get(stream["links"]["picture"])
    assert (response.status_code, response.headers["content-type"]) == (200, "image/jpeg")
    pixels = decode(response.content, DecodeLimits(max_pixels=1_000_000))
    assert pixels.shape == (64, 128, 3)
    assert int(np.ptp(pixels)) > 50


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"url": "rtsp://elsewhere/a", "task": "detect"}, 403, "forbidden"),
        ({"url": "file:///etc/passwd", "task": "detect"}, 422, "invalid_parameters"),
        ({"task": "detect"}, 422, "invalid_parameters"),
        ({"url": NOWHERE}, 422, "invalid_parameters"),
        ({"url": NOWHERE, "task": "detect", "annotate": True}, 422, "invalid_parameters"),
        ({"url": NOWHERE, "task": "detect", "model": "nobody"}, 404, "model_not_found"),
        ([], 422, "invalid_parameters"),
    ],
)
async def test_what_is_refused(watching: Running, body: Any, status: int, code: str) -> None:
    """What can be known at once is answered at once, and nothing is begun."""
    response = await watching.client.post(STREAMS, json=body)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert watching.application.live.running == 0


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [(b"{", "application/json", 422), (b'{"url": 1}', "text/plain", 415), (b"x" * 70_000, "application/json", 413)],
)
async def test_bodies_of_other_kinds(watching: Running, content: bytes, media_type: str, status: int) -> None:
    """A body is JSON, says so, and is short."""
    response = await watching.client.post(STREAMS, content=content, headers={"Content-Type": media_type})
    assert response.status_code == status


async def test_pages_of_other_sites(watching: Running) -> None:
    """A page of another site neither begins a stream nor ends one."""
    foreign = {"Origin": "https://elsewhere.example"}
    response = await watching.client.post(STREAMS, json={"url": NOWHERE, "task": "detect"}, headers=foreign)
    assert (response.status_code, watching.application.live.running) == (403, 0)
    stream = await begun(watching, NOWHERE)
    response = await watching.client.delete(stream["links"]["self"], headers=foreign)
    assert (response.status_code, watching.application.live.running) == (403, 1)


async def test_too_many_streams(watching: Running) -> None:
    """A caller who has four streams is told so, and when to try again."""
    for _ in range(4):
        await begun(watching, NOWHERE)
    response = await watching.client.post(STREAMS, json={"url": NOWHERE, "task": "detect"})
    assert (response.status_code, response.json()["code"]) == (429, "rate_limited")
    assert int(response.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("DELETE", ""), ("GET", "/results"), ("GET", "/picture.jpg")]
)
async def test_streams_that_nobody_knows(service: Running, method: str, path: str) -> None:
    """There is nothing at the id of no stream."""
    response: httpx.Response = await service.client.request(method, f"{STREAMS}/nothing{path}")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_by_default_no_address_may_be_named(service: Running) -> None:
    """A service whose operator has listed no addresses watches nothing."""
    response = await service.client.post(STREAMS, json={"url": NOWHERE, "task": "detect"})
    assert (response.status_code, response.json()["code"]) == (403, "forbidden")
    assert (await service.client.get(STREAMS)).json() == {"streams": []}


async def test_the_documents_example(service: Running) -> None:
    """The example of the document is of the form that is taken: only its address is not allowed here."""
    document = (await service.client.get("/openapi.json")).json()
    operation = document["paths"][STREAMS]["post"]
    body = operation["requestBody"]["content"]["application/json"]["example"]
    response = await service.client.post(STREAMS, json=body)
    assert (response.status_code, response.json()["code"]) == (403, "forbidden")
