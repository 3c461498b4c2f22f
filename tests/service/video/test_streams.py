"""All live streams of a service: how many there may be, how long they are known, and what is left of them."""

import asyncio
import gc
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from service.errors import ErrorKind, ServiceError
from service.video.live_events import StreamEvents
from service.video.live_status import LiveState
from tests.doubles import until
from tests.service.running import Running
from tests.service.video.clips import every, write_clip
from tests.service.video.filming import grey
from tests.service.video.live_filming import HttpSource, begun, first_lines, live, over, sending
from tests.service.video.rtsp_camera import RtspCamera

NOWHERE = "rtsp://127.0.0.1:9/camera"
"""An address where nobody listens."""


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Fifty bright frames of H.264."""
    return write_clip(tmp_path / "camera.h264", every(50), paint=grey)


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a source that takes calls and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/a"


def threads(*names: str) -> list[str]:
    """The threads of this process whose names begin so."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(names)]


def held() -> tuple[int, int, int, int]:
    """Threads, less those of pools, also the loop's own, which grow with need; descriptors, connections and tasks."""
    process = psutil.Process()
    others = process.num_threads() - len(threads("image", "engine", "ThreadPoolExecutor", "asyncio"))
    return others, process.num_fds(), len(process.net_connections()), len(asyncio.all_tasks())


async def test_nothing_is_left(clip: Path, service: Running) -> None:
    """However often streams begin and end, no thread, descriptor, connection, task or reader of theirs is left."""
    with RtspCamera(clip, pause_s=0.002, endless=True) as camera:
        async with live(service) as streams:
            # Of tests before this one, too.
            gc.collect()
            seen, idle = [], len(psutil.Process().net_connections())
            for _ in range(10):
                stream = await begun(streams, camera.url, track=True)
                reader = stream.readers.add()
                await anext(reader)
                assert await streams.end(stream.id)
                assert (streams.running, streams.readers, stream.picture) == (0, 0, None)
                # The camera hears of it a moment later.
                await until(lambda: len(psutil.Process().net_connections()) == idle)
                seen.append(held())
            assert threads("live") == []
            assert seen[2:] == [seen[-1]] * 8


HELD = {"LiveSource", "LatestFrame", "LiveFrame", "LivePicture", "VideoSource", "Reader"}


async def test_memory_of_streams_that_ended(clip: Path, service: Running) -> None:
    """What an ended stream held is freed without the help of the garbage collector, though it is still listed."""
    with RtspCamera(clip, pause_s=0.002, endless=True) as camera:
        async with live(service) as streams:
            gc.collect()
            gc.disable()
            try:
                for _ in range(3):
                    stream = await begun(streams, camera.url)
                    await first_lines(stream, 3)
                    await streams.end(stream.id)
                # A worker may have had a frame in hand.
                await until(lambda: not HELD & {type(thing).__name__ for thing in gc.get_objects()})
            finally:
                gc.enable()
            assert len(streams.all()) == 3


async def test_limits(service: Running) -> None:
    """A caller has so many streams, and so have all together; one that ends makes room."""
    async with live(service, streams=3, streams_per_owner=2) as streams:
        first = await begun(streams, NOWHERE, "a")
        await begun(streams, NOWHERE, "a")
        with pytest.raises(ServiceError, match="you have 2") as refused:
            await begun(streams, NOWHERE, "a")
        assert refused.value.kind is ErrorKind.RATE_LIMITED
        await begun(streams, NOWHERE, "b")
        with pytest.raises(ServiceError, match="the service has 3") as refused:
            await begun(streams, NOWHERE, "b")
        assert (refused.value.kind, streams.running) == (ErrorKind.OVERLOADED, 3)
        await streams.end(first.id)
        await begun(streams, NOWHERE, "a")


async def test_limits_hold_for_those_who_come_at_once(service: Running) -> None:
    """Who begins many streams at the same time gets as many as there may be."""
    async with live(service, streams_per_owner=2) as streams:
        answers = await asyncio.gather(*(begun(streams, NOWHERE) for _ in range(6)), return_exceptions=True)
        assert sum(isinstance(answer, ServiceError) for answer in answers) == 4
        assert streams.running == 2


@pytest.mark.parametrize(
    ("url", "wanted", "kind"),
    [
        ("rtsp://elsewhere/a", {}, ErrorKind.FORBIDDEN),
        (NOWHERE, {"model": "nobody"}, ErrorKind.MODEL_NOT_FOUND),
        (NOWHERE, {"model": "colours"}, ErrorKind.MODEL_NOT_FOUND),
    ],
)
async def test_what_is_refused_at_once(service: Running, url: str, wanted: dict[str, str], kind: ErrorKind) -> None:
    """An address that is not allowed and a model that is not there begin nothing."""
    async with live(service) as streams:
        with pytest.raises(ServiceError) as refused:
            await begun(streams, url, **wanted)
        assert (refused.value.kind, streams.running, streams.all()) == (kind, 0, [])


async def test_an_ended_stream_is_known_for_a_while(service: Running) -> None:
    """After its end a stream is listed as ended; ended again, it is forgotten."""
    async with live(service) as streams:
        stream = await begun(streams, NOWHERE)
        assert await streams.end(stream.id)
        found = streams.get(stream.id)
        assert found is not None
        assert (found.state, found.status().frames_per_s) == (LiveState.ENDED, 0.0)
        assert await streams.end(stream.id)
        assert streams.get(stream.id) is None
        assert not await streams.end(stream.id)


@pytest.mark.parametrize(("changes", "known"), [({"kept": 2}, 2), ({"kept_s": 0.0}, 0)])
async def test_ended_streams_are_forgotten(service: Running, changes: dict[str, float], known: int) -> None:
    """Only so many are kept, the last to end, and only for so long; those that run stay."""
    async with live(service, **changes) as streams:
        running = await begun(streams, NOWHERE)
        for _ in range(4):
            last = await begun(streams, NOWHERE)
            await streams.end(last.id)
        assert len(streams.all()) == known + 1
        assert streams.all()[-1] is running
        assert (streams.get(last.id) is last) is (known > 0)


async def test_a_silent_source_holds_nobody_up(silent: str, service: Running) -> None:
    """Ending a stream whose source is silent returns soon; its thread keeps its place until it has gone by itself."""
    async with live(service, end_wait_s=0.01, open_timeout_s=0.6, streams=1) as streams:
        stream = await begun(streams, silent)
        await until(lambda: threads("live"))
        assert await streams.end(stream.id)
        assert (stream.state, streams.running) == (LiveState.ENDED, 1)
        with pytest.raises(ServiceError, match="the service has 1"):
            await begun(streams, silent)
        await until(lambda: streams.running == 0)
        await begun(streams, silent)


async def test_the_end_of_the_service(clip: Path, service: Running) -> None:
    """When the service ends all streams do, their readers see the end, and none is begun any more."""
    with RtspCamera(clip, pause_s=0.002, endless=True) as camera:
        async with live(service) as streams:
            stream, other = await begun(streams, camera.url), await begun(streams, NOWHERE)
            reader = stream.readers.add()
            await anext(reader)
            await asyncio.gather(streams.close(), streams.close())
            assert (streams.running, stream.state, other.state) == (0, LiveState.ENDED, LiveState.ENDED)
            async for _ in reader:
                pass
            with pytest.raises(ServiceError, match="ends"):
                await begun(streams, NOWHERE)


async def test_a_silent_source_does_not_hold_up_the_end(
    silent: str, service: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """At the end of the service nobody waits longer for a source than there is time; the log says so."""
    async with live(service, open_timeout_s=0.6) as streams:
        await begun(streams, silent)
        await until(lambda: threads("live"))
        await streams.close(0.01)
        await until(lambda: streams.running == 0)
    assert "its source is silent" in caplog.text


async def test_a_stream_that_is_ended_before_it_ran(service: Running) -> None:
    """Even at its very first moment a stream can be ended."""
    async with live(service) as streams:
        stream = await begun(streams, NOWHERE)
        await streams.end(stream.id)
        assert stream.status().problem is None


async def test_what_is_told_of_streams(tmp_path: Path, service: Running) -> None:
    """Listeners hear of states, frames, reconnections and lags; the frames add up to what the stream says."""
    clip = write_clip(tmp_path / "a.ts", every(50), paint=grey)
    states: list[LiveState] = []
    frames: list[tuple[int, int, int]] = []
    told: list[str] = []
    lags: list[float] = []
    events = StreamEvents(
        entered=states.append,
        frames=lambda *counts: frames.append(counts),
        reconnected=lambda: told.append("again"),
        lag=lags.append,
    )
    with HttpSource(sending(await asyncio.to_thread(clip.read_bytes))) as source:
        async with live(service, events=events) as streams:
            stream = await begun(streams, source.url)
            await until(lambda: stream.status().connections == 3)
            await streams.end(stream.id)
    status = stream.status()
    assert states[:3] == [LiveState.CONNECTING, LiveState.RUNNING, LiveState.RECONNECTING]
    assert (states[-1], told) == (LiveState.ENDED, ["again", "again"])
    assert [sum(counts) for counts in zip(*frames, strict=True)] == [status.processed, status.carried, status.dropped]
    assert len(lags) == status.processed + status.carried


async def test_many_streams_at_once(clip: Path, service: Running) -> None:
    """Streams do not disturb each other: the end of one is nothing to the others."""
    with RtspCamera(clip, pause_s=0.005, endless=True) as one, RtspCamera(clip, pause_s=0.005, endless=True) as two:
        async with live(service) as streams:
            first, second = await begun(streams, one.url), await begun(streams, two.url)
            await first_lines(first, 3)
            await streams.end(first.id)
            await first_lines(second, 20)
            assert (second.state, [stream.id for stream in streams.all()]) == (
                LiveState.RUNNING,
                [second.id, first.id],
            )


async def test_a_failed_stream_frees_its_place(service: Running) -> None:
    """A stream that can never work ends by itself, and is listed with its error."""
    text = b"Hello. " * 3000
    with HttpSource(sending(text), f"200 OK\r\nContent-Length: {len(text)}") as source:
        async with live(service, streams=1) as streams:
            stream = await over(await begun(streams, source.url))
            await until(lambda: streams.running == 0)
            assert [found.state for found in streams.all()] == [LiveState.FAILED]
            await begun(streams, NOWHERE)
            assert streams.get(stream.id) is stream
