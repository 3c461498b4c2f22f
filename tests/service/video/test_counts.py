"""Lines that are crossed, and zones that are entered and left."""

import itertools
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contract.tasks.detect import DetectResult
from service.video.counts import Counting, CountParameters
from service.video.track import Tracker, TrackParameters
from tests.service.video.scenes import Scene, Thing, detected, line, picture, times

DOWN = {"name": "door", "points": [[0.5, 0.25], [0.5, 0.75]]}
"""A line in the middle of the picture, from y = 180 to y = 540; its right, seen along it, is the picture's left."""
SQUARE = {"name": "yard", "points": [[400, 200], [800, 200], [800, 600], [400, 600]]}


def at(x: float, foot: float, track_id: int = 1, index: int = 0) -> DetectResult:
    """A frame with one tracked object of 40 by 100 pixels whose foot is there."""
    return picture([{**detected((x - 20, foot - 100, x + 20, foot), index=index), "track_id": track_id}])


def walked(counting: Counting, *feet: tuple[float, float]) -> list[Any]:
    """What happens when one object's foot is at each of these points in turn, ten a second."""
    frames = [counting.update(at(*foot), number / 10) for number, foot in enumerate(feet)]
    return [event for frame in frames for event in (*frame["crossings"], *frame["passages"])]


def door(**parameters: Any) -> Counting:
    """Counts of the door."""
    return Counting(CountParameters.model_validate({"lines": [DOWN], **parameters}))


def yard(**parameters: Any) -> Counting:
    """Counts of the yard."""
    return Counting(CountParameters.model_validate({"zones": [SQUARE], "unit": "pixels", **parameters}))


def test_both_directions() -> None:
    """Who walks through the door and back again is counted once in either direction, each in the frame of its event."""
    counting = door()
    there, back = walked(counting, (500, 400), (600, 400), (700, 400), (800, 400), (600, 400), (500, 400))
    assert there == {"line": "door", "direction": "to_left", "track_id": 1, "label": "person"}
    assert back == {**there, "direction": "to_right"}
    assert counting.totals()["lines"] == {"door": {"to_right": {"person": 1}, "to_left": {"person": 1}}}


def test_shaking_on_the_line() -> None:
    """Who stands on the line, with a box that shakes by five pixels either way, is counted once when he walks on."""
    shaking = [(640 + shift, 400.0) for shift in itertools.islice(itertools.cycle((-5, 5, 0, 3)), 40)]
    assert walked(door(), (500, 400), *shaking) == []
    assert len(walked(door(), (500, 400), *shaking, (800, 400))) == 1


def test_turning_back_on_the_line() -> None:
    """Who steps on the line and turns back has not crossed it."""
    assert walked(door(), (500, 400), (644, 400), (500, 400)) == []


def test_past_the_end_of_the_line() -> None:
    """Who walks by beside the door, above or below, has not crossed it."""
    assert walked(door(), (500, 150), (800, 150)) == []
    assert walked(door(), (500, 600), (800, 600)) == []


def test_around_the_end_of_the_line() -> None:
    """Who walks around the end of the line is not counted, and is when he then comes back through it."""
    around = [(500, 400), (500, 100), (800, 100), (800, 400)]
    assert walked(door(), *around) == []
    assert [event["direction"] for event in walked(door(), *around, (500, 400))] == ["to_right"]


def test_over_the_line_in_one_step() -> None:
    """A step from far on one side to far on the other, as at a low frame rate, is a crossing."""
    assert len(walked(door(), (100, 300), (1200, 500))) == 1


def test_unseen_while_crossing() -> None:
    """Who is not detected for a while as he crosses is counted when he is there again."""
    counting = door()
    counting.update(at(500, 400), 0.0)
    for time_s in (0.1, 0.2, 0.3):
        counting.update(picture([]), time_s)
    assert len(counting.update(at(800, 400), 0.4)["crossings"]) == 1


def test_by_label() -> None:
    """Crossings are counted by label."""
    counting = door()
    for number, index in enumerate((0, 1, 1)):
        for x, time_s in ((500, 0.0), (800, 0.1)):
            counting.update(at(x, 400, track_id=number, index=index), number + time_s)
    assert counting.totals()["lines"]["door"]["to_left"] == {"person": 1, "car": 2}


def test_without_an_id_nothing_counts() -> None:
    """Objects without an id are no one: nothing is counted."""
    counting = door()
    for x in (500, 800):
        crossings = counting.update(picture([detected((x, 300, x + 40, 400))]), x / 100)["crossings"]
        assert crossings == []


def test_entry_and_exit() -> None:
    """Who walks through a zone enters it once, is inside, and leaves it once."""
    counting = yard()
    frames = [counting.update(at(x, 400), x / 100) for x in range(300, 1000, 20)]
    assert [event["event"] for frame in frames for event in frame["passages"]] == ["entry", "exit"]
    assert [frame["inside"]["yard"] for frame in frames if frame["passages"]] == [1, 0]
    assert counting.totals()["zones"]["yard"] == {"entries": {"person": 1}, "exits": {"person": 1}, "began_inside": {}}


def test_beginning_inside() -> None:
    """Who is first seen inside has not entered; he is told apart, and his exit counts."""
    counting = yard()
    assert [event["event"] for event in walked(counting, (600, 400), (650, 400), (1000, 400))] == ["exit"]
    assert counting.totals()["zones"]["yard"]["began_inside"] == {"person": 1}


def test_shaking_on_the_fence() -> None:
    """Who stands on a zone's boundary with a box that shakes enters it once."""
    shaking = [(400 + shift, 400.0) for shift in (-5, 5, 6, -6, 3, -3, 5)]
    assert [event["event"] for event in walked(yard(), (300, 400), *shaking, (600, 400))] == ["entry"]


def test_a_zone_smaller_than_the_object() -> None:
    """An object far larger than a zone still enters and leaves it."""
    corners = [[600, 380], [620, 380], [620, 420], [600, 420]]
    counting = yard(zones=[{"name": "spot", "points": corners}], margin=1.0)
    assert [event["event"] for event in walked(counting, (500, 400), (610, 400), (700, 400))] == ["entry", "exit"]


def test_a_zone_that_is_not_convex() -> None:
    """In the gap of a zone like a U one is outside."""
    points = [[100, 100], [700, 100], [700, 600], [500, 600], [500, 300], [300, 300], [300, 600], [100, 600]]
    counting = yard(zones=[{"name": "u", "points": points}])
    assert [event["event"] for event in walked(counting, (200, 500), (400, 500), (600, 500))] == ["exit", "entry"]


def test_anchor() -> None:
    """What stands for an object is the foot of its box, or its middle."""
    for anchor, expected in (("foot", 1), ("middle", 0)):
        counting = yard(anchor=anchor)
        counting.update(at(600, 100), 0.0)
        assert counting.update(at(600, 235), 0.1)["inside"] == {"yard": expected}


def test_fractions_follow_the_image() -> None:
    """Points in fractions stay where they are in the scene when a stream changes its size."""
    counting = door()
    counting.update(at(500, 400), 0.0)
    half = at(330, 200)
    half["image"] = {"width": 640, "height": 360}
    counting.update(half, 0.1)
    assert counting.update({**half, "objects": at(400, 200)["objects"]}, 0.2)["crossings"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"lines": [{"name": "a", "points": [[0.5, 0.5], [0.5, 0.5]]}]},
        {"lines": [{"name": "a", "points": [[0.5, 0.5], [1.5, 0.5]]}]},
        {"lines": [{"name": "a", "points": [[0.5, 0.5]]}]},
        {"lines": [{"name": "", "points": [[0, 0], [1, 1]]}]},
        {"lines": [{"name": "a", "points": [[0, 0], [1, math.nan]]}]},
        {"zones": [{"name": "a", "points": [[0, 0], [0.5, 0.5], [1, 1]]}]},
        {"zones": [{"name": "a", "points": [[0, 0], [1, 1]]}]},
        {"lines": [DOWN, DOWN]},
        {"margin": -1},
        {"unknown": 1},
    ],
)
def test_what_makes_no_sense(wrong: dict[str, Any]) -> None:
    """A line without length, a zone without area, points outside, two of one name and unknown words are refused."""
    with pytest.raises(ValidationError):
        CountParameters.model_validate(wrong)


def test_with_a_tracker() -> None:
    """Of five walkers who are detected with a shake, tracked and counted, five cross the line, each once."""
    walkers = [Thing(line((300 - 30 * lane, 220 + 60 * lane), (150, 0)), height=60) for lane in range(5)]
    scene, tracker, counting = Scene(walkers, shake=2), Tracker(TrackParameters(), 0.3), door()
    for time_s in times(180):
        counting.update(tracker.update(scene.at(time_s)[1], time_s), time_s)
    assert counting.totals()["lines"]["door"] == {"to_left": {"person": 5}, "to_right": {}}


def test_the_past_is_forgotten() -> None:
    """After hours of tracks that come and go, only those of the last minutes are remembered."""
    counting = yard()
    for number in range(2_000):
        counting.update(at(600, 400, track_id=number), number * 5.0)
    assert len(counting._zones[0].sides) < 60
    assert counting.totals()["zones"]["yard"]["began_inside"] == {"person": 2_000}


paths = st.lists(st.tuples(st.floats(0, 1280), st.floats(0, 720)), min_size=2, max_size=30)


@settings(max_examples=60, deadline=None)
@given(paths, st.floats(0, 1))
def test_directions_alternate_and_zones_add_up(feet: list[tuple[float, float]], margin: float) -> None:
    """Whatever way one goes, entries and exits of a zone alternate; their difference tells whether one is inside."""
    counting = yard(margin=margin)
    events = [event["event"] for event in walked(counting, *feet)]
    assert all(first != second for first, second in itertools.pairwise(events))
    zone = counting.totals()["zones"]["yard"]
    balance = sum(zone["began_inside"].values()) + sum(zone["entries"].values()) - sum(zone["exits"].values())
    assert balance in {0, 1}
    assert counting.update(at(*feet[-1]), 100.0)["inside"]["yard"] == balance


@settings(max_examples=60, deadline=None)
@given(paths)
def test_a_line_across_the_picture(feet: list[tuple[float, float]]) -> None:
    """A line longer than any way is crossed to the left as often as to the right, or once more or less."""
    across = {"name": "across", "points": [[640, -1e6], [640, 1e6]]}
    directions = [event["direction"] for event in walked(door(lines=[across], unit="pixels"), *feet)]
    assert all(first != second for first, second in itertools.pairwise(directions))
