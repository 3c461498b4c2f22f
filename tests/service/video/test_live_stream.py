"""One live stream over real sources on loopback, whatever these do."""

import asyncio
import math
import socket
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from service.errors import ErrorKind, ServiceError
from service.video.live_status import SOURCE_UNAVAILABLE, LiveProblem, LiveState
from service.video.opening import VideoOptions
from tests.doubles import until
from tests.service.running import Running
from tests.service.video.clips import every, write_clip
from tests.service.video.filming import grey, still
from tests.service.video.live_filming import (
    HttpSource,
    begun,
    first_lines,
    lines_from,
    live,
    over,
    photographs,
    sending,
)
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


another_camera = camera
"""A camera has one viewer at a time."""


@pytest.fixture
def transport_stream(tmp_path: Path) -> bytes:
    """Fifty bright frames as MPEG-TS."""
    return write_clip(tmp_path / "a.ts", every(50), paint=grey).read_bytes()


def rising(lines: list[dict[str, Any]], name: str) -> bool:
    """Whether a number of the lines rises from each to the next."""
    return all(later[name] > line[name] for line, later in pairwise(lines))


async def test_a_camera_is_watched(camera: RtspCamera, service: Running) -> None:
    """The frames of a camera get lines with the model's answers, in order, with rising times and a lag."""
    async with live(service) as streams:
        stream = await begun(streams, camera.url)
        lines = await first_lines(stream, 20)
        status = stream.status()
    assert rising(lines, "frame")
    assert rising(lines, "timestamp_s")
    assert all(len(line["objects"]) == 1 and 0 <= line["lag_s"] < 20 for line in lines)
    assert (status.state, status.model, status.connections) == (LiveState.RUNNING, ("middle", 1), 1)
    assert status.source is not None
    assert (status.source.codec, status.source.width, status.source.height) == ("h264", 128, 64)


async def test_a_camera_that_is_killed_and_started_again(clip: Path, service: Running) -> None:
    """A stream goes on when its camera is back: times go on, frames are numbered on, no track gets an id twice."""
    async with live(service) as streams:
        with RtspCamera(clip, pause_s=0.01, endless=True) as camera:
            stream = await begun(streams, camera.url, track={"lost_s": 0.0})
            reader = stream.readers.add()
            before = await lines_from(reader, 5)
        await until(lambda: stream.state is LiveState.RECONNECTING)
        problem = stream.status().problem
        with RtspCamera(clip, pause_s=0.01, endless=True, port=camera.port):
            await until(lambda: stream.status().connections == 2)
            received = stream.status().received
            after: list[dict[str, Any]] = []
            while not after or after[-1]["frame"] <= received:
                after += await lines_from(reader, 1)
        assert stream.status().summary == {"tracks": after[-1]["objects"][0]["track_id"]}
    assert problem is not None
    assert problem.code == SOURCE_UNAVAILABLE
    assert rising(before + after, "frame")
    assert rising(before + after, "timestamp_s")
    assert before[0]["objects"][0]["track_id"] < after[-1]["objects"][0]["track_id"]


async def test_who_is_there_again_after_a_gap_is_recognised(clip: Path, service: Running) -> None:
    """With re-identification what the camera shows when it is back has its id of before, however long it was away."""
    async with live(service) as streams:
        with RtspCamera(clip, pause_s=0.01, endless=True) as camera:
            stream = await begun(streams, camera.url, track={"lost_s": 0.0}, reidentify={"model": "means"})
            reader = stream.readers.add()
            before = await lines_from(reader, 5)
        await until(lambda: stream.state is LiveState.RECONNECTING)
        received = stream.status().received
        with RtspCamera(clip, pause_s=0.01, endless=True, port=camera.port):
            after: list[dict[str, Any]] = []
            while not after or after[-1]["frame"] <= received + 5:
                after += await lines_from(reader, 1)
    assert {item["track_id"] for line in before + after for item in line["objects"] if "track_id" in item} == {1}


async def test_a_broken_line(camera: RtspCamera, service: Running) -> None:
    """Where the line breaks the stream connects again, as often as it takes."""
    async with live(service) as streams:
        stream = await begun(streams, camera.url)
        for connection in range(1, 4):
            await until(lambda number=connection: stream.status().connections == number)
            await first_lines(stream, 2)
            camera.cut()
        await until(lambda: stream.status().connections == 4)


@pytest.mark.parametrize("endless", [True, False])
async def test_a_source_by_http(transport_stream: bytes, service: Running, endless: bool) -> None:
    """MPEG-TS by HTTP is watched; a source that ends is asked again, and frames are numbered on."""
    with HttpSource(sending(transport_stream, endless=endless, pause_s=0.05)) as source:
        async with live(service) as streams:
            stream = await begun(streams, source.url)
            lines = await first_lines(stream, 20)
            await until(lambda: stream.status().received > 120)
            assert (stream.status().connections > 1) is not endless
    assert rising(lines, "frame")
    assert rising(lines, "timestamp_s")


async def test_photographs_by_http(service: Running) -> None:
    """The pictures of a camera that sends JPEG after JPEG are frames."""
    with HttpSource(sending(photographs(20), endless=True), "200 OK\r\n" + MULTIPART) as source:
        async with live(service) as streams:
            stream = await begun(streams, source.url)
            assert rising(await first_lines(stream, 10), "timestamp_s")
            info = stream.status().source
            assert info is not None
            assert info.codec == "mjpeg"


async def test_photographs_have_the_times_of_their_arrival(service: Running) -> None:
    """Motion JPEG by HTTP has no times; those that FFmpeg makes up, 25 frames a second, are not taken for true."""
    with HttpSource(sending(photographs(1), endless=True, pause_s=0.1), "200 OK\r\n" + MULTIPART) as source:
        async with live(service) as streams:
            stream = await begun(streams, source.url)
            # The first ones were gathered while the source was opened.
            first, *_, last = (await first_lines(stream, 16))[6:]
            info = stream.status().source
    assert info is not None
    assert info.frame_rate is None
    assert last["timestamp_s"] - first["timestamp_s"] > 0.06 * (last["frame"] - first["frame"])


MULTIPART = "Content-Type: multipart/x-mixed-replace; boundary=frame"


async def test_a_source_that_falls_silent(transport_stream: bytes, service: Running) -> None:
    """After its silence the source is asked anew, and the stream says what was wrong."""
    problems = []
    with HttpSource(sending(transport_stream), stay=True) as source:
        async with live(service, read_timeout_s=0.2) as streams:
            stream = await begun(streams, source.url)
            await until(lambda: stream.state is LiveState.RECONNECTING)
            problems.append(stream.status().problem)
            await until(lambda: stream.status().connections >= 3)
    assert problems[0] is not None
    assert (problems[0].code, "said nothing for 0.2 s" in problems[0].detail) == (SOURCE_UNAVAILABLE, True)


async def test_a_source_that_sends_anything_but_frames(transport_stream: bytes, service: Running) -> None:
    """Where the line is busy and no frame comes, the source is asked anew."""
    stuffing = (b"\x47\x1f\xff\x10" + bytes(184)) * 100

    def send(source: HttpSource, line: socket.socket) -> None:
        line.sendall(transport_stream)
        sending(stuffing, endless=True, pause_s=0.001)(source, line)

    with HttpSource(send) as source:
        async with live(service, stall_s=0.1) as streams:
            stream = await begun(streams, source.url)
            await until(lambda: stream.state is LiveState.RECONNECTING)
            assert stream.status().problem == LiveProblem(SOURCE_UNAVAILABLE, "no frame came for 0.1 s")
            await until(lambda: stream.status().connections == 2)


@pytest.mark.parametrize(("head", "why"), [("404 Not Found", "404"), ("401 Unauthorized", "401"), ("500 Oh", "Server")])
async def test_a_source_that_refuses(service: Running, head: str, why: str) -> None:
    """A source that answers with an error is tried on, and the stream says which error."""
    with HttpSource(sending(b""), head) as source:
        async with live(service) as streams:
            stream = await begun(streams, source.url)
            await until(lambda: source.callers >= 5)
            status = stream.status()
    assert (status.state, status.connections, status.last_frame_s_ago) == (LiveState.CONNECTING, 0, None)
    assert status.problem is not None
    assert (status.problem.code, why in status.problem.detail) == (SOURCE_UNAVAILABLE, True)


async def test_a_source_that_comes_late(clip: Path, service: Running) -> None:
    """A source where nobody listens is tried on until somebody does."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    async with live(service) as streams:
        stream = await begun(streams, f"rtsp://127.0.0.1:{port}/a")
        await until(lambda: stream.status().problem is not None)
        assert "refused" in str(stream.status().problem)
        with RtspCamera(clip, pause_s=0.01, endless=True, port=port):
            await first_lines(stream, 3)
            assert (stream.state, stream.status().problem) == (LiveState.RUNNING, None)


@pytest.mark.parametrize("text", [b"Hello. " * 3000, b"<html>" + b"\n<p>Log in!</p>" * 3000])
async def test_a_source_of_text(service: Running, text: bytes) -> None:
    """What is no video fails after some tries, and the stream says so."""
    with HttpSource(sending(text), f"200 OK\r\nContent-Length: {len(text)}") as source:
        async with live(service) as streams:
            stream = await over(await begun(streams, source.url))
            await until(lambda: streams.running == 0)
            assert source.callers == 3
    problem = stream.status().problem
    assert problem is not None
    assert (stream.state, problem.code) == (LiveState.FAILED, ErrorKind.INVALID_VIDEO)


async def test_frames_that_are_too_large(transport_stream: bytes, service: Running) -> None:
    """A source whose frames are larger than allowed fails at once."""
    with HttpSource(sending(transport_stream)) as source:
        async with live(service, options=VideoOptions(max_pixels=1000)) as streams:
            stream = await over(await begun(streams, source.url))
            assert source.callers == 1
    problem = stream.status().problem
    assert problem is not None
    assert (problem.code, "128 x 64" in problem.detail) == (ErrorKind.TOO_LARGE, True)


def joined(clip: Path, other: Path) -> Path:
    """One bare stream behind another."""
    clip.write_bytes(clip.read_bytes() + other.read_bytes())
    return clip


async def test_frames_that_change_their_size(tmp_path: Path, clip: Path, service: Running) -> None:
    """A camera may change the size of its frames: lines have the new size, and the stream goes on."""
    wide = write_clip(tmp_path / "wide.h264", every(50), paint=lambda number: grey(number).repeat(2, axis=1))
    both = await asyncio.to_thread(joined, clip, wide)
    with RtspCamera(both, pause_s=0.01, endless=True) as camera:
        async with live(service) as streams:
            stream = await begun(streams, camera.url, track=True, sampling={"sample": "event"})
            reader, widths = stream.readers.add(), set[int]()
            while widths != {128, 256}:
                widths |= {line["image"]["width"] for line in await lines_from(reader, 1)}
            assert stream.status().connections == 1


async def test_still_frames_carry_their_result(tmp_path: Path, service: Running) -> None:
    """With sample=event hardly any frame of a still camera is processed, and each has a line all the same."""
    clip = write_clip(tmp_path / "still.h264", every(50), paint=still)
    with RtspCamera(clip, pause_s=0.005, endless=True) as camera:
        async with live(service) as streams:
            stream = await begun(streams, camera.url, track=True, sampling={"sample": "event", "max_gap_s": 60})
            lines = await first_lines(stream, 40)
            status = stream.status()
    assert (status.processed, status.carried >= 38) == (1, True)
    assert [line.get("carried") for line in lines[1:]] == [True] * (len(lines) - 1)
    assert {line["objects"][0]["track_id"] for line in lines} == {1}


async def test_frames_are_sampled_by_rate(camera: RtspCamera, service: Running) -> None:
    """With fps=5 frames of 25 a second are processed every fifth of a second, and none of the others is a loss."""
    async with live(service) as streams:
        stream = await begun(streams, camera.url, fps=5)
        lines = await first_lines(stream, 10)
        status = stream.status()
    fifths = [math.floor((line["timestamp_s"] + 1e-3) * 5) for line in lines]
    assert all(later > fifth for fifth, later in pairwise(fifths))
    assert status.received > 3 * (status.processed + status.dropped)


async def test_a_camera_that_falls_behind(clip: Path, service: Running) -> None:
    """Where frames arrive ever later than their times say, though each is answered at once, the lag grows by that."""
    with RtspCamera(clip, rate=100, pause_s=0.03, endless=True) as camera:
        async with live(service) as streams:
            stream = await begun(streams, camera.url)
            reader = stream.readers.add()
            lags = [line["lag_s"] for line in await lines_from(reader, 40)]
            lag_s = stream.status().lag_s
    assert lags[-1] > lags[0] + 0.3
    assert lag_s is not None
    assert lag_s > 0.2


async def test_key_frames_only(camera: RtspCamera, service: Running) -> None:
    """With sample=key only the frames that are stored whole are received: every twelfth of these."""
    async with live(service) as streams:
        stream = await begun(streams, camera.url, sampling={"sample": "key"})
        lines = await first_lines(stream, 3)
    assert all(later["timestamp_s"] - line["timestamp_s"] > 0.07 for line, later in pairwise(lines))


async def test_a_busy_model_costs_frames_not_the_stream(camera: RtspCamera, service: Running) -> None:
    """While the model is busy frames are dropped and counted; then the newest one is processed."""
    engine = service.engines["middle:1"]
    engine.hold()
    async with live(service, frame_timeout_s=0.05) as streams:
        stream = await begun(streams, camera.url)
        await until(lambda: (status := stream.status()).dropped > 20 and status.problem)
        problem = stream.status().problem
        assert problem is not None
        assert (problem.code, stream.status().processed) == (ErrorKind.DEADLINE_EXCEEDED, 0)
        engine.let_go()
        line = (await first_lines(stream, 1))[0]
        assert line["frame"] > 20
        assert stream.status().problem is None


async def test_a_model_that_is_taken_away(camera: RtspCamera, service: Running) -> None:
    """Where another version is left the stream goes on with that; where none is, it says so and waits for one."""
    lifecycle = service.application.lifecycle
    async with live(service) as streams:
        stream = await begun(streams, camera.url, task="classify", model="colours")
        assert (await first_lines(stream, 1))[0]["classes"]
        await lifecycle.unload("colours", 2)
        await until(lambda: stream.status().model == ("colours", 1))
        assert (await first_lines(stream, 1))[0]["classes"]
        await lifecycle.unload("colours", 1)
        await until(lambda: stream.status().problem)
        assert "colours" in str(stream.status().problem)
        await lifecycle.load("colours", 1)
        assert (await first_lines(stream, 1))[0]["classes"]


class Changing:
    """A policy that allows so many connections."""

    def __init__(self, times: int) -> None:
        self.times = times

    def check(self, url: str) -> None:
        """See `AddressPolicy`."""
        self.times -= 1
        if self.times < 0:
            raise ServiceError(ErrorKind.FORBIDDEN, "not any more")

    async def address(self, url: str) -> str:
        """See `AddressPolicy`."""
        return url


async def test_the_policy_is_asked_before_each_connection(transport_stream: bytes, service: Running) -> None:
    """An address that is forbidden from some time on is not asked again, and the stream fails."""
    with HttpSource(sending(transport_stream)) as source:
        async with live(service, policy=Changing(3)) as streams:
            stream = await over(await begun(streams, source.url))
            assert source.callers == 2
    assert stream.status().problem == LiveProblem(ErrorKind.FORBIDDEN, "not any more")


async def test_an_error_that_nobody_foresaw(
    camera: RtspCamera, another_camera: RtspCamera, service: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """It ends its own stream only; the log tells all under the stream's id, its caller learns no more than that."""
    async with live(service) as streams:
        stream, other = await begun(streams, camera.url), await begun(streams, another_camera.url)
        stream.readers.publish = None  # type: ignore[assignment, method-assign]
        reader = stream.readers.add()
        await over(stream)
        assert [lines async for lines in reader] == []
        assert not other.state.over
    problem = stream.status().problem
    assert problem is not None
    assert (problem.code, "'NoneType'" in problem.detail) == (ErrorKind.INTERNAL, False)
    assert stream.id in caplog.text
