"""Video jobs by the client: the whole way against a real service, also over lines that break."""

import asyncio
import inspect
import io
import os
import threading
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

import av
import pytest
from vitrail_client import AsyncClient, AsyncStreams, AsyncVideos, Client, Streams, Videos, VitrailError

from tests.clients.addresses import Addresses
from tests.clients.scripted import scripted, told
from tests.service.video.clips import every, write_clip

FRAMES = 24
ASKED: dict[str, Any] = {"task": "detect", "score_threshold": 0.1}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of a second, whose name is not plain."""
    return write_clip(tmp_path_factory.mktemp("clips") / 'a "Käfer".mp4', every(FRAMES))


@pytest.fixture
def client(served: Addresses) -> Iterator[Client]:
    """A client over REST."""
    with Client(served.rest) as client:
        yield client


def frames_of(path: Path) -> int:
    """How many frames a video has."""
    with av.open(str(path)) as video:
        return sum(1 for _ in video.decode(video=0))


def test_from_a_path_to_an_annotated_video(client: Client, clip: Path, tmp_path: Path) -> None:
    """A job is sent in, its lines are read as they come, and the annotated video is saved once it has ended."""
    job = client.videos.submit(clip, **ASKED, track=True, annotate=True, fps=12.5)
    lines = list(client.videos.results(job["id"]))
    ended = client.videos.wait(job["id"], timeout_s=60)
    saved = client.videos.annotated(job["id"], tmp_path / "out.mp4")

    assert job["request"]["parameters"] == {"score_threshold": 0.1}
    assert (job["input"]["name"], job["input"]["bytes"]) == ("a _Käfer_.mp4", clip.stat().st_size)
    assert [line["frame"] for line in lines] == list(range(0, FRAMES, 2))
    assert all("objects" in line and "timestamp_s" in line for line in lines)
    assert (ended["state"], ended["frames"]["processed"]) == ("done", FRAMES // 2)
    assert (saved, frames_of(saved)) == (tmp_path / "out.mp4", FRAMES)
    assert list(tmp_path.iterdir()) == [saved]


async def test_the_same_asynchronously(served: Addresses, clip: Path, tmp_path: Path) -> None:
    """The asynchronous client has the same way, and the same lines."""
    async with AsyncClient(served.rest) as client:
        job = await client.videos.submit(clip, **ASKED, annotate=True, fps=12.5)
        lines = [line async for line in client.videos.results(job["id"])]
        ended = await client.videos.wait(job["id"], timeout_s=60)
        saved = await client.videos.annotated(job["id"], str(tmp_path / "out.mp4"))
        again = [line async for line in client.videos.results(job["id"], from_frame=11)]
        await client.videos.delete(job["id"])

    assert [line["frame"] for line in lines] == list(range(0, FRAMES, 2))
    assert again == lines[6:]
    assert (ended["state"], frames_of(saved)) == ("done", FRAMES)


@pytest.fixture(scope="module")
def data(clip: Path) -> bytes:
    """The clip's bytes."""
    return clip.read_bytes()


@pytest.mark.parametrize("form", ["path", "text", "bytes", "memory", "file", "middle"])
async def test_forms_of_videos(served: Addresses, clip: Path, data: bytes, form: str) -> None:
    """A video may be a path, bytes, or an open file from where it stands."""

    def given() -> Any:
        middle = io.BytesIO(b"before" + data)
        middle.seek(6)
        forms = {"path": clip, "text": str(clip), "bytes": data, "memory": memoryview(data), "file": io.BytesIO(data)}
        return (forms | {"middle": middle})[form]

    with Client(served.rest) as client:
        assert client.videos.submit(given(), **ASKED)["input"]["bytes"] == len(data)
    async with AsyncClient(served.rest) as client_async:
        assert (await client_async.videos.submit(given(), **ASKED))["input"]["bytes"] == len(data)


async def test_a_pipe(served: Addresses, data: bytes) -> None:
    """So may a file that can be read once only and does not say how long it is."""
    with Client(served.rest) as client, closing(piped(data)) as pipe:
        assert client.videos.submit(pipe, **ASKED)["input"]["bytes"] == len(data)
    async with AsyncClient(served.rest) as client_async:
        with closing(piped(data)) as pipe:
            assert (await client_async.videos.submit(pipe, **ASKED))["input"]["bytes"] == len(data)


def piped(data: bytes) -> BinaryIO:
    """The reading end of a pipe into which somebody writes this."""
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as file:
            file.write(data)

    threading.Thread(target=write).start()
    return os.fdopen(reading, "rb")


async def test_a_large_file_is_never_in_memory(served: Addresses, tmp_path: Path) -> None:
    """A file of 64 MiB is sent with a few of them in memory."""
    path = tmp_path / "large.mp4"
    with path.open("wb") as file:
        file.truncate(64 << 20)

    async def send_twice() -> None:
        with Client(served.rest) as client, pytest.raises(VitrailError, match="video"):
            client.videos.submit(path, task="detect")
        async with AsyncClient(served.rest) as client_async:
            with pytest.raises(VitrailError, match="video"):
                await client_async.videos.submit(path, task="detect")

    tracemalloc.start()
    try:
        await send_twice()
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("video", "error"), [(3, TypeError), (io.StringIO("text"), TypeError), ("nowhere.mp4", FileNotFoundError)]
)
async def test_what_is_no_video(served: Addresses, video: Any, error: type[Exception]) -> None:
    """What cannot be read as bytes is refused by the client itself."""
    with Client(served.rest) as client, pytest.raises(error):
        client.videos.submit(video, task="detect")
    async with AsyncClient(served.rest) as client_async:
        with pytest.raises(error):
            await client_async.videos.submit(video, task="detect")


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"video": b"no video"}, "invalid_video"),
        ({"model": "nobody"}, "model_not_found"),
        ({"top_k": 3}, "invalid_parameters"),
        ({"track": {"lost": 3}}, "invalid_parameters"),
        ({"video": "https://videos.example/street.mp4"}, "forbidden"),
        ({"webhook": "https://hooks.example/"}, "forbidden"),
    ],
)
async def test_refusals(served: Addresses, clip: Path, asked: dict[str, Any], code: str) -> None:
    """What the service refuses has the service's kind and words."""
    wanted = {"video": clip, "task": "detect", **asked}
    with Client(served.rest) as client, pytest.raises(VitrailError) as caught:
        client.videos.submit(**wanted)
    async with AsyncClient(served.rest) as client_async:
        with pytest.raises(VitrailError) as caught_async:
            await client_async.videos.submit(**wanted)
    assert (caught.value.code, caught_async.value.code) == (code, code)


def test_clips(client: Client, clip: Path) -> None:
    """A model of clips answers windows, a line each, and the whole video."""
    job = client.videos.submit(clip, task="classify-video", window_s=0.5, overlap=0)
    found = list(client.videos.results(job["id"]))
    ended = client.videos.wait(job["id"])

    assert len(found) == 2
    assert all("classes" in line for line in found)
    assert ended["summary"]["classes"]


def test_bytes_are_bytes(client: Client, clip: Path) -> None:
    """What the lines have as base64 comes as bytes, as with images."""
    job = client.videos.submit(clip, task="depth", fps=1, encoding="npy")
    (line,) = client.videos.results(job["id"])
    assert line["map"]["data"].startswith(b"\x93NUMPY")


def test_one_key_one_job(client: Client, clip: Path) -> None:
    """A key of one's own makes the same request the same job; without one each is a job of its own."""
    first, second = (client.videos.submit(clip, **ASKED, idempotency_key="mine") for _ in range(2))
    third, fourth = (client.videos.submit(clip, **ASKED) for _ in range(2))

    assert first["id"] == second["id"]
    assert len({first["id"], third["id"], fourth["id"]}) == 3
    with pytest.raises(VitrailError, match="key") as caught:
        client.videos.submit(clip, task="segment", idempotency_key="mine")
    assert caught.value.code == "conflict"


def test_the_list(client: Client, clip: Path) -> None:
    """Jobs are listed page by page, the newest first, and by their state."""
    older, newer = (client.videos.submit(clip, **ASKED)["id"] for _ in range(2))
    client.videos.wait(older)
    client.videos.wait(newer)
    first = client.videos.list(limit=1)
    second = client.videos.list(limit=1, before=first["next"])

    assert [page["videos"][0]["id"] for page in (first, second)] == [newer, older]
    assert {job["state"] for job in client.videos.list(state="done")["videos"]} == {"done"}


async def test_cancel_and_delete(served: Addresses, clip: Path) -> None:
    """A job can be cancelled, and removed with all that it made."""
    async with AsyncClient(served.rest) as client:
        job = await client.videos.submit(clip, **ASKED)
        assert (await client.videos.cancel(job["id"]))["state"] in {"cancelled", "done"}
        await client.videos.delete(job["id"])
        for method in (client.videos.get, client.videos.cancel, client.videos.delete, client.videos.wait):
            with pytest.raises(VitrailError, match="there is no video job") as caught:
                await method(job["id"])
            assert caught.value.code == "not_found"


def test_results_of_nobody(client: Client, tmp_path: Path) -> None:
    """A job that nobody knows has neither lines nor an annotated video; its id cannot lead elsewhere."""
    for job_id in ("nobody", "../models", "a/b?c"):
        with pytest.raises(VitrailError) as caught:
            list(client.videos.results(job_id))
        assert caught.value.status == 404
        with pytest.raises(VitrailError):
            client.videos.annotated(job_id, tmp_path / "out.mp4")


async def test_grpc_has_no_videos(served: Addresses, clip: Path, tmp_path: Path) -> None:
    """At an address of gRPC each method says that it needs REST."""
    with Client(served.grpc) as client:
        videos = client.videos
        calls: list[Callable[[], object]] = [
            lambda: videos.submit(clip, **ASKED),
            lambda: videos.get("7"),
            videos.list,
            lambda: list(videos.results("7")),
            lambda: videos.wait("7"),
            lambda: videos.annotated("7", tmp_path / "out.mp4"),
            lambda: videos.cancel("7"),
            lambda: videos.delete("7"),
        ]
        for call in calls:
            with pytest.raises(VitrailError, match="over REST") as caught:
                call()
            assert caught.value.code == "unsupported"


async def test_grpc_has_no_videos_asynchronously(served: Addresses, clip: Path, tmp_path: Path) -> None:
    """So does the asynchronous client."""
    async with AsyncClient(served.grpc) as client:
        videos = client.videos
        calls: list[Awaitable[object]] = [
            videos.submit(clip, **ASKED),
            videos.get("7"),
            anext(videos.results("7")),
            videos.annotated("7", tmp_path / "out.mp4"),
        ]
        for error in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(error, VitrailError)
            assert error.code == "unsupported"


async def test_an_address_goes_as_it_is() -> None:
    """The service is told the address, the parameters with their types, and a key that is new each time."""
    with scripted() as script, Client(script.url) as client:
        script.on("POST /v1/videos", told(id="7", state="queued"))
        url = "HTTPS://videos.example/street.mp4"
        client.videos.submit(
            url,
            task="segment",
            track=True,
            reidentify={"model": "m"},
            counts={"lines": []},
            labels=["a, b"],
            class_=3,
            top_k=None,
        )
        async with AsyncClient(script.url) as client_async:
            await client_async.videos.submit(url, task="segment", annotate=True)
        first, second = script.asked["POST /v1/videos"]
    assert first.body == second.body == b'{"url":"HTTPS://videos.example/street.mp4"}'
    assert first.query == {
        "task": "segment",
        "track": "true",
        "reidentify": '{"model": "m"}',
        "counts": '{"lines": []}',
        "parameters": '{"labels": ["a, b"], "class": 3}',
    }
    assert second.query == {"task": "segment", "annotate": "true"}
    assert first.headers["Idempotency-Key"] != second.headers["Idempotency-Key"]


@pytest.mark.parametrize(("plain", "other"), [(Videos, AsyncVideos), (Streams, AsyncStreams)])
def test_both_clients_offer_the_same(plain: type, other: type) -> None:
    """The asynchronous client has the same methods for videos and streams, with the same arguments."""
    arguments, others = (
        {name: inspect.signature(method).parameters for name, method in vars(kind).items() if name[0] != "_"}
        for kind in (plain, other)
    )
    assert {"get", "list", "results"} < arguments.keys()
    assert arguments == others
