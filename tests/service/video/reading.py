"""What tests ask of a video, and of the process that reads it."""

from pathlib import Path

from service.video.opening import VideoOptions
from service.video.source import VideoSource
from tests.service.video.clips import number_in


def read(path: Path, options: VideoOptions | None = None, **wanted: float) -> tuple[list[int], list[float], list[str]]:
    """The numbers that the frames show, their times, and the problems; the frames must be numbered in a row."""
    with VideoSource(path, options) as source:
        frames = [(frame.index, number_in(frame.pixels()), frame.time_s) for frame in source.frames(**wanted)]  # type: ignore[arg-type]
        assert [index for index, _, _ in frames] == list(range(frames[0][0], frames[0][0] + len(frames)))
        return [number for _, number, _ in frames], [time for _, _, time in frames], source.problems


def held(what: str) -> set[str]:
    """The descriptors (fd) or threads (task) of this process."""
    return {entry.name for entry in Path("/proc/self", what).iterdir()}
