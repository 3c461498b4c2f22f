"""One live stream over real sources on loopback, whatever these do."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from service.video.live_status import LiveState
from tests.doubles import until
from tests.service.running import Running
from tests.service.video.clips import every, write_clip
from tests.service.video.filming import grey
from tests.service.video.live_filming import begun, first_lines, lines_from, live
from tests.service.video.rtsp_camera import RtspCamera


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Fifty bright frames of H.264."""
    return write_clip(tmp_path / "camera.h264", every(50), paint=grey)


@pytest.fixture
def camera(clip: Path) -> Iterator[RtspCamera]:
    """A camera that never stops."""
    with RtspCamera(clip, pause_s=0.01, endless=True) as playing:
        yield playing


async def test_a_camera_is_watched(camera: RtspCamera, service: Running) -> None:
    """The frames of a camera get lines with the model's answers, in order, with rising times and a lag."""
    async with live(service) as streams:
        stream = await begun(streams, camera.url)
        lines = await first_lines(stream, 20)
        status = stream.status()
    assert all(later["frame"] > line["frame"] for line, later in pairwise(lines))
    assert all(later["timestamp_s"] > line["timestamp_s"] for line, later in pairwise(lines))
    assert all(len(line["objects"]) == 1 and 0 <= line["lag_s"] < 20 for line in lines)
    assert (status.state, status.model, status.connections, status.problem) == (
        LiveState.RUNNING,
        ("middle", 1),
        1,
        None,
    )
    assert status.processed <= status.received
    assert (status.source.codec, status.source.width, status.source.height) == ("h264", 128, 64)


async def test_a_camera_that_is_killed_and_started_again(clip: Path, service: Running) -> None:
    """A stream goes on when its camera is back: times go on, frames are numbered on, tracks get no id twice."""
    async with live(service) as streams:
        with RtspCamera(clip, pause_s=0.01, endless=True) as camera:
            stream = await begun(streams, camera.url, track=True)
            reader = stream.readers.add()
            lines = await lines_from(reader, 5)
        await until(lambda: stream.state is LiveState.RECONNECTING)
        assert stream.problem is not None
        with RtspCamera(clip, pause_s=0.01, endless=True, port=camera.port):
            await until(lambda: stream.status().connections == 2)
            while (count := len(lines)) < 200 and lines[-1]["frame"] < stream.status().received - 3:
                lines += await lines_from(reader, 1)
            lines += await lines_from(reader, 5)
    assert all(later["frame"] > line["frame"] for line, later in pairwise(lines))
    assert all(later["timestamp_s"] > line["timestamp_s"] for line, later in pairwise(lines))
