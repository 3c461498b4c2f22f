from pathlib import Path

import pytest

from service.video.frame import Frame
from service.video.live_sampling import LiveSampling
from service.video.sampling import Decision, SamplingParameters
from service.video.source import VideoSource
from tests.service.video.clips import every, write_clip
from tests.service.video.filming import still


@pytest.fixture
def frames(tmp_path: Path) -> list[Frame]:
    """Ten frames of a picture that does not change, a fifth of a second apart."""
    with VideoSource(write_clip(tmp_path / "a.mp4", every(10, rate=5), paint=still)) as source:
        return list(source.frames())


def sampling(**parameters: object) -> LiveSampling:
    """That of a stream."""
    return LiveSampling(SamplingParameters.model_validate(parameters))


def test_the_next_frame_instead_of_a_lost_one(frames: list[Frame]) -> None:
    """Where the model had no time for a frame that counted, the next one counts, whatever it looks like."""
    events = sampling(sample="event", max_gap_s=100)
    assert [events.decide(frame) for frame in frames[:2]] == [Decision.PROCESS, Decision.CARRY]
    events.again()
    assert [events.decide(frame) for frame in frames[2:4]] == [Decision.PROCESS, Decision.CARRY]


def test_what_a_rate_leaves_out_is_known_before(frames: list[Frame]) -> None:
    """At one frame a second others of the same second need not be kept; asking changes nothing."""
    rate = sampling(fps=1)
    assert rate.decide(frames[0]) is Decision.PROCESS
    assert [rate.would_drop(frame) for frame in frames] == [True] * 5 + [False] * 5
    assert rate.decide(frames[5]) is Decision.PROCESS


def test_a_newer_frame_of_the_same_slot(frames: list[Frame]) -> None:
    """Within one second a newer frame may stand for an older one without a loss, from one to the next it may not."""
    rate = sampling(fps=1)
    assert [rate.replaces(frame, frames[0]) for frame in frames] == [True] * 5 + [False] * 5


@pytest.mark.parametrize("mode", ["every", "key", "scene", "event"])
def test_nothing_is_known_before_of_other_ways(frames: list[Frame], mode: str) -> None:
    """Where a decision takes a look, each frame is kept, and each that is not seen is a loss."""
    other = sampling(sample=mode)
    other.decide(frames[0])
    assert not other.would_drop(frames[1])
    assert not other.replaces(frames[1], frames[0])
