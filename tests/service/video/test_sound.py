from pathlib import Path

import av
import pytest

from contract.task import Task
from service.video.annotate import AnnotatedVideo
from service.video.sound import Sound
from service.video.source import VideoSource
from tests.service.video.clips import every, truncated, write_clip
from tests.service.video.reading import held


def with_sound(path: Path, clip: Path) -> tuple[Path, str | None]:
    """The clip written anew with its sound, and what was wrong with that."""
    sound = Sound(clip)
    with AnnotatedVideo(path, Task.DETECT, sound=sound) as video, VideoSource(clip) as source:
        for frame in source.frames():
            video.add(frame.pixels(), frame.time_s, None)
    return path, sound.problem


def sound_of(path: Path) -> tuple[float, float]:
    """When the sound begins, and how long it is."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
        assert frames[0].time is not None
        return frames[0].time, sum(frame.samples / frame.sample_rate for frame in frames)


def pictures_of(path: Path) -> list[float]:
    """When the pictures are shown."""
    with VideoSource(path) as source:
        return [frame.time_s for frame in source.frames()]


def test_sound_is_copied(tmp_path: Path) -> None:
    """The sound is in the new video, as long as it was, beside pictures at their own times."""
    clip = write_clip(tmp_path / "clip.mp4", every(75), audio="aac")
    path, problem = with_sound(tmp_path / "a.mp4", clip)
    begin_s, length_s = sound_of(path)
    assert problem is None
    assert begin_s == pytest.approx(sound_of(clip)[0], abs=0.1)
    assert length_s == pytest.approx(sound_of(clip)[1], abs=0.2)
    assert pictures_of(path) == pytest.approx(pictures_of(clip), abs=1e-3)


def test_a_picture_that_begins_late_does_so_with_its_sound(tmp_path: Path) -> None:
    """Where the pictures begin after the sound, they do so in the new video too."""
    clip = write_clip(tmp_path / "clip.mp4", [0.5 + time_s for time_s in every(25)], audio="aac")
    path, _ = with_sound(tmp_path / "a.mp4", clip)
    assert pictures_of(clip)[0] == pytest.approx(0.5, abs=0.1)
    assert pictures_of(path) == pytest.approx(pictures_of(clip), abs=1e-3)


def test_sound_is_known_by_its_codec_not_its_decoder(tmp_path: Path) -> None:
    """MP3, whose decoder has another name, is copied too."""
    clip = write_clip(tmp_path / "clip.mkv", every(75), audio="libmp3lame")
    path, problem = with_sound(tmp_path / "a.mp4", clip)
    assert problem is None
    assert sound_of(path)[1] == pytest.approx(sound_of(clip)[1], abs=0.2)


def test_a_clip_without_sound_has_none(tmp_path: Path) -> None:
    """Nothing is missing where there was nothing."""
    path, problem = with_sound(tmp_path / "a.mp4", write_clip(tmp_path / "clip.mp4", every(5)))
    with av.open(str(path)) as container:
        assert (len(container.streams.audio), problem) == (0, None)


def test_damaged_sound_does_not_end_the_video(tmp_path: Path) -> None:
    """Of a file that is cut short the pictures are there, and the sound that could be read."""
    clip = write_clip(tmp_path / "clip.mkv", every(75), audio="aac")
    short = truncated(clip, 0.7)
    path, _ = with_sound(tmp_path / "a.mp4", short)
    assert pictures_of(path) == pytest.approx(pictures_of(short), abs=1e-3)
    assert 0 < sound_of(path)[1] < sound_of(clip)[1]


def test_what_is_no_video_has_no_sound(tmp_path: Path) -> None:
    """A file that cannot be read has no sound, and nothing stays open."""
    text = tmp_path / "clip.mp4"
    text.write_text("this is not a video")
    files = held("fd")
    with Sound(text) as sound:
        assert sound.stream is None
    assert held("fd") == files
