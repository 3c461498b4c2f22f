import asyncio
import threading
from pathlib import Path

import pytest

from service.errors import ErrorKind, ServiceError
from service.video.frame_feed import FeedStart, FrameFeed
from service.video.opening import VideoOptions
from service.video.sampling import Decision, EveryFrame, FixedRate, FrameFacts, Sampler
from tests.doubles import until
from tests.service.video.clips import every, number_in, write_clip
from tests.service.video.reading import held


class Sampling:
    """Drops every frame, or processes it; counts them."""

    def __init__(self, decision: Decision) -> None:
        self.seen = 0
        self.decision = decision

    def decide(self, _: FrameFacts) -> Decision:
        """See `Sampler.decide`."""
        self.seen += 1
        return self.decision


def readers() -> int:
    """Threads that read videos."""
    return sum(thread.name.startswith("video_") for thread in threading.enumerate())


def feed_of(path: Path, sampler: Sampler, start: FeedStart | None = None, *, all_pixels: bool = False) -> FrameFeed:
    """A feed with the options that jobs have."""
    return FrameFeed(path, VideoOptions(), sampler, start=start, all_pixels=all_pixels)


async def test_frames_come_in_order(tmp_path: Path) -> None:
    """Each frame comes with its number, its time and its picture."""
    clip = write_clip(tmp_path / "clip.mp4", every(10), b_frames=2)
    async with feed_of(clip, EveryFrame()) as feed:
        frames = [frame async for frame in feed]
    assert [frame.index for frame in frames] == list(range(10))
    assert [frame.time_s for frame in frames] == pytest.approx(every(10), abs=1e-3)
    assert [number_in(frame.pixels) for frame in frames if frame.pixels is not None] == list(range(10))


@pytest.mark.parametrize(("all_pixels", "given"), [(False, [0, 5]), (True, list(range(10)))])
async def test_pixels_are_made_for_those_who_look(tmp_path: Path, all_pixels: bool, given: list[int]) -> None:
    """Frames that no model sees have pixels only if they are wanted of all."""
    clip = write_clip(tmp_path / "clip.mp4", every(10))
    async with feed_of(clip, FixedRate(5), all_pixels=all_pixels) as feed:
        frames = [frame async for frame in feed]
    assert [frame.index for frame in frames if frame.pixels is not None] == given
    assert frames[-1].index == 9


async def test_reading_begins_where_it_is_told(tmp_path: Path) -> None:
    """The first frame is that of the given time, under the given number."""
    clip = write_clip(tmp_path / "clip.mp4", every(40), b_frames=2)
    async with feed_of(clip, EveryFrame(), FeedStart(30, 1.2)) as feed:
        frames = [frame async for frame in feed]
    assert [frame.index for frame in frames] == list(range(30, 40))
    assert [number_in(frame.pixels) for frame in frames if frame.pixels is not None] == list(range(30, 40))


async def test_little_is_decoded_ahead(tmp_path: Path) -> None:
    """Who takes one frame has two more waiting, and no others are decoded."""
    sampler = Sampling(Decision.PROCESS)
    async with feed_of(write_clip(tmp_path / "clip.mp4", every(40)), sampler) as feed:
        await anext(feed)
        await until(lambda: sampler.seen >= 3)
        await asyncio.gather(*feed._ahead, return_exceptions=True)
        assert sampler.seen == 3


async def test_leaving_in_the_middle_frees_all(tmp_path: Path) -> None:
    """However many frames are still to be passed over, leaving ends the thread and closes the file."""
    clip = write_clip(tmp_path / "clip.mp4", every(250))
    files, threads = held("fd"), readers()
    sampler = Sampling(Decision.DROP)
    async with feed_of(clip, sampler) as feed:
        assert (await anext(feed)).decision is Decision.DROP
        assert readers() == threads + 1
    assert sampler.seen < 250
    assert (held("fd"), readers()) == (files, threads)


async def test_who_is_cancelled_while_it_opens_leaves_nothing(tmp_path: Path) -> None:
    """A caller who is cancelled at once waits until the file is closed again."""
    clip = write_clip(tmp_path / "clip.mp4", every(25))
    files, threads = held("fd"), readers()

    async def read() -> None:
        async with feed_of(clip, EveryFrame()) as feed:
            await anext(feed)

    task = asyncio.create_task(read())
    await until(lambda: readers() > threads)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (held("fd"), readers()) == (files, threads)


@pytest.mark.parametrize("content", [b"", b"this is not a video" * 100])
async def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    """What cannot be read is told as an error for the caller, and no thread is left."""
    (tmp_path / "clip.mp4").write_bytes(content)
    threads = readers()
    with pytest.raises(ServiceError) as refused:
        await feed_of(tmp_path / "clip.mp4", EveryFrame()).__aenter__()
    assert (refused.value.kind, readers()) == (ErrorKind.INVALID_VIDEO, threads)


async def test_frames_too_large_are_refused(tmp_path: Path) -> None:
    """A video with more pixels than allowed is too large."""
    clip = write_clip(tmp_path / "clip.mp4", every(2))
    with pytest.raises(ServiceError) as refused:
        await FrameFeed(clip, VideoOptions(max_pixels=1000), EveryFrame()).__aenter__()
    assert refused.value.kind is ErrorKind.TOO_LARGE


async def test_several_come_together(tmp_path: Path) -> None:
    """Groups hold the same frames in the same order as frames one by one; the last one has what is left."""
    clip = write_clip(tmp_path / "clip.mp4", every(10))
    async with feed_of(clip, EveryFrame()) as feed:
        groups = []
        while group := await feed.several(4):
            groups.append([frame.index for frame in group])
    assert groups == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


async def test_a_group_does_not_wait_over_a_long_stretch_without_results(tmp_path: Path) -> None:
    """What was found before such a stretch is given with its first part."""
    clip = write_clip(tmp_path / "clip.mp4", every(100))
    async with feed_of(clip, FixedRate(0.2)) as feed:
        first = await feed.several(4)
    assert [frame.decision for frame in first] == [Decision.PROCESS, Decision.DROP]
