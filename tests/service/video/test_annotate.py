import errno
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from contract.task import Task
from service.video.annotate import CODEC, AnnotatedVideo
from tests.service.video.clips import HEIGHT, WIDTH, every
from tests.service.video.filming import shown
from tests.service.video.reading import held

UNEVEN = [0.0, 0.04, 0.05, 0.3, 0.31, 1.0, 1.5, 1.52, 2.0]
DETECTED = {
    "image": {"width": WIDTH, "height": HEIGHT},
    "objects": [{"label": "dog", "index": 0, "score": 0.9, "box": {"x1": 40.0, "y1": 20.0, "x2": 90.0, "y2": 50.0}}],
}


def written(path: Path, times_s: list[float], size: tuple[int, int] = (HEIGHT, WIDTH)) -> Path:
    """A video of grey frames with one object in every second one."""
    with AnnotatedVideo(path, Task.DETECT) as video:
        for number, time_s in enumerate(times_s):
            video.add(np.full((*size, 3), 128, np.uint8), time_s, DETECTED if number % 2 else None)
    return path


def fill(video: AnnotatedVideo, frames: int) -> None:
    """Add black frames."""
    for time_s in every(frames):
        video.add(np.zeros((HEIGHT, WIDTH, 3), np.uint8), time_s, None)


def test_frames_keep_their_times(tmp_path: Path) -> None:
    """Every frame is there, at its own time, however uneven the rate."""
    times_s, _ = shown(written(tmp_path / "a.mp4", UNEVEN))
    assert times_s == pytest.approx(UNEVEN, abs=1e-3)


def test_the_first_frame_may_come_late(tmp_path: Path) -> None:
    """Times are those of the source, also where its picture begins after its sound."""
    path = written(tmp_path / "a.mp4", [0.5, 0.75, 1.0])
    with av.open(str(path)) as container:
        assert [frame.time for frame in container.decode(video=0)] == pytest.approx([0.5, 0.75, 1.0], abs=1e-3)


def test_findings_are_drawn(tmp_path: Path) -> None:
    """A frame with a result shows it; one without is the picture alone."""
    _, pictures = shown(written(tmp_path / "a.mp4", every(4)))
    edges = [np.ptp(picture[:, 40].astype(int)) for picture in pictures]
    assert [edge > 40 for edge in edges] == [False, True, False, True]


@pytest.mark.parametrize("size", [(63, 127), (64, 127), (63, 128)])
def test_odd_sides_get_a_pixel(tmp_path: Path, size: tuple[int, int]) -> None:
    """H.264 wants even sides: the last row or column is there twice."""
    _, pictures = shown(written(tmp_path / "a.mp4", every(2), size))
    assert pictures[0].shape == (64, 128, 3)


def test_other_sizes_are_fitted(tmp_path: Path) -> None:
    """Where the size changes on the way, the frames are fitted to that of the first."""
    with AnnotatedVideo(tmp_path / "a.mp4", Task.DETECT) as video:
        video.add(np.zeros((64, 128, 3), np.uint8), 0.0, None)
        video.add(np.full((128, 256, 3), 255, np.uint8), 0.1, None)
    _, pictures = shown(tmp_path / "a.mp4")
    assert [picture.shape for picture in pictures] == [(64, 128, 3)] * 2
    assert [picture.mean() > 200 for picture in pictures] == [False, True]


def test_frames_at_one_time_are_all_there(tmp_path: Path) -> None:
    """Times that are the same but for rounding are set apart by a hair."""
    times_s, _ = shown(written(tmp_path / "a.mp4", [0.0, 0.1, 0.1, 0.1 + 1e-6, 0.2]))
    assert times_s == pytest.approx([0.0, 0.1, 0.1, 0.1, 0.2], abs=1e-3)
    assert times_s == sorted(set(times_s))


def test_a_video_without_frames_is_closed(tmp_path: Path) -> None:
    """Nothing was added: closing, also again, raises nothing and leaves nothing."""
    video = AnnotatedVideo(tmp_path / "a.mp4", Task.DETECT)
    video.close()
    video.close()
    assert not (tmp_path / "a.mp4").exists()


def test_it_plays_while_it_is_written(tmp_path: Path) -> None:
    """What has been written can be played before the end: the header is at the front, and nothing is missing."""
    video = AnnotatedVideo(tmp_path / "a.mp4", Task.DETECT)
    fill(video, 200)
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert 50 <= sum(1 for _ in container.decode(video=0)) < 200
    video.close()
    assert len(shown(tmp_path / "a.mp4")[0]) == 200


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """Where nothing can be written any more the error says why, and closing frees all the same."""
    (tmp_path / "a.mp4").symlink_to("/dev/full")
    files = held("fd")
    video = AnnotatedVideo(tmp_path / "a.mp4", Task.DETECT)
    with pytest.raises(OSError) as full:
        fill(video, 200)
    assert full.value.errno == errno.ENOSPC
    with suppress(OSError):
        video.close()
    assert held("fd") == files


def test_it_is_what_browsers_play(tmp_path: Path) -> None:
    """H.264 with colours as every player takes them, where FFmpeg can write it."""
    with av.open(str(written(tmp_path / "a.mp4", every(2)))) as container:
        frame: VideoFrame = next(container.decode(video=0))
        assert (container.streams.video[0].codec_context.name, frame.format.name) == (
            {"libx264": "h264"}.get(CODEC, CODEC),
            "yuv420p",
        )
