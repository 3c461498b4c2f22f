from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.video.sampling import Decision
from service.video.windows import ClipParameters, Window, Windows, WindowSampler
from tests.service.video.clips import every


@dataclass(frozen=True)
class Shot:
    """A frame as a sampler sees it."""

    time_s: float
    key: bool = False

    @property
    def thumbnail(self) -> None:  # type: ignore[override]
        """Nobody looks at it."""


def windows_of(times_s: list[float], size: int, parameters: ClipParameters) -> tuple[list[Window], float]:
    """All windows of a video whose frames have these times, as a feed of the frames that are wanted makes them."""
    sampler = WindowSampler(Windows.sliding(size, parameters))
    windows = Windows.sliding(size, parameters)
    for index, time_s in enumerate(times_s):
        if sampler.decide(Shot(time_s)) is Decision.PROCESS:  # type: ignore[arg-type]
            assert windows.add(index, time_s)
        else:
            windows.passed(time_s)
    whole, found = windows.finish(sampler.end_s), windows.closed()
    if not whole:
        last = Windows.last(size, parameters, sampler.end_s)
        for index, time_s in enumerate(times_s):
            last.add(index, time_s)
        last.finish(sampler.end_s)
        found += last.closed()
    return found, sampler.end_s


def spans(windows: list[Window]) -> list[tuple[float, float]]:
    """From when to when they last."""
    return [(round(window.start_s, 3), round(window.end_s, 3)) for window in windows]


def test_frames_are_drawn_as_in_the_papers() -> None:
    """Windows of 64 frames at 25 a second give every fourth frame, 16 times; half of them are shared with the next."""
    windows, _ = windows_of(every(128), 16, ClipParameters(window_s=2.56, overlap=0.5))
    assert [window.first for window in windows] == [0, 32, 64]
    assert all(window.frames == tuple(range(window.first, window.first + 64, 4)) for window in windows)
    assert spans(windows) == [(0.0, 2.56), (1.28, 3.84), (2.56, 5.12)]


def test_the_last_window_ends_with_the_video() -> None:
    """What is left at the end is seen in a window that is moved back, not in one that is cut short."""
    windows, end_s = windows_of(every(60), 4, ClipParameters(window_s=1, overlap=0))
    assert end_s == pytest.approx(2.4)
    assert spans(windows) == [(0.0, 1.0), (1.0, 2.0), (1.4, 2.4)]
    assert windows[-1].frames == (35, 42, 48, 54)


def test_no_window_is_added_where_nothing_is_left() -> None:
    """Windows that reach beyond the end are dropped where another one ends with the video."""
    windows, _ = windows_of(every(20, 10), 4, ClipParameters(window_s=1, overlap=0.5))
    assert spans(windows) == [(0.0, 1.0), (0.5, 1.5), (1.0, 2.0)]


@pytest.mark.parametrize(("count", "frames"), [(20, (0, 5, 10, 15)), (3, (0, 1, 2, 2)), (1, (0, 0, 0, 0))])
def test_a_short_video_is_one_window(count: int, frames: tuple[int, ...]) -> None:
    """A video that is shorter than a window is one of its own length; frames repeat where there are too few."""
    windows, end_s = windows_of(every(count), 4, ClipParameters(window_s=2))
    assert [window.frames for window in windows] == [frames]
    assert windows[0].end_s == pytest.approx(end_s)


def test_frames_repeat_where_nothing_is_shown_anew() -> None:
    """Where frames are missing for a while, the next one within the window stands for them, or the last one before."""
    windows, _ = windows_of([0.0, 0.1, 0.6, 3.0, 3.1, 3.5, 3.9], 4, ClipParameters(window_s=1, overlap=0))
    assert [(window.frames, window.start_s) for window in windows] == [((0, 2, 2, 2), 0.0), ((3, 5, 5, 6), 3.0)]


def test_a_last_frame_that_is_never_replaced_does_not_last_for_ever() -> None:
    """After a long pause the last frame counts a second at most."""
    assert windows_of([0.0, 0.1, 50.0], 2, ClipParameters(window_s=1))[1] == 51.0


@st.composite
def videos(draw: st.DrawFn) -> list[float]:
    """The times of frames at any rate, from any time on."""
    gaps = draw(st.lists(st.sampled_from([0.005, 0.02, 0.033, 0.04, 0.1, 0.5, 3.0]), min_size=0, max_size=120))
    times = [draw(st.sampled_from([0.0, 0.021, 7.7]))]
    for gap in gaps:
        times.append(times[-1] + gap)
    return times


@given(
    times=videos(),
    size=st.integers(1, 20),
    window_s=st.sampled_from([0.1, 0.25, 1.0, 2.4]),
    overlap=st.floats(0, 0.9),
)
def test_windows_cover_the_video_and_no_more(times: list[float], size: int, window_s: float, overlap: float) -> None:
    """Every frame is in the time of a window, windows are in order, and each has its frames within it."""
    windows, end_s = windows_of(times, size, ClipParameters(window_s=window_s, overlap=overlap))
    slack = 2e-3
    firsts = [window.first for window in windows]
    assert firsts == sorted(set(firsts))
    assert all(any(window.start_s <= t < window.end_s + slack for window in windows) for t in times)
    for window in windows:
        assert len(window.frames) == size
        assert list(window.frames) == sorted(window.frames)
        assert times[window.first] == window.start_s
        assert times[window.frames[-1]] < window.end_s <= min(end_s, window.start_s + window_s) + slack


@given(
    times=videos(),
    size=st.integers(1, 20),
    window_s=st.sampled_from([0.1, 0.25, 1.0, 2.4]),
    overlap=st.floats(0, 0.9),
    data=st.data(),
)
def test_reading_may_begin_at_any_window(
    times: list[float], size: int, window_s: float, overlap: float, data: st.DataObject
) -> None:
    """Who reads from the beginning of a window on finds the same windows after it, and no others."""
    parameters = ClipParameters(window_s=window_s, overlap=overlap)
    whole, _ = windows_of(times, size, parameters)
    place = data.draw(st.integers(0, len(whole) - 1))
    first = whole[place].first
    again, _ = windows_of(times[first:], size, parameters)
    rest = [replace(window, frames=tuple(index + first for index in window.frames)) for window in again]
    assert [window for window in rest if window.first > first] == whole[place + 1 :]


@pytest.mark.parametrize("wrong", [{"window_s": 0}, {"window_s": "nan"}, {"overlap": 1}, {"overlap": -0.1}, {"fps": 5}])
def test_windows_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    """A window lasts, and the next one begins later."""
    with pytest.raises(ValidationError):
        ClipParameters.model_validate(wrong)
