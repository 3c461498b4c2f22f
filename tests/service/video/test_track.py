"""Tracks of made-up scenes whose truth is known."""

import copy
import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.video.track import NotTrackable, TimeWentBack, Tracker, TrackParameters
from tests.service.video.scenes import (
    Scene,
    Thing,
    detected,
    followed,
    line,
    picture,
    switches,
    times,
    uneven_times,
)

SECOND = 30
"""Frames."""


def tracker(**parameters: Any) -> Tracker:
    """A tracker whose callers want objects from a score of 0.3 on."""
    return Tracker(TrackParameters(**parameters), 0.3)


def street() -> Scene:
    """Eight walkers in lanes beside each other, both ways, detected with a shake of two pixels."""
    lanes = [
        Thing(line((200 if lane % 2 else 900, 80 + 75 * lane), (90 if lane % 2 else -90, 0)), height=60)
        for lane in range(8)
    ]
    return Scene(lanes, shake=2)


def test_each_keeps_its_id() -> None:
    """Eight walkers, detected with a shake, keep their ids for five seconds: eight ids, no switch."""
    history = followed(tracker(), street(), times(5 * SECOND))
    assert switches(history) == 0
    assert history[-1] == history[0]
    assert set(history[0].values()) == set(range(1, 9))


@pytest.mark.parametrize("fps", [5, 10, 60])
def test_at_any_frame_rate(fps: float) -> None:
    """The same holds at 5, 10 and 60 frames a second, though at 5 a walker moves on by half its width."""
    assert switches(followed(tracker(), street(), times(int(5 * fps), fps))) == 0


def test_at_no_steady_frame_rate() -> None:
    """The same holds for frames from 8 to 125 ms apart."""
    history = followed(tracker(), street(), uneven_times(5))
    assert switches(history) == 0
    assert len(set().union(*(frame.values() for frame in history))) == 8


def test_an_uneven_rate_needs_real_time() -> None:
    """A fast box is followed over uneven steps, the largest of them longer than the box by half."""
    steps = itertools.cycle([1 / 30] * 6 + [0.15])
    when = list(itertools.accumulate(itertools.islice(steps, 60), initial=0.0))
    history = followed(
        tracker(), Scene([Thing(line((50, 300), (400, 0)))]), [time_s for time_s in when if time_s < 2.5]
    )
    assert {frame[0] for frame in history} == {1}


def test_crossing_each_other() -> None:
    """Two who walk through each other keep their ids: they are told apart by where they were heading."""
    scene = Scene([Thing(line((300, 300), (200, 0))), Thing(line((700, 330), (-200, 0)))], shake=1)
    assert switches(followed(tracker(), scene, times(2 * SECOND))) == 0


def test_in_the_very_same_place() -> None:
    """Two whose boxes coincide for a moment have their own ids again afterwards."""
    scene = Scene([Thing(line((300, 300), (200, 30))), Thing(line((700, 360), (-200, -30)))], shake=1)
    history = followed(tracker(), scene, times(2 * SECOND))
    assert history[-1] == history[0]


@pytest.mark.parametrize("frames", [5, 15, 27])
def test_occluded(frames: int) -> None:
    """One who is hidden for up to 27 frames while walking on is the same afterwards."""
    scene = Scene([Thing(line((100, 300), (150, 0)), hidden=(1, 1 + frames / 30))], shake=0.5)
    history = followed(tracker(), scene, times(4 * SECOND))
    assert {number for frame in history for number in frame.values()} == {1}


def test_lost_for_too_long() -> None:
    """One who is hidden for longer than ``lost_s`` is another afterwards, whatever the frame rate."""
    for fps in (10, 30, 60):
        scene = Scene([Thing(lambda _: (300, 300), hidden=(1, 1.6))])
        history = followed(tracker(lost_s=0.5), scene, times(3 * fps, fps))
        assert history[-1] == {0: 2}


def test_lost_is_a_time_not_frames() -> None:
    """One who is hidden for less than ``lost_s`` is the same afterwards, whatever the frame rate."""
    for fps in (10, 30, 60):
        scene = Scene([Thing(lambda _: (300, 300), hidden=(1, 1.3))])
        history = followed(tracker(lost_s=0.5), scene, times(3 * fps, fps))
        assert history[-1] == {0: 1}


def test_frames_farther_apart_than_that() -> None:
    """With a frame every five seconds, what stands still keeps its id, though ``lost_s`` is one second."""
    history = followed(tracker(), Scene([Thing(lambda _: (300, 300))], shake=2), times(10, 0.2))
    assert {frame[0] for frame in history} == {1}


def test_entering_and_leaving() -> None:
    """Who enters gets the next number, who leaves takes his along, and who comes after him gets a new one."""
    scene = Scene(
        [
            Thing(line((400, 200), (300, 0))),
            Thing(line((-200, 500), (200, 0))),
            Thing(line((1280 + 5 * 200, 200), (-200, 0))),
        ]
    )
    history = followed(tracker(), scene, times(7 * SECOND))
    assert history[0] == {0: 1}
    assert history[-1] == {1: 2, 2: 3}
    assert switches(history) == 0


@pytest.mark.parametrize("fps", [10, 30])
def test_many_in_a_crowd(fps: float) -> None:
    """Of forty who walk through each other for six seconds, a tenth overlooked in each frame, few ever change ids."""
    random = np.random.default_rng(1)
    starts, speeds = random.uniform((200, 150), (1000, 550), (40, 2)), random.normal(0, 40, (40, 2))
    walkers = [Thing(line(tuple(a), tuple(b)), 30, 60) for a, b in zip(starts, speeds, strict=True)]
    history = followed(tracker(), Scene(walkers, shake=3, misses=0.1), times(int(6 * fps), fps))
    assert switches(history) <= 24
    assert len(set().union(*(frame.values() for frame in history))) <= 44


def test_a_low_score_carries_a_track_on() -> None:
    """One whose score falls under the threshold for two seconds, longer than ``lost_s``, keeps his id throughout."""
    scene = Scene([Thing(line((100, 300), (80, 0)), dim=(1, 3))])
    history = followed(tracker(), scene, times(4 * SECOND))
    assert [frame.get(0) for frame in history] == [1] * 4 * SECOND


def test_low_scores_may_be_left_out() -> None:
    """The same with ``keep_unsure=False``: the unsure objects are not answered, and the id is there afterwards."""
    scene = Scene([Thing(line((100, 300), (80, 0)), dim=(1, 3))])
    history = followed(tracker(keep_unsure=False), scene, times(4 * SECOND))
    assert [frame.get(0) for frame in history] == [1] * SECOND + [None] * 2 * SECOND + [1] * SECOND


def test_a_low_score_starts_nothing() -> None:
    """Objects below the threshold that belong to no track are not answered."""
    following = tracker()
    found = [following.update(picture([detected((10, 10, 60, 90), 0.2)]), frame / 30)["objects"] for frame in range(5)]
    assert found == [[]] * 5


def test_the_score_to_ask_for() -> None:
    """The model is asked for objects from the lower of the two scores on."""
    assert TrackParameters().detection_threshold(0.5) == 0.1
    assert TrackParameters().detection_threshold(0.05) == 0.05


def test_a_flicker_gets_no_id() -> None:
    """What is seen in a single frame, other than the first, has no id, and takes none from those after it."""
    following = tracker()
    following.update(picture([]), 0.0)
    once = following.update(picture([detected((10, 10, 60, 90))]), 0.1)["objects"]
    following.update(picture([]), 0.2)
    later = [following.update(picture([detected((500, 10, 560, 90))]), time_s)["objects"] for time_s in (0.3, 0.4)]
    assert "track_id" not in once[0]
    assert later[1][0]["track_id"] == 1


def test_frames_in_a_row() -> None:
    """What blinks, seen in every second frame only, never gets an id."""
    following, there = tracker(), picture([detected((10, 10, 60, 90))])
    frames = [following.update(there if number % 2 else picture([]), number / 30) for number in range(20)]
    assert not any("track_id" in item for frame in frames for item in frame["objects"])


def test_a_label_is_kept() -> None:
    """A car in a person's place is another track; where labels do not matter, it is the same."""
    for by_label, last in ((True, None), (False, 1)):
        following = tracker(by_label=by_label)
        for time_s in (0.0, 0.1):
            following.update(picture([detected((10, 10, 60, 90))]), time_s)
        car = following.update(picture([detected((10, 10, 60, 90), index=1)]), 0.2)["objects"][0]
        assert car.get("track_id") == last


def test_segments_and_people() -> None:
    """Segments of instances and people with key points are tracked as objects are, and keep all that they have."""
    box = detected((10, 10, 60, 90))["box"]
    image = {"width": 100, "height": 100}
    segment = {
        "label": "cat",
        "index": 3,
        "score": 0.8,
        "area": 9,
        "box": box,
        "mask": {"format": "palette", "value": 1},
    }
    person = {"score": 0.8, "box": box, "keypoints": []}
    for name, item in (("segments", segment), ("people", person)):
        answer = tracker().update({"image": image, name: [item]}, 0.0)
        assert answer == {"image": image, name: [{**item, "track_id": 1}]}


@pytest.mark.parametrize("result", [{"classes": []}, {"segments": [{"label": "sky", "index": 1, "box": {}}]}])
def test_what_cannot_be_tracked(result: dict[str, Any]) -> None:
    """A result without boxes, or whose items have no score, is refused."""
    with pytest.raises(NotTrackable):
        tracker().update(result, 0.0)


@pytest.mark.parametrize("time_s", [0.5, math.nan, math.inf])
def test_time_runs_forward(time_s: float) -> None:
    """A frame from before the last one is refused, and the tracks are as they were; a second one at its time is not."""
    following = tracker()
    frame = picture([detected((10, 10, 60, 90))])
    following.update(frame, 1.0)
    with pytest.raises(TimeWentBack):
        following.update(frame, time_s)
    assert following.update(frame, 1.0)["objects"][0]["track_id"] == 1


def test_reset() -> None:
    """After a reset nothing is known, time may start again, and ids start from 1."""
    following, other = tracker(), picture([detected((500, 10, 560, 90))])
    following.update(picture([detected((10, 10, 60, 90))]), 9.0)
    following.reset()
    assert len(following) == 0
    assert following.update(other, 0.0)["objects"][0]["track_id"] == 1


def test_two_streams_never_mix() -> None:
    """Two trackers that take turns give the same answers as each by itself."""
    apart = [followed(tracker(), street(), times(SECOND)) for _ in range(2)]
    first, second, one, two = tracker(), tracker(), street(), street()
    together = [(followed(first, one, [time_s])[0], followed(second, two, [time_s])[0]) for time_s in times(SECOND)]
    assert list(zip(*apart, strict=True)) == together


def test_the_result_is_not_changed() -> None:
    """The result that is passed in stays as it was."""
    result = picture([detected((10, 10, 60, 90)), detected((200, 10, 260, 90), 0.15)])
    before = copy.deepcopy(result)
    tracker().update(result, 0.0)
    assert result == before


def test_ten_thousand() -> None:
    """Ten thousand objects in a frame have ten thousand ids, and keep them."""
    corner = np.stack(np.meshgrid(np.arange(100) * 40.0, np.arange(100) * 40.0), axis=-1).reshape(-1, 2)
    boxes = np.concatenate([corner, corner + 30], axis=1)
    following = tracker()
    first, second = (
        following.update(picture([detected(box) for box in boxes + shift]), time_s)["objects"]
        for shift, time_s in ((0, 0.0), (5, 0.1))
    )
    assert [item["track_id"] for item in first] == [item["track_id"] for item in second]
    assert len({item["track_id"] for item in first}) == 10_000


def test_all_in_one_place() -> None:
    """Two thousand objects that all overlap have an id each, too."""
    random = np.random.default_rng(0)
    boxes = np.concatenate([random.uniform(0, 20, (2_000, 2)), random.uniform(400, 420, (2_000, 2))], axis=1)
    following, frame = tracker(), picture([detected(box) for box in boxes])
    following.update(frame, 0.0)
    ids = [item.get("track_id") for item in following.update(frame, 0.1)["objects"]]
    assert len(set(ids) - {None}) == len([number for number in ids if number])


def test_the_lost_are_forgotten() -> None:
    """An hour of objects that are each seen for two frames leaves no more tracks than one second of them."""
    following = tracker()
    for frame in range(3_600):
        corner = 100.0 * (frame // 2 % 7)
        following.update(picture([detected((corner, 0, corner + 50, 50))]), float(frame))
    assert len(following) <= 3


boxes = st.tuples(
    st.floats(0, 300), st.floats(0, 300), st.floats(5, 120), st.floats(5, 120), st.floats(0.05, 1), st.integers(0, 1)
)


@settings(max_examples=40, deadline=None)
@given(frames=st.lists(st.lists(boxes, max_size=7, unique=True), max_size=6), random=st.randoms(use_true_random=False))
def test_order_does_not_matter(frames: list[list[Any]], random: Any) -> None:
    """Whatever the order of a frame's objects, each has the same id, and no two of a frame have the same."""
    one, other = tracker(), tracker()
    for number, frame in enumerate(frames):
        objects = [detected((x, y, x + w, y + h), score, index) for x, y, w, h, score, index in frame]
        shuffled = random.sample(objects, len(objects))
        first, second = (
            {
                str({**item, "track_id": 0}): item.get("track_id")
                for item in each.update(picture(order), number / 10)["objects"]
            }
            for each, order in ((one, objects), (other, shuffled))
        )
        ids = [number for number in first.values() if number]
        assert first == second
        assert len(set(ids)) == len(ids)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(boxes, max_size=6), max_size=6))
def test_no_sure_object_is_lost(frames: list[list[Any]]) -> None:
    """Every object from the threshold on is answered, in its order, and ids never fall below 1."""
    following = tracker()
    for number, frame in enumerate(frames):
        objects = [detected((x, y, x + w, y + h), score, index) for x, y, w, h, score, index in frame]
        answered = following.update(picture(objects), number / 10)["objects"]
        sure = [{**item, "track_id": 0} for item in objects if item["score"] >= 0.3]
        assert [{**item, "track_id": 0} for item in answered if item["score"] >= 0.3] == sure
        assert all(item.get("track_id", 1) >= 1 for item in answered)
