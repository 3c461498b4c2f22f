"""Live streams by the client, against a real service and a camera on loopback."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from vitrail_client import AsyncClient, Client, VitrailError

from tests.clients.addresses import Addresses
from tests.clients.relay import relay
from tests.clients.scripted import Reply, lines, scripted, told
from tests.end_to_end.gateway import gateway
from tests.service.tiny_tasks import write_tiny_repository
from tests.service.video.clips import every, write_clip
from tests.service.video.rtsp_camera import RtspCamera

ASKED: dict[str, Any] = {"task": "detect", "score_threshold": 0.1}
STREAMS = "POST /v1/streams"
RESULTS = "GET /v1/streams/7/results"
STATUS = "GET /v1/streams/7"


@pytest.fixture(scope="module")
def watching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service that may call cameras on this machine."""
    root = tmp_path_factory.mktemp("tiny")
    write_tiny_repository(root)
    log = tmp_path_factory.mktemp("gateway") / "log"
    with gateway(root, log, threads=2, grpc_port=0, allowed_urls="rtsp://127.0.0.1:*") as running:
        yield running.url


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the camera sees."""
    return write_clip(tmp_path_factory.mktemp("camera") / "camera.h264", every(50))


@pytest.fixture
def camera(clip: Path) -> Iterator[str]:
    """The address of a camera that plays on and on."""
    with RtspCamera(clip, pause_s=0.02, endless=True) as camera:
        yield camera.url


def test_a_camera_from_start_to_stop(watching: str, camera: str) -> None:
    """A stream is started, read, looked at, listed, stopped, and by another stop forgotten."""
    with Client(watching) as client:
        begun = client.streams.start(camera, **ASKED, track=True, fps=20, sample="every")
        found = list(islice(client.streams.results(begun["id"]), 5))
        status = client.streams.get(begun["id"])
        assert client.streams.picture(begun["id"]).startswith(b"\xff\xd8")
        assert [stream["id"] for stream in client.streams.list()] == [begun["id"]]
        client.streams.stop(begun["id"])
        assert client.streams.get(begun["id"])["state"] == "ended"
        client.streams.stop(begun["id"])

        assert [line["frame"] for line in found] == sorted({line["frame"] for line in found})
        assert all("objects" in line and "lag_s" in line for line in found)
        assert (status["state"], status["frames"]["processed"] >= 5) == ("running", True)
        assert status["request"]["parameters"] == {"score_threshold": 0.1}
        with pytest.raises(VitrailError, match="there is no live stream") as caught:
            client.streams.get(begun["id"])
    assert caught.value.code == "not_found"


async def test_the_same_asynchronously(watching: str, camera: str) -> None:
    """The asynchronous client has the same methods; who reads a stream that is stopped comes to an end."""
    async with AsyncClient(watching) as client:
        begun = await client.streams.start(camera, **ASKED)
        numbers = []
        async for line in client.streams.results(begun["id"]):
            numbers.append(line["frame"])
            if len(numbers) == 3:
                assert (await client.streams.picture(begun["id"])).startswith(b"\xff\xd8")
                assert (await client.streams.list())[0]["id"] == begun["id"]
                assert (await client.streams.get(begun["id"]))["state"] == "running"
                await client.streams.stop(begun["id"])
    assert numbers == sorted(numbers)


def test_a_broken_connection_is_made_again(watching: str, camera: str) -> None:
    """Lines go on over another connection; those of the time between are missed."""
    with Client(watching) as client:
        stream_id = client.streams.start(camera, **ASKED)["id"]
        with relay(watching, 900, 900) as broken, Client(broken.url) as client_there:
            numbers = [line["frame"] for line in islice(client_there.streams.results(stream_id), 20)]
            assert broken.connections == 3
        client.streams.stop(stream_id)
    assert numbers == sorted(set(numbers))


async def test_the_end_of_the_service() -> None:
    """A stream that nobody knows any more, or that has failed, has no more lines; one that was never known is told."""
    gone = Reply(b'{"code": "not_found", "detail": "gone"}', status=404, media_type="application/problem+json")
    for last in (gone, told(id="7", state="failed"), told(id="7", state="ended")):
        with scripted() as script, Client(script.url) as client:
            script.on(RESULTS, lines(3), lines(4))
            script.on(STATUS, told(id="7", state="running"), last)
            assert [line["frame"] for line in client.streams.results("7")] == [3, 4]
    with scripted() as script:
        script.on(RESULTS, gone)
        async with AsyncClient(script.url) as client_async:
            with pytest.raises(VitrailError, match="gone"):
                await anext(client_async.streams.results("7"))


async def test_a_start_is_sent_once() -> None:
    """A start whose answer is lost is not sent again, for there might be two; one that was refused is."""
    busy = Reply(b'{"code": "rate_limited"}', status=429)
    with scripted() as script:
        script.on(STREAMS, busy, busy, told(id="7", state="connecting"))
        with Client(script.url) as client:
            assert client.streams.start("rtsp://camera", task="detect")["id"] == "7"
        assert len(script.asked[STREAMS]) == 3
        with relay(script.url, 0) as broken:
            async with AsyncClient(broken.url) as client_async:
                with pytest.raises(VitrailError) as caught:
                    await client_async.streams.start("rtsp://camera", task="detect")
            assert broken.connections == 1
    assert caught.value.code == "unreachable"


def test_what_is_asked() -> None:
    """Sampling and the task's parameters are sent as the service wants them, and nothing that was not given."""
    with scripted() as script, Client(script.url) as client:
        script.on(STREAMS, told(id="7", state="connecting"))
        client.streams.start(
            "rtsp://a", task="detect", sample="event", threshold=0.1, track={"lost_s": 2}, labels=["a"]
        )
        client.streams.start("rtsp://a", task="classify", fps=5, model="m")
        first, second = (asked.body for asked in script.asked[STREAMS])
    assert first == (
        b'{"url":"rtsp://a","task":"detect","track":{"lost_s":2},"sampling":{"sample":"event","threshold":0.1},'
        b'"parameters":{"labels":["a"]}}'
    )
    assert second == b'{"url":"rtsp://a","task":"classify","model":"m","fps":5}'


def test_refusals(served: Addresses) -> None:
    """An address that the operator did not allow is refused; gRPC has no live streams."""
    with Client(served.rest) as client, pytest.raises(VitrailError) as caught:
        client.streams.start("rtsp://127.0.0.1/x", task="detect")
    assert caught.value.code == "forbidden"
    with Client(served.grpc) as client:
        streams = client.streams
        calls = (
            lambda: streams.start("rtsp://a", task="detect"),
            lambda: streams.get("7"),
            streams.list,
            lambda: list(streams.results("7")),
            lambda: streams.picture("7"),
            lambda: streams.stop("7"),
        )
        for call in calls:
            with pytest.raises(VitrailError, match="over REST") as caught:
                call()
            assert caught.value.code == "unsupported"
