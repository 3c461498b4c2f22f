import asyncio
import os
from pathlib import Path

import pytest

from service.errors import ErrorKind, ServiceError
from service.video.opening import VideoOptions
from service.video.probe import Probe
from tests.service.video.clips import HEIGHT, WIDTH, every, truncated, write_clip, write_photographs
from tests.service.video.reading import held


async def refused(path: Path, options: VideoOptions | None = None, patience_s: float = 20.0) -> tuple[ErrorKind, str]:
    """The kind and the words with which a file is refused."""
    with pytest.raises(ServiceError) as error:
        await Probe(options or VideoOptions(), patience_s=patience_s).check(path)
    return error.value.kind, error.value.message


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.webm"])
async def test_videos_pass(tmp_path: Path, name: str) -> None:
    """A video passes, and no file stays open."""
    clip = write_clip(tmp_path / name, every(3), codec={"a.avi": "mpeg4", "a.webm": "libvpx"}.get(name, "libx264"))
    probe = Probe(VideoOptions())
    await probe.check(clip)
    before = held("fd")
    await asyncio.gather(*(probe.check(clip) for _ in range(5)))
    # Fewer is no matter: what an earlier test left to the garbage collector may go meanwhile.
    assert held("fd") <= before


async def test_what_can_be_read_in_part_passes(tmp_path: Path) -> None:
    """A video that is cut short is one all the same."""
    clip = truncated(write_clip(tmp_path / "a.mkv", every(100)), 0.3)
    await Probe(VideoOptions()).check(clip)
    assert clip.stat().st_size > 0


@pytest.mark.parametrize(
    "content", [b"", b"Dear reader\n" * 99, bytes(9000), os.urandom(5000), b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n"]
)
async def test_other_files_do_not_pass(tmp_path: Path, content: bytes) -> None:
    """What is no video is refused, without its path in the words."""
    (tmp_path / "a.mp4").write_bytes(content)
    kind, words = await refused(tmp_path / "a.mp4")
    assert kind is ErrorKind.INVALID_VIDEO
    assert str(tmp_path) not in words


async def test_a_video_without_frames_does_not_pass(tmp_path: Path) -> None:
    """A container in which there is no frame, or none that can be decoded, is refused; it is said why."""
    assert (await refused(write_clip(tmp_path / "a.mkv", [])))[0] is ErrorKind.INVALID_VIDEO
    broken = write_photographs(tmp_path / "b.mkv", [b"no photograph"] * 9)
    kind, words = await refused(broken)
    assert (kind, words.startswith("no frame of the video can be decoded: ")) == (ErrorKind.INVALID_VIDEO, True)


async def test_frames_that_are_too_large(tmp_path: Path) -> None:
    """Frames of more pixels than allowed are refused as too large; of as many, they pass."""
    clip = write_clip(tmp_path / "a.mp4", every(3))
    kind, words = await refused(clip, VideoOptions(max_pixels=WIDTH * HEIGHT - 1))
    assert (kind, f"{WIDTH} x {HEIGHT}" in words) == (ErrorKind.TOO_LARGE, True)
    await Probe(VideoOptions(max_pixels=WIDTH * HEIGHT)).check(clip)


async def test_nobody_looks_for_ever(tmp_path: Path) -> None:
    """A long file of which nothing can be decoded is given up after a while; so is one whose caller has left."""
    broken = write_photographs(tmp_path / "a.mkv", [b"no photograph"] * 20_000)
    before = held("fd")
    assert (await refused(broken, patience_s=0.0))[0] is ErrorKind.INVALID_VIDEO
    looking = asyncio.create_task(Probe(VideoOptions()).check(broken))
    await asyncio.sleep(0)
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    assert held("fd") == before
