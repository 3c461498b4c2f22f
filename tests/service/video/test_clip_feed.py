import weakref
from functools import partial
from pathlib import Path

import numpy as np

from contract.preprocess import Pixels
from service.video.clip_feed import Clip, ClipFeed
from service.video.frame_feed import FeedStart, FrameFeed
from service.video.opening import VideoOptions
from service.video.windows import ClipParameters, Windows, WindowSampler
from tests.service.video.clips import every, number_in, write_clip


class Shrinking:
    """Preprocesses frames to the number that they show, and knows which of its results are still in memory."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.most = 0
        self._alive: weakref.WeakValueDictionary[int, Pixels] = weakref.WeakValueDictionary()

    async def __call__(self, frame: Pixels) -> Pixels:
        """A picture of one pixel."""
        number = number_in(frame)
        self.seen.append(number)
        small = np.full((1, 1, 3), number, np.uint8)
        self._alive[number] = small
        self.most = max(self.most, len(self._alive))
        return small


async def clips_of(path: Path, shrinking: Shrinking, size: int, parameters: ClipParameters) -> tuple[list[Clip], bool]:
    """All clips of sliding windows, without their frames; and whether they are the whole video."""
    make = partial(Windows.sliding, size, parameters)
    sampler, found = WindowSampler(make()), []
    async with FrameFeed(path, VideoOptions(), sampler) as feed:
        clips = ClipFeed(feed, make(), sampler, shrinking, start=FeedStart(), first=0)
        async for clip in clips:
            assert [int(frame[0, 0, 0]) for frame in clip.frames] == list(clip.window.frames)
            found.append(Clip(clip.window, (), clip.image))
        return found, clips.whole


async def test_clips_hold_the_frames_of_their_windows(tmp_path: Path) -> None:
    """Each clip has the frames that its window names; one that is in several is preprocessed once, others never."""
    clip, shrinking = write_clip(tmp_path / "clip.mp4", every(95)), Shrinking()
    clips, whole = await clips_of(clip, shrinking, 5, ClipParameters(window_s=1, overlap=0.6))
    assert [found.window.first for found in clips] == [0, 10, 20, 30, 40, 50, 60, 70]
    assert (whole, clips[0].image) == (True, {"width": 128, "height": 64})
    assert shrinking.seen == list(range(0, 95, 5))


async def test_memory_does_not_grow_with_the_video(tmp_path: Path) -> None:
    """No more frames are held than open windows have, however long the video is."""
    clip, shrinking = write_clip(tmp_path / "clip.mp4", every(250)), Shrinking()
    clips, _ = await clips_of(clip, shrinking, 4, ClipParameters(window_s=1, overlap=0.5))
    assert (len(clips), len(shrinking.seen) > 50, shrinking.most <= 3 * 4) == (19, True, True)
