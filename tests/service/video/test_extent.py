"""How large a video is, and how many of its frames may be under way."""

from dataclasses import replace

import pytest

from contract.task import Task
from service.video.extent import frames_claimed, usual_window, window_for
from service.video.source import VideoInfo
from tests.service.running import Running


@pytest.mark.parametrize(("width", "height", "window"), [(1280, 720, 8), (3840, 2160, 8), (7680, 4320, 2), (99, 9, 8)])
def test_large_frames_are_fewer(width: int, height: int, window: int) -> None:
    """As many frames are under way as are wanted, but of very large ones only two."""
    assert window_for(8, width, height) == window


@pytest.mark.parametrize(("frames", "window"), [(16, 8), (512, 3)])
def test_long_clips_are_fewer(frames: int, window: int) -> None:
    """A clip takes as much memory as its frames."""
    assert window_for(8, 224, 224, frames) == window


@pytest.mark.parametrize(
    ("count", "duration_s", "rate", "claimed"),
    [(7, 9.0, 25.0, 7), (None, 2.0, 25.0, 50), (None, None, 25.0, None), (None, 2.0, None, None)],
)
def test_what_a_video_claims(
    count: int | None, duration_s: float | None, rate: float | None, claimed: int | None
) -> None:
    """The header's number of frames, else what its duration and rate come to, else nobody knows."""
    assert frames_claimed(VideoInfo("mp4", "h264", 8, 8, rate, duration_s, count, hardware=False)) == claimed


class Wide:
    """An engine that runs so many batches at a time, of so many images."""

    def __init__(self, concurrency: int, largest: int) -> None:
        self.concurrency, self.batch_sizes = concurrency, (1, largest)


@pytest.mark.parametrize(("concurrency", "largest", "window"), [(1, 1, 8), (2, 3, 12), (2, 6, 24), (16, 8, 24)])
async def test_a_window_keeps_the_engine_busy(service: Running, concurrency: int, largest: int, window: int) -> None:
    """What runs and what waits meanwhile has a place, within bounds."""
    version = (await service.application.inference.resolve(Task.DETECT, "middle", {}, None)).version
    assert usual_window(replace(version, engine=Wide(concurrency, largest))) == window
