"""What is read of good videos, and odd ones."""

import gc
import io
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from service.video.opening import InvalidVideo, VideoOptions
from service.video.source import VideoSource
from tests.assets import ASSETS
from tests.service.video.clips import (
    barcode,
    corners,
    every,
    number_in,
    quarters,
    write_clip,
    write_photographs,
)
from tests.service.video.reading import held, read


@pytest.mark.parametrize(
    ("name", "codec", "b_frames"),
    [
        ("a.mp4", "libx264", 0),
        ("b.mp4", "libx264", 3),
        ("c.mkv", "libx264", 3),
        ("d.ts", "libx264", 2),
        ("e.avi", "mpeg4", 0),
        ("f.avi", "mpeg4", 2),
        ("g.avi", "mjpeg", 0),
        ("h.webm", "libvpx", 0),
        ("i.mov", "libx264", 0),
        ("j.flv", "libx264", 0),
    ],
)
def test_order(tmp_path: Path, name: str, codec: str, b_frames: int) -> None:
    """Frames come in presentation order with their times, whatever the container and the codec."""
    clip = write_clip(tmp_path / name, every(30), codec=codec, b_frames=b_frames)
    numbers, times, problems = read(clip)
    assert numbers == list(range(30))
    np.testing.assert_allclose(np.diff(times), 0.04, atol=0.0011)
    assert times[0] == pytest.approx(0, abs=0.1)
    assert problems == []


def test_variable_rate(tmp_path: Path) -> None:
    """Of a video with a variable rate the times are the true ones, not those of an average."""
    times = [0.0, 0.01, 0.5, 0.52, 2.0, 2.04, 2.081]
    numbers, read_times, problems = read(write_clip(tmp_path / "vfr.mp4", times, b_frames=2))
    assert numbers == list(range(7))
    assert read_times == pytest.approx(times, abs=1e-6)
    assert problems == []


@pytest.mark.parametrize(
    ("rotation", "mirrored", "seen"),
    [(90, False, "gwrb"), (180, False, "wbgr"), (-90, False, "brwg"), (0, True, "grwb"), (0, False, "rgbw")],
)
def test_upright(tmp_path: Path, rotation: int, mirrored: bool, seen: str) -> None:
    """Pixels are upright, as the display matrix says, and so are the announced width and height."""
    clip = write_clip(tmp_path / "r.mp4", every(2), paint=lambda _: quarters(), rotation=rotation, mirrored=mirrored)
    with VideoSource(clip) as source:
        frame = next(source.frames())
        pixels = frame.pixels()
        assert corners(pixels) == seen
        assert pixels.shape == (source.info.height, source.info.width, 3) == (frame.height, frame.width, 3)


@pytest.mark.parametrize(("orientation", "seen"), [(1, "rgbw"), (3, "wbgr"), (6, "brwg"), (8, "gwrb")])
def test_exif_in_the_frames(tmp_path: Path, orientation: int, seen: str) -> None:
    """Frames that say in their own EXIF how they are turned are upright too."""
    exif, photograph = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(quarters()).save(photograph, "JPEG", exif=exif)
    with VideoSource(write_photographs(tmp_path / "a.avi", [photograph.getvalue()] * 2)) as source:
        assert [corners(frame.pixels()) for frame in source.frames()] == [seen] * 2


def test_info(tmp_path: Path) -> None:
    """What a file says of itself is told."""
    with VideoSource(write_clip(tmp_path / "a.mp4", every(50))) as source:
        info = source.info
    assert (info.codec, info.width, info.height, info.frame_count) == ("h264", 128, 64, 50)
    assert "mp4" in info.container
    assert info.frame_rate == pytest.approx(25)
    assert info.duration_s == pytest.approx(2)


def test_sound_is_left_aside(tmp_path: Path) -> None:
    """A video with sound gives the same frames as one without."""
    numbers, _, problems = read(write_clip(tmp_path / "sound.mp4", every(20), audio="aac"))
    assert (numbers, problems) == (list(range(20)), [])


def test_bounded_pixels(tmp_path: Path) -> None:
    """Pixels can be had in a smaller size, with the shape of the whole."""
    with VideoSource(write_clip(tmp_path / "a.mp4", every(200)[:1], paint=lambda _: quarters())) as source:
        small = next(source.frames()).pixels(max_side=32)
    assert small.shape == (16, 32, 3)
    assert corners(small) == "rgbw"


def test_interrupt(tmp_path: Path) -> None:
    """After an interruption no frame comes any more, and the cut is not called a problem."""
    with VideoSource(write_clip(tmp_path / "a.mp4", every(50))) as source:
        frames = source.frames()
        first = next(frames)
        source.interrupt()
        assert list(frames) == []
        assert (first.index, source.problems) == (0, [])


def test_close_frees(tmp_path: Path) -> None:
    """Closing, also in the middle and twice, leaves no descriptor and no thread behind."""
    clip = write_clip(tmp_path / "a.mp4", every(50))
    before = held("fd"), held("task")
    for _ in range(5):
        source = VideoSource(clip, VideoOptions(threads=2))
        frame = next(source.frames())
        source.close()
        source.close()
        assert number_in(frame.pixels()) == 0
    assert (held("fd"), held("task")) == before


def test_frames_are_freed_at_once(tmp_path: Path) -> None:
    """A frame that is let go is gone, without waiting for the collector of cycles: a second is hundreds of MiB."""
    with VideoSource(write_clip(tmp_path / "a.mp4", every(60), rotation=90)) as source:
        gc.collect()
        gc.disable()
        try:
            for frame in source.frames():
                assert frame.thumbnail.size
            # `isinstance` would ask each thing for its class, and some make one up, with a warning.
            assert sum(issubclass(type(thing), av.VideoFrame) for thing in gc.get_objects()) < 10
        finally:
            gc.enable()


@pytest.mark.parametrize(
    ("name", "codec", "b_frames"),
    [("a.mp4", "libx264", 3), ("b.ts", "libx264", 2), ("c.avi", "mpeg4", 0), ("d.h264", "libx264", 0)],
)
def test_resume(tmp_path: Path, name: str, codec: str, b_frames: int) -> None:
    """Reading from a time gives exactly the frames from there on, with the times and numbers of the whole."""
    clip = write_clip(tmp_path / name, every(60), codec=codec, b_frames=b_frames)
    with VideoSource(clip) as source:
        whole = [(frame.index, frame.time_s, number_in(frame.pixels())) for frame in source.frames()]
        for start in (1, 12, 31, 59):
            again = source.frames(from_s=whole[start][1], from_index=start)
            assert [(frame.index, pytest.approx(frame.time_s), number_in(frame.pixels())) for frame in again] == whole[
                start:
            ]


def test_resume_after_the_end(tmp_path: Path) -> None:
    """From a time after the end there is nothing."""
    with VideoSource(write_clip(tmp_path / "a.mp4", every(20))) as source:
        assert list(source.frames(from_s=100)) == []


def test_read_again(tmp_path: Path) -> None:
    """A file can be read twice from the beginning."""
    with VideoSource(write_clip(tmp_path / "a.mp4", every(20))) as source:
        assert [len(list(source.frames())) for _ in range(2)] == [20, 20]


def test_threads_change_nothing(tmp_path: Path) -> None:
    """With more threads the same frames come."""
    clip = write_clip(tmp_path / "a.mp4", every(60), b_frames=3)
    assert read(clip, VideoOptions(threads=2)) == read(clip)


@pytest.mark.parametrize("device", ["vaapi:/dev/null", "cuda:99", "nonsense"])
def test_hardware_falls_back(tmp_path: Path, device: str) -> None:
    """Where the wanted device is absent, software decodes."""
    clip = write_clip(tmp_path / "a.mp4", every(20))
    assert read(clip, VideoOptions(hardware=device)) == read(clip)


def test_thumbnail(tmp_path: Path) -> None:
    """A thumbnail is the brightness in small, whatever the decoder's format."""
    for name, codec in (("a.mp4", "libx264"), ("b.avi", "mjpeg")):
        with VideoSource(
            write_clip(tmp_path / name, [0.0], paint=lambda _: barcode(0b10101010), codec=codec)
        ) as source:
            thumbnail = next(source.frames()).thumbnail
        assert thumbnail.shape == (32, 64)
        assert (thumbnail.mean(axis=0).reshape(8, 8).mean(axis=1) > 127).tolist() == [False, True] * 4


@pytest.mark.parametrize(
    ("name", "codec", "b_frames"), [("a.mp4", "libx264", 0), ("b.mkv", "libx264", 3), ("c.avi", "mpeg4", 0)]
)
@pytest.mark.parametrize("closed", [True, False])
def test_key_frames_only(tmp_path: Path, name: str, codec: str, b_frames: int, closed: bool) -> None:
    """Where only key frames are decoded they have the numbers, the times and the pixels that they have among all."""
    clip = write_clip(tmp_path / name, every(60), codec=codec, b_frames=b_frames, key_every=10, open_groups=not closed)
    with VideoSource(clip) as source:
        whole = [(f.index, f.time_s, number_in(f.pixels())) for f in source.frames() if f.key]
    with VideoSource(clip, VideoOptions(key_frames_only=True)) as source:
        assert [(f.index, f.time_s, number_in(f.pixels())) for f in source.frames()] == whole
        assert source.problems == []
        again = source.frames(from_s=whole[2][1], from_index=whole[2][0])
        assert [(f.index, f.time_s, number_in(f.pixels())) for f in again] == whole[2:]
    assert len(whole) >= 3


CLIPS = ASSETS / "video"


@pytest.mark.skipif(not CLIPS.is_dir(), reason="the folder with sample videos is absent")
@pytest.mark.parametrize(
    ("name", "count", "duration_s"),
    [("mmaction2_test.avi", 164, 6.6), ("mmdet_demo_street.mp4", 67, 2.2), ("sam2_05_juggle.mp4", 247, 10.3)],
)
def test_real_clips(name: str, count: int, duration_s: float) -> None:
    """Clips from cameras are read to their last frame without a complaint."""
    with VideoSource(CLIPS / name) as source:
        times = [frame.time_s for frame in source.frames()]
    assert len(times) == count == source.info.frame_count
    assert times[-1] == pytest.approx(duration_s, abs=0.1)
    assert source.problems == []


def test_covers_are_no_video(tmp_path: Path) -> None:
    """A file whose only picture is a cover, as songs have them, has no video."""
    picture = io.BytesIO()
    Image.fromarray(quarters()).save(picture, "JPEG")
    with pytest.raises(InvalidVideo, match="no video in it"):
        VideoSource(write_photographs(tmp_path / "a.mp4", [picture.getvalue()], cover=True))
