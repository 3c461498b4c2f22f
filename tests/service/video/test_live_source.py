import asyncio
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.video.live_clock import StreamClock
from service.video.live_latest import LatestFrame
from service.video.live_sampling import LiveSampling
from service.video.live_source import LiveSource
from service.video.live_status import LiveCounts
from service.video.opening import InvalidVideo, SourceUnavailable, VideoOptions
from service.video.sampling import SamplingParameters
from tests.doubles import until
from tests.service.video.clips import every, write_clip
from tests.service.video.live_filming import HttpSource, sending
from tests.service.video.reading import held

QUICK = VideoOptions(open_timeout_s=5.0, read_timeout_s=0.3)


@pytest.fixture
def workers() -> Iterator[ThreadPoolExecutor]:
    """One worker."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def transport_stream(tmp_path: Path) -> bytes:
    """Fifty frames as MPEG-TS."""
    return write_clip(tmp_path / "a.ts", every(50)).read_bytes()


def reading(
    url: str,
    workers: ThreadPoolExecutor,
    counts: LiveCounts,
    clock: StreamClock | None = None,
    rate: float | None = None,
) -> LiveSource:
    """A connection to a source."""
    latest = LatestFrame(LiveSampling(SamplingParameters()), counts, workers)
    return LiveSource(url, QUICK, latest, clock or StreamClock(), counts)


async def test_a_source_is_read_to_its_end(transport_stream: bytes, workers: ThreadPoolExecutor) -> None:
    """What a source says of itself is known first; then come frames, then the end and its reason."""
    counts = LiveCounts()
    with HttpSource(sending(transport_stream)) as source:
        live = reading(source.url, workers, counts)
        assert (await live.opened()).width == 128
        frames = []
        while (frame := await live.frame()) is not None:
            frames.append(frame.index)
        await live.gone()
    assert frames == sorted(set(frames))
    assert (frames[-1], counts.received, len(frames) + counts.superseded) == (49, 50, 50)
    assert "ended" in live.problem or "ends" in live.problem


async def test_frames_are_numbered_on(transport_stream: bytes, workers: ThreadPoolExecutor) -> None:
    """The frames of a second connection go on where those of the first one ended, in number and time."""
    counts, clock = LiveCounts(), StreamClock()
    last = []
    with HttpSource(sending(transport_stream)) as source:
        for _ in range(2):
            live = reading(source.url, workers, counts, clock)
            while (frame := await live.frame()) is not None:
                last.append((frame.index, frame.time_s))
            await live.gone()
    assert last == sorted(set(last))
    assert last[-1][0] == 99
    assert last[-1][1] >= 2 * 1.96


@pytest.mark.parametrize("said", [b"", b"Hello. " * 3000])
async def test_what_cannot_be_opened(workers: ThreadPoolExecutor, said: bytes) -> None:
    """Why a source cannot be opened is an error for who waits for it; nothing of it is left."""
    before = held("fd")
    with HttpSource(sending(said), f"200 OK\r\nContent-Length: {len(said)}") as source:
        live = reading(source.url, workers, LiveCounts())
        with pytest.raises((InvalidVideo, SourceUnavailable)):
            await live.opened()
        await live.gone()
    assert held("fd") <= before


async def test_an_interruption_while_it_opens(workers: ThreadPoolExecutor) -> None:
    """A source that is interrupted before it is open never opens, and goes within its timeout."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        live = reading(f"http://127.0.0.1:{silent.getsockname()[1]}/a", workers, LiveCounts())
        opening = asyncio.ensure_future(live.opened())
        await asyncio.sleep(0)
        live.interrupt()
        silent.close()
        await live.gone()
        with pytest.raises(SourceUnavailable):
            await opening


async def test_a_file_is_held_up(transport_stream: bytes, workers: ThreadPoolExecutor) -> None:
    """A source that sends without end as fast as it can is not decoded as fast as it can; ending it takes no time."""
    counts = LiveCounts()
    with HttpSource(sending(transport_stream * 20)) as source:
        live = reading(source.url, workers, counts)
        await live.opened()
        # Five seconds of 25 frames are let pass at once.
        await until(lambda: counts.received >= 125)
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert counts.received < 200
        live.interrupt()
        await live.gone()
