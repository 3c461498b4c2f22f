"""Which frames are processed, carried and dropped."""

from dataclasses import dataclass, field
from itertools import pairwise
from math import floor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contract.preprocess import Pixels
from service.video.frame import Thumbnail
from service.video.sampling import (
    Decision,
    Events,
    FixedRate,
    KeyFrames,
    SampleMode,
    SamplingParameters,
    SceneChanges,
    Tally,
)
from service.video.source import VideoSource
from tests.assets import ASSETS
from tests.service.video.clips import every, write_clip

GREY = np.full((36, 64), 128, np.uint8)


@dataclass
class Facts:
    """What a sampler sees of a frame."""

    time_s: float = 0.0
    key: bool = False
    thumbnail: Thumbnail = field(default_factory=lambda: GREY)


def decisions(parameters: dict[str, Any], frames: list[Facts]) -> str:
    """The first letters of what is decided on each frame."""
    sampler = SamplingParameters.model_validate(parameters).sampler()
    return "".join(sampler.decide(frame).value[0] for frame in frames)


def with_spot(value: int) -> Thumbnail:
    """Grey, with one small spot."""
    thumbnail = GREY.copy()
    thumbnail[20, 30] = value
    return thumbnail


def test_every() -> None:
    """Without a wish, each frame is processed."""
    assert decisions({}, [Facts(t) for t in every(4)]) == "pppp"


def test_key() -> None:
    """Only key frames are processed, and the first, from which a damaged video may begin."""
    assert decisions({"sample": "key"}, [Facts(key=key) for key in (False, False, True, False, True)]) == "pdpdp"


@pytest.mark.parametrize(
    ("rate", "fps", "count"), [(30, 10, 10), (30, 30, 30), (29.97, 30, 30), (25, 10, 10), (10, 25, 10), (24, 1, 1)]
)
def test_fps_of_a_constant_rate(rate: float, fps: float, count: int) -> None:
    """Of a second of video as many frames are processed as were wished, or as there are."""
    times = [round(t, 3) for t in every(round(rate), rate)]  # as a container that counts in milliseconds has them
    assert decisions({"fps": fps}, [Facts(t) for t in times]).count("p") == count


def test_fps_does_not_drift() -> None:
    """After ten hours the frames are still the first ones of their slots."""
    sampler = FixedRate(3)
    frames = [Facts(36_000 + index / 29.97) for index in range(300)]
    chosen = [frame.time_s for frame in frames if sampler.decide(frame) is Decision.PROCESS]
    assert np.abs(np.array(chosen[1:]) * 3 % 1).max() < 3 / 29.97 + 0.01
    assert len(chosen) == 30


steps = st.lists(st.floats(0.001, 3), min_size=1, max_size=200)


@given(steps, st.floats(0.1, 120))
def test_fps_is_never_exceeded(gaps: list[float], fps: float) -> None:
    """Two processed frames are never closer than 1/fps less the pause before the earlier one."""
    times, sampler = np.cumsum(gaps).tolist(), FixedRate(fps)
    chosen = [index for index, time in enumerate(times) if sampler.decide(Facts(time)) is Decision.PROCESS]
    assert chosen[0] == 0
    for a, b in pairwise(chosen[1:]):
        assert times[b] - times[a] > 1 / fps - (times[a] - times[a - 1]) - 2e-3


@given(st.data(), st.floats(0.5, 30))
def test_fps_is_reached(data: st.DataObject, fps: float) -> None:
    """Where frames are never rarer than 1/fps, as many are processed as there are slots, give or take one."""
    gaps = data.draw(st.lists(st.floats(0.1, 0.99).map(lambda share: share / fps), min_size=1, max_size=300))
    times, sampler = np.cumsum([0.0, *gaps]).tolist(), FixedRate(fps)
    chosen = sum(sampler.decide(Facts(time)) is Decision.PROCESS for time in times)
    assert abs(chosen - (floor(times[-1] * fps) + 1)) <= 1


def test_scenes() -> None:
    """A cut is processed; what moves within a scene is not, nor a slow change of light."""
    dark, half = np.full_like(GREY, 20), GREY.copy()
    half[:, 32:] = 220
    frames = [GREY, with_spot(255), GREY, dark, dark, half, half]
    assert decisions({"sample": "scene"}, [Facts(thumbnail=frame) for frame in frames]) == "pddpdpd"


def test_events() -> None:
    """A frame with a small spot that comes or goes is processed; one that only rustles is carried."""
    rustle = GREY + np.random.default_rng(1).integers(0, 6, GREY.shape, np.uint8)
    frames = [GREY, rustle, with_spot(160), with_spot(158), GREY, rustle]
    assert decisions({"sample": "event"}, [Facts(thumbnail=frame) for frame in frames]) == "pcpcpc"


def test_slow_changes_add_up() -> None:
    """The comparison is with the last frame that was processed, so a slow change counts in the end."""
    frames = [Facts(thumbnail=np.full_like(GREY, value)) for value in range(100, 160, 2)]
    found = decisions({"sample": "event", "threshold": 0.05}, frames)
    assert found.startswith("pccccccp")
    assert found.count("p") == 5


def test_gaps_are_bounded() -> None:
    """Of a scene in which nothing happens a frame is processed from time to time."""
    frames = [Facts(time) for time in every(100, 10)]
    assert decisions({"sample": "event", "max_gap_s": 2}, frames).count("p") == 5


@given(st.lists(st.integers(0, 255), min_size=1, max_size=50), st.floats(0.01, 1))
def test_what_is_carried_is_alike(values: list[int], threshold: float) -> None:
    """No carried frame differs from the last processed one by the threshold or more."""
    sampler, seen = Events(threshold, max_gap_s=1e9), -1
    for value in values:
        if sampler.decide(Facts(thumbnail=with_spot(value))) is Decision.PROCESS:
            seen = value
        assert seen >= 0
        assert abs(value - seen) / 255 < threshold


@pytest.mark.parametrize("threshold", [0.1, 0.9])
def test_scene_threshold(threshold: float) -> None:
    """The threshold says how much of a picture must change for a new scene."""
    third = GREY.copy()
    third[:18] = 250
    sampler = SceneChanges(threshold)
    assert sampler.decide(Facts()) is Decision.PROCESS
    assert (sampler.decide(Facts(thumbnail=third)) is Decision.PROCESS) == (threshold < 0.5)


@pytest.mark.parametrize(
    "wish",
    [
        {"sample": "sometimes"},
        {"fps": 0},
        {"fps": -1},
        {"fps": "inf"},
        {"fps": "nan"},
        {"threshold": 0.1},
        {"sample": "key", "fps": 2},
        {"sample": "scene", "max_gap_s": 2},
        {"sample": "event", "threshold": 0},
        {"sample": "event", "threshold": 1.5},
        {"unknown": 1},
    ],
)
def test_senseless_wishes(wish: dict[str, Any]) -> None:
    """What makes no sense, or has no effect, is refused."""
    with pytest.raises(ValidationError):
        SamplingParameters.model_validate(wish)


def test_query_strings() -> None:
    """Parameters come as text."""
    wish = SamplingParameters.model_validate({"sample": "event", "threshold": "0.2", "max_gap_s": "5"})
    assert wish.sampler() == Events(0.2, 5.0)
    assert SamplingParameters.model_validate({"fps": "2.5"}).sampler() == FixedRate(2.5)


def test_tally() -> None:
    """The saving is counted."""
    tally = Tally()
    for decision in (Decision.PROCESS, Decision.CARRY, Decision.CARRY, Decision.DROP):
        assert tally.count(decision) is decision
    assert (tally.processed, tally.carried, tally.dropped, tally.saved) == (1, 2, 1, 0.75)
    assert Tally().saved == 0


ENTERS, LEAVES = 30, 50


def watched_yard(number: int) -> Pixels:
    """A noisy still scene of 320 x 192 pixels, through which a bright square of 12 pixels goes for a while."""
    pixels = np.tile(np.linspace(40, 160, 320, dtype=np.uint8)[None, :, None], (192, 1, 3))
    pixels += np.random.default_rng(number).integers(0, 8, pixels.shape, np.uint8)
    if ENTERS <= number < LEAVES:
        left = (number - ENTERS) * 8
        pixels[90:102, left : left + 12] = 250
    return pixels


def test_a_static_camera(tmp_path: Path) -> None:
    """Of a still scene most frames are carried, but none on which a small object enters, moves or leaves."""
    clip = write_clip(tmp_path / "yard.mp4", every(120), paint=watched_yard, b_frames=2)
    sampler, tally = SamplingParameters(sample=SampleMode.EVENT).sampler(), Tally()
    with VideoSource(clip) as source:
        found = [tally.count(sampler.decide(frame)) for frame in source.frames()]
    assert found[ENTERS : LEAVES + 1] == [Decision.PROCESS] * (LEAVES - ENTERS + 1)
    assert tally.saved > 0.5


def test_key_frames_of_a_clip(tmp_path: Path) -> None:
    """Of a clip with a key frame every ten frames, one in ten is processed."""
    sampler = KeyFrames()
    clip = write_clip(tmp_path / "a.mp4", every(40), key_every=10, paint=lambda _: watched_yard(0))
    with VideoSource(clip) as source:
        chosen = [frame.index for frame in source.frames() if sampler.decide(frame) is Decision.PROCESS]
    assert chosen == [0, 10, 20, 30]


@pytest.mark.skipif(not (ASSETS / "video").is_dir(), reason="the folder with sample videos is absent")
def test_a_real_static_camera() -> None:
    """A real clip in which little moves needs less than half of its frames."""
    sampler, tally = SamplingParameters(sample=SampleMode.EVENT).sampler(), Tally()
    with VideoSource(ASSETS / "video" / "mmaction2_test.avi") as source:
        for frame in source.frames():
            tally.count(sampler.decide(frame))
    assert tally.saved > 0.5
