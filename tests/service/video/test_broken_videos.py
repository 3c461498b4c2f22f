"""What is read of broken videos, and what is refused."""

import os
import wave
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.video.opening import InvalidVideo, VideoOptions, VideoTooLarge
from service.video.source import VideoSource
from tests.service.video.clips import every, lying, number_in, quarters, scribbled, truncated, write_clip
from tests.service.video.reading import held, read


def test_truncated(tmp_path: Path) -> None:
    """Of a file that is cut short, what is there is read, and it is said where it ends."""
    whole = write_clip(tmp_path / "a.mp4", every(100), options={"movflags": "faststart"})
    numbers, _, problems = read(truncated(whole, 0.6))
    assert 20 < len(numbers) < 100
    assert numbers == list(range(len(numbers)))
    assert f"the header announces 100 frames; {len(numbers)} could be read" in problems[-1]


def test_truncated_stream(tmp_path: Path) -> None:
    """A cut in a container without an index does no more harm."""
    numbers, _, problems = read(truncated(write_clip(tmp_path / "a.mkv", every(100)), 0.6))
    assert numbers[:20] == list(range(20))
    assert any("announces" in problem for problem in problems)


def test_damage_in_the_middle(tmp_path: Path) -> None:
    """Bytes that are wrong in the middle cost the frames around them, and it is said."""
    clip = scribbled(write_clip(tmp_path / "a.mp4", every(100), options={"movflags": "faststart"}), 0.5, 300)
    with VideoSource(clip) as source:
        numbers = [number_in(frame.pixels()) for frame in source.frames()]
        assert numbers[:20] == list(range(20))
        assert numbers[-10:] == list(range(90, 100))
        assert source.problems


def test_lying_duration(tmp_path: Path) -> None:
    """A header that announces hours brings no more than the frames that there are, and is found out."""
    clip = lying(write_clip(tmp_path / "a.mkv", every(30)).with_suffix(".mkv"), b"\x44\x89", 1, 0x41CDCD65)
    with VideoSource(clip) as source:
        assert len(list(source.frames())) == 30
        assert (source.info.duration_s or 0) > 3600
        assert "announces" in source.problems[-1]


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty"), (b"Dear reader, this is a letter.\n" * 400, "not a video"), (os.urandom(5000), "not a video")],
)
def test_no_video(tmp_path: Path, content: bytes, words: str) -> None:
    """What is no video is refused in words for the caller, without its path."""
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(InvalidVideo, match=words) as caught:
        VideoSource(path)
    assert str(tmp_path) not in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    """A missing file, a pipe that nobody writes to and a folder are refused at once."""
    os.mkfifo(tmp_path / "pipe")
    before = held("fd")
    for name in ("missing.mp4", "pipe", ""):
        with pytest.raises(InvalidVideo):
            VideoSource(tmp_path / name)
    assert held("fd") == before


def test_no_frames(tmp_path: Path) -> None:
    """A video without a frame is refused."""
    with pytest.raises(InvalidVideo):
        VideoSource(write_clip(tmp_path / "a.mkv", []))


def test_no_index(tmp_path: Path) -> None:
    """An MP4 that is cut before its index is refused."""
    with pytest.raises(InvalidVideo, match=r"not a video that can be read|no video in it"):
        VideoSource(truncated(write_clip(tmp_path / "a.mp4", every(50)), 0.5))


def test_too_large(tmp_path: Path) -> None:
    """Frames beyond the limit are refused by their header."""
    clip = write_clip(tmp_path / "a.mp4", every(3))
    with pytest.raises(VideoTooLarge, match="128 x 64"):
        VideoSource(clip, VideoOptions(max_pixels=128 * 64 - 1))


@pytest.mark.parametrize("name", ["list.m3u8", "list.mp4"])
def test_playlists_read_nothing(tmp_path: Path, name: str) -> None:
    """A playlist that names another file is refused, whatever its name, and so is a concatenation."""
    secret = write_clip(tmp_path / "secret.ts", every(10))
    playlists = [
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {secret}\n",
    ]
    for text in playlists:
        (tmp_path / name).write_text(text)
        with pytest.raises(InvalidVideo):
            VideoSource(tmp_path / name)


def test_refusals_free(tmp_path: Path) -> None:
    """What is refused leaves no descriptor behind either."""
    (tmp_path / "a.mp4").write_bytes(b"no video" * 1000)
    large = write_clip(tmp_path / "b.mp4", every(3))
    before = held("fd")
    for path in (tmp_path / "a.mp4", large):
        with pytest.raises((InvalidVideo, VideoTooLarge)):
            VideoSource(path, VideoOptions(max_pixels=64))
    assert held("fd") == before


def test_no_stamps(tmp_path: Path) -> None:
    """A bare stream has no times: they are reckoned by the rate, and it is said."""
    _, times, problems = read(write_clip(tmp_path / "a.h264", every(40)))
    assert np.diff(times) == pytest.approx(np.full(39, times[1] - times[0]))
    assert times[1] > 0
    assert "no timestamp" in problems[-1]


def test_a_change_of_size(tmp_path: Path) -> None:
    """A stream may change its size in the middle; frames that are then too large are not decoded, and it is said."""
    small = write_clip(tmp_path / "a.ts", every(20))
    large = write_clip(tmp_path / "b.ts", every(20), paint=lambda _: np.zeros((256, 512, 3), np.uint8))
    both = tmp_path / "ab.ts"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    for max_pixels, widths in ((50_000_000, [128] * 20 + [512] * 20), (128 * 64, [128] * 20)):
        with VideoSource(both, VideoOptions(max_pixels=max_pixels)) as source:
            frames = [(frame.width, frame.time_s) for frame in source.frames()]
            assert [width for width, _ in frames] == widths
            assert np.diff([time for _, time in frames]).min() > 0
            assert source.problems


@pytest.mark.parametrize("extension", [".png", ".jpg", ".webp"])
def test_still_pictures(tmp_path: Path, extension: str) -> None:
    """A still picture is no video."""
    path = tmp_path / "a.mp4"
    Image.fromarray(quarters()).save(path, Image.registered_extensions()[extension])
    with pytest.raises(InvalidVideo):
        VideoSource(path)


def test_sound_alone(tmp_path: Path) -> None:
    """A file with sound and no picture is refused, and says why."""
    with wave.open(str(tmp_path / "a.wav"), "wb") as sound:
        sound.setparams((1, 2, 16_000, 0, "NONE", ""))
        sound.writeframes(bytes(32_000))
    with pytest.raises(InvalidVideo, match="no video in it"):
        VideoSource(tmp_path / "a.wav")


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi"])
def test_broken_anyhow(tmp_path: Path, name: str) -> None:
    """However a file is broken, it is refused, or read with times that go forward; nothing else is raised."""
    whole = write_clip(tmp_path / name, every(20), codec="mpeg4", b_frames=1).read_bytes()
    dice, broken = np.random.default_rng(6), tmp_path / f"broken_{name}"
    for _ in range(25):
        data = bytearray(whole)
        for place in dice.integers(0, len(data), dice.integers(1, 40)):
            data[place] = dice.integers(256)
        broken.write_bytes(data)
        with suppress(InvalidVideo, VideoTooLarge), VideoSource(broken) as source:
            times = [frame.time_s for frame in source.frames()]
            assert times == sorted(set(times))
