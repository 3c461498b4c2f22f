import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.video.frame import Frame
from service.video.live_latest import Arrived, LatestFrame, LiveFrame
from service.video.live_sampling import LiveSampling
from service.video.live_status import LiveCounts
from service.video.sampling import SamplingParameters
from service.video.source import VideoSource
from tests.doubles import settle
from tests.service.video.clips import every, number_in, write_clip


@pytest.fixture
def frames(tmp_path: Path) -> list[Arrived]:
    """Twenty frames, a fifth of a second apart, that show their numbers."""
    with VideoSource(write_clip(tmp_path / "a.mp4", every(20, rate=5))) as source:
        return [Arrived(frame, 100 + frame.time_s, 0.0) for frame in source.frames()]


@pytest.fixture
def workers() -> Iterator[ThreadPoolExecutor]:
    """One worker."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    """The thread that reads."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


def queue(workers: ThreadPoolExecutor, **sampling: object) -> tuple[LatestFrame, LiveCounts]:
    """A queue and its counts."""
    counts = LiveCounts()
    return LatestFrame(LiveSampling(SamplingParameters.model_validate(sampling)), counts, workers), counts


def shown(frame: LiveFrame | None) -> int:
    """The number that a frame shows, which is its own."""
    assert frame is not None
    assert frame.pixels is not None
    assert number_in(frame.pixels) == frame.index
    return frame.index


async def test_only_the_latest_waits(frames: list[Arrived], workers: ThreadPoolExecutor) -> None:
    """Of the frames that come while nobody asks only the last is given; the others are counted."""
    latest, counts = queue(workers)
    for arrived in frames[:5]:
        latest.offer(arrived)
    assert (shown(await latest.take()), counts.superseded) == (4, 4)


async def test_who_waits_gets_the_next(
    frames: list[Arrived], workers: ThreadPoolExecutor, thread: ThreadPoolExecutor
) -> None:
    """A frame that is waited for is handed over as it comes; the one behind it is kept."""
    latest, counts = queue(workers)
    taking = asyncio.ensure_future(latest.take())
    await settle()

    def offer() -> None:
        latest.offer(frames[0])
        latest.offer(frames[1])

    await asyncio.get_running_loop().run_in_executor(thread, offer)
    assert shown(await taking) == 0
    assert (shown(await latest.take()), counts.superseded) == (1, 0)


async def test_what_sampling_leaves_out_is_no_loss(frames: list[Arrived], workers: ThreadPoolExecutor) -> None:
    """At one frame a second of five, the frames between are not counted as dropped, whoever waits or not."""
    latest, counts = queue(workers, fps=1)
    seen = []
    for second in range(4):
        for arrived in frames[5 * second : 5 * second + 5]:
            latest.offer(arrived)
        seen.append(shown(await latest.take()))
    assert (seen, counts.superseded) == ([4, 9, 14, 19], 0)


async def test_a_waiting_taker_is_not_woken_for_what_is_left_out(
    frames: list[Arrived], workers: ThreadPoolExecutor, thread: ThreadPoolExecutor
) -> None:
    """Who waits gets the first frame of the next second."""
    latest, counts = queue(workers, fps=1)
    latest.offer(frames[0])
    assert shown(await latest.take()) == 0
    taking = asyncio.ensure_future(latest.take())
    await settle()
    for arrived in frames[1:6]:
        await asyncio.get_running_loop().run_in_executor(thread, latest.offer, arrived)
    assert (shown(await taking), counts.superseded) == (5, 0)


async def test_the_end(frames: list[Arrived], workers: ThreadPoolExecutor) -> None:
    """After the end the frame that was kept is still given, then none; who waits then is told."""
    latest, _ = queue(workers)
    latest.offer(frames[0])
    latest.end()
    assert shown(await latest.take()) == 0
    assert await latest.take() is None
    other, _ = queue(workers)
    taking = asyncio.ensure_future(other.take())
    await settle()
    other.end()
    assert await taking is None


async def test_who_leaves_loses_nothing(frames: list[Arrived], workers: ThreadPoolExecutor) -> None:
    """Who stops waiting leaves no trace: the next frame is kept for the next who asks."""
    latest, counts = queue(workers)
    taking = asyncio.ensure_future(latest.take())
    await settle()
    taking.cancel()
    await asyncio.wait([taking])
    latest.offer(frames[3])
    assert (shown(await latest.take()), counts.superseded) == (3, 0)


async def test_an_error_reaches_who_takes(workers: ThreadPoolExecutor, frames: list[Arrived]) -> None:
    """A frame that cannot be made into pixels is an error for who takes it."""
    latest, _ = queue(workers)
    good = frames[0].frame
    latest.offer(Arrived(Frame(0, 0.0, True, None, good.turn), 0.0, 0.0))  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        await latest.take()
