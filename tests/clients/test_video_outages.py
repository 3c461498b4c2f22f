"""Video jobs by the client where lines break, services die, and others answer."""

import asyncio
import os
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import av
import pytest
from vitrail_client import AsyncClient, Client, VitrailError

from tests.clients.addresses import Addresses
from tests.clients.relay import relay
from tests.clients.scripted import Reply, lines, scripted, told
from tests.end_to_end.gateway import gateway
from tests.service.tiny_tasks import write_tiny_repository
from tests.service.video.clips import every, write_clip

FRAMES = 24
ASKED: dict[str, Any] = {"task": "detect", "score_threshold": 0.1}
RESULTS = "GET /v1/videos/7/results"
STATUS = "GET /v1/videos/7"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of a second."""
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", every(FRAMES))


def frames_of(path: Path) -> int:
    """How many frames a video has."""
    with av.open(str(path)) as video:
        return sum(1 for _ in video.decode(video=0))


async def test_a_lost_answer_makes_no_second_job(served: Addresses, clip: Path) -> None:
    """Where the answer to a submission is lost, it is sent again and is the same job."""
    with Client(served.rest) as client:
        before = {job["id"] for job in client.videos.list(limit=100)["videos"]}
        with relay(served.rest, 0) as broken, Client(broken.url) as client_there:
            job = client_there.videos.submit(clip, **ASKED)
            assert broken.connections == 2
        with relay(served.rest, 0) as broken:
            async with AsyncClient(broken.url) as client_async:
                other = await client_async.videos.submit(clip, **ASKED)
        after = {job["id"] for job in client.videos.list(limit=100)["videos"]}
    assert after - before == {job["id"], other["id"]}


async def test_a_video_that_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    """Of a file that is too large not all is sent, and the reason arrives."""
    write_tiny_repository(tmp_path / "models")
    large = tmp_path / "large.mp4"
    await asyncio.to_thread(large.touch)
    os.truncate(large, 256 << 20)
    with gateway(tmp_path / "models", tmp_path / "log", threads=1, grpc_port=0, video_max_bytes=1 << 20) as service:
        with Client(service.url, retries=0) as client, pytest.raises(VitrailError) as caught:
            client.videos.submit(large, task="detect")
        async with AsyncClient(service.url, retries=0) as client_async:
            with pytest.raises(VitrailError) as caught_async:
                await client_async.videos.submit(large, task="detect")
    assert (caught.value.code, caught_async.value.code) == ("too_large", "too_large")


async def test_broken_lines_go_on(served: Addresses, clip: Path) -> None:
    """Results whose connection breaks again and again are whole, and each line comes once."""
    with Client(served.rest) as client:
        job_id = client.videos.submit(clip, **ASKED)["id"]
        whole = list(client.videos.results(job_id))
    with relay(served.rest, 700, 1100, 0, 900) as broken, Client(broken.url) as client:
        assert list(client.videos.results(job_id)) == whole
        assert broken.connections >= 5
    with relay(served.rest, 700, 1100, 0, 900) as broken:
        async with AsyncClient(broken.url) as client_async:
            assert [line async for line in client_async.videos.results(job_id)] == whole
    assert len(whole) == FRAMES


async def test_a_service_that_dies_and_comes_back(tmp_path: Path) -> None:
    """A service is killed in the middle of a job, and started again: lines and waiting go on, and nothing is lost."""
    write_tiny_repository(tmp_path / "models")
    clip = await asyncio.to_thread(write_clip, tmp_path / "long.mp4", every(1200), key_every=100)
    settings: dict[str, Any] = {"threads": 1, "grpc_port": 0, "videos": tmp_path / "videos"}
    numbers = []
    with ExitStack() as stack:
        first = stack.enter_context(gateway(tmp_path / "models", tmp_path / "first", **settings))
        way = stack.enter_context(relay(first.url))
        async with AsyncClient(way.url) as client:
            job = await client.videos.submit(clip, **ASKED)
            waiting = asyncio.create_task(client.videos.wait(job["id"]))
            async for line in client.videos.results(job["id"]):
                numbers.append(line["frame"])
                if len(numbers) == 50:
                    first.leave(signal.SIGKILL)
                    again = gateway(tmp_path / "models", tmp_path / "second", **settings)
                    way.lead_to((await asyncio.to_thread(stack.enter_context, again)).url)
            ended = await waiting
    assert numbers == list(range(1200))
    assert ended["state"] == "done"


def test_no_retries_no_other_connection(served: Addresses, clip: Path) -> None:
    """With retries=0 a connection that breaks is the end."""
    with Client(served.rest) as client:
        job_id = client.videos.submit(clip, **ASKED)["id"]
        client.videos.wait(job_id)
    with relay(served.rest, 700) as broken, Client(broken.url, retries=0) as client:
        with pytest.raises(VitrailError) as caught:
            list(client.videos.results(job_id))
        assert broken.connections == 1
    assert caught.value.code == "unreachable"


def test_an_annotated_video_is_whole_or_not_there(served: Addresses, clip: Path, tmp_path: Path) -> None:
    """A download that breaks is begun again; one that fails for good leaves nothing."""
    with Client(served.rest) as client:
        job_id = client.videos.submit(clip, **ASKED, annotate=True)["id"]
        client.videos.wait(job_id)
    with relay(served.rest, 2000, 3000) as broken, Client(broken.url) as client:
        assert frames_of(client.videos.annotated(job_id, tmp_path / "whole.mp4")) == FRAMES
    with relay(served.rest, 2000) as broken, Client(broken.url, retries=0) as client, pytest.raises(VitrailError):
        client.videos.annotated(job_id, tmp_path / "never.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["whole.mp4"]


async def test_lines_that_end_too_early() -> None:
    """Lines that end in order while the job goes on are asked for on; torn ones are not given."""
    for _ in range(2):
        with scripted() as script:
            script.on(RESULTS, lines(0, 1), lines(2, after=b'{"frame": 3, "obj'), lines(3))
            script.on(STATUS, told(id="7", state="running"), told(id="7", state="running"), told(id="7", state="done"))
            with Client(script.url) as client:
                assert [line["frame"] for line in client.videos.results("7")] == [0, 1, 2, 3]
            assert [asked.query["from_frame"] for asked in script.asked[RESULTS]] == ["0", "2", "3"]


async def test_silence() -> None:
    """A connection over which nothing comes is made anew, however often, for the job may only be slow."""
    with scripted() as script:
        script.on(RESULTS, lines(silent=True), lines(0, silent=True), lines(1))
        script.on(STATUS, told(id="7", state="done"))
        with Client(script.url, timeout_s=0.5) as client:
            assert [line["frame"] for line in client.videos.results("7")] == [0, 1]
    with scripted() as script:
        script.on(RESULTS, lines(0, silent=True), lines(1))
        script.on(STATUS, told(id="7", state="done"))
        async with AsyncClient(script.url, timeout_s=0.5) as client_async:
            assert [line["frame"] async for line in client_async.videos.results("7")] == [0, 1]


def test_patience_with_lines_that_never_end() -> None:
    """Connections that always end at once are given up after the client's patience."""
    with scripted() as script, Client(script.url, timeout_s=0.5) as client:
        script.on(RESULTS, lines())
        script.on(STATUS, told(id="7", state="running"))
        with pytest.raises(VitrailError, match="too early"):
            list(client.videos.results("7"))
        assert len(script.asked[RESULTS]) > 1


def test_separators_within_a_line() -> None:
    """A label may hold what some take for the end of a line."""
    with scripted() as script, Client(script.url) as client:
        script.on(RESULTS, lines(0, 1, label="one\u2028two\x85three"))
        script.on(STATUS, told(id="7", state="done"))
        assert [line["label"] for line in client.videos.results("7")] == ["one\u2028two\x85three"] * 2


async def test_waiting() -> None:
    """Waiting goes over a service that is away for a while, and ends when its time does."""
    away, running = Reply(b"<html>", status=502), told(id="7", state="running")
    with scripted() as script, Client(script.url) as client:
        script.on(STATUS, running, away, away, away, running, told(id="7", state="failed"))
        assert client.videos.wait("7")["state"] == "failed"
        script.on(STATUS, running)
        with pytest.raises(VitrailError, match="still running") as caught:
            client.videos.wait("7", timeout_s=0.2)
        async with AsyncClient(script.url) as client_async:
            with pytest.raises(VitrailError, match="still running"):
                await client_async.videos.wait("7", timeout_s=0.2)
            script.on(STATUS, running, away, told(id="7", state="done"))
            assert (await client_async.videos.wait("7"))["state"] == "done"
    assert caught.value.code == "deadline_exceeded"


@pytest.mark.parametrize("body", [b"<html>", b'{"frame": "one"}\n', b"[]\n"])
def test_other_services(body: bytes) -> None:
    """What another service says is not taken for results."""
    with scripted() as script, Client(script.url) as client:
        script.on(RESULTS, Reply(body + b"\n", media_type="application/x-ndjson"))
        script.on(STATUS, Reply(body))
        script.on("GET /v1/videos/7/annotated.mp4", Reply(body))
        for call in (lambda: list(client.videos.results("7")), lambda: client.videos.get("7")):
            with pytest.raises(VitrailError, match="no Vitrail service"):
                call()
        with pytest.raises(VitrailError, match="no Vitrail service"):
            client.videos.annotated("7", "never.mp4")
    assert not Path("never.mp4").exists()
