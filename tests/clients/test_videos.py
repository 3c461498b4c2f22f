"""Video jobs by the client, against a real service."""

import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import av
import pytest
from vitrail_client import AsyncClient, Client, VitrailError

from tests.clients.addresses import Addresses
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


def test_from_a_path_to_an_annotated_video(client: Client, clip: Path, tmp_path: Path) -> None:
    """A job is sent in, its lines are read as they come, and the annotated video is saved once it has ended."""
    job = client.videos.submit(clip, **ASKED, track=True, annotate=True, fps=12.5)
    lines = list(client.videos.results(job["id"]))
    ended = client.videos.wait(job["id"], timeout_s=60)
    saved = client.videos.annotated(job["id"], tmp_path / "out.mp4")

    assert job["request"]["parameters"] == {"score_threshold": 0.1}
    assert (job["input"]["name"], job["input"]["bytes"]) == ('a _Käfer_.mp4', clip.stat().st_size)
    assert [line["frame"] for line in lines] == list(range(0, FRAMES, 2))
    assert all("objects" in line and "timestamp_s" in line for line in lines)
    assert (ended["state"], ended["frames"]["processed"]) == ("done", FRAMES // 2)
    with av.open(str(saved)) as video:
        assert sum(1 for _ in video.decode(video=0)) == FRAMES
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize("form", ["path", "text", "bytes", "memory", "file", "middle", "pipe"])
async def test_forms_of_videos(served: Addresses, clip: Path, form: str) -> None:
    """A video may be a path, bytes or an open file from where it stands, also one that cannot be read twice."""
    data = clip.read_bytes()

    def given() -> Any:
        middle = io.BytesIO(b"before" + data)
        middle.seek(6)
        forms = {"path": clip, "text": str(clip), "bytes": data, "memory": memoryview(data), "file": io.BytesIO(data)}
        return piped(data) if form == "pipe" else {**forms, "middle": middle}[form]

    with Client(served.rest) as client:
        assert client.videos.submit(given(), **ASKED)["input"]["bytes"] == len(data)
    async with AsyncClient(served.rest) as client_async:
        assert (await client_async.videos.submit(given(), **ASKED))["input"]["bytes"] == len(data)


def piped(data: bytes) -> BinaryIO:
    """A file that can be read once only, and does not say how long it is."""
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as file:
            file.write(data)

    threading.Thread(target=write).start()
    return os.fdopen(reading, "rb")
