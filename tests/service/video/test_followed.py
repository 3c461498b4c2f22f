from typing import Any

import orjson
import pytest

from service.video.counts import CountParameters
from service.video.followed import Followed, carried_fields
from service.video.lines import line_of
from service.video.track import TrackParameters
from tests.service.video.scenes import Scene, Thing

ZONE = CountParameters.model_validate(
    {"zones": [{"name": "left", "points": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}], "anchor": "middle"}
)


def crossing() -> Scene:
    """Two go right, one goes left; all pass the middle at about 2 s. A fourth comes after that."""
    return Scene(
        [
            Thing(lambda t: (440 + 100 * t, 100)),
            Thing(lambda t: (420 + 100 * t, 300)),
            Thing(lambda t: (840 - 100 * t, 500)),
            Thing(lambda _: (1000, 650), hidden=(0, 2.5)),
        ]
    )


def lines_of(followed: Followed, scene: Scene, frames: range) -> list[dict[str, Any]]:
    """The lines of these frames, ten a second, as they are read from a file."""
    lines = [line_of(n, n / 10, followed.update(scene.at(n / 10)[1], n / 10)) for n in frames]
    return [orjson.loads(orjson.dumps(line)) for line in lines]


def ids(line: dict[str, Any]) -> list[int]:
    """The ids in a line."""
    return [item["track_id"] for item in line["objects"] if "track_id" in item]


@pytest.mark.parametrize("at", [1, 2, 10, 20, 30])
def test_tracks_go_on_after_an_interruption(at: int) -> None:
    """Whoever goes on from the lines of an earlier attempt gives the same ids and counts the same passages."""
    whole = lines_of(Followed(TrackParameters(), ZONE, 0.3), crossing(), range(40))
    first = lines_of(Followed(TrackParameters(), ZONE, 0.3), crossing(), range(at))
    second = Followed(TrackParameters(), ZONE, 0.3)
    second.go_on(first, 3)
    joined = first + lines_of(second, crossing(), range(at, 40))
    assert [ids(line) for line in joined] == [ids(line) for line in whole]
    assert [line["counts"] for line in joined] == [line["counts"] for line in whole]
    assert sum(len(line["counts"]["passages"]) for line in joined) == 3


def test_new_tracks_get_new_ids() -> None:
    """What is first seen after the interruption has an id that nothing had before it."""
    first = lines_of(Followed(TrackParameters(), None, 0.3), crossing(), range(20))
    second = Followed(TrackParameters(), None, 0.3)
    second.go_on(first[-5:], 17)
    assert ids(lines_of(second, crossing(), range(20, 40))[-1]) == [1, 2, 3, 18]


def test_lines_without_objects_are_passed_over() -> None:
    """A frame that failed, or has the result of the one before, tells nothing new."""
    first = lines_of(Followed(TrackParameters(), None, 0.3), crossing(), range(10))
    second = Followed(TrackParameters(), None, 0.3)
    second.go_on([*first, {"frame": 10, "timestamp_s": 1.0, "error": {}}, {**first[-1], "carried": True}], 3)
    assert ids(lines_of(second, crossing(), range(11, 12))[0]) == [1, 2, 3]


def test_what_happened_is_not_carried() -> None:
    """A frame that carries a result is no second passage."""
    happened = {"crossings": [{"line": "door"}], "passages": [{"zone": "left"}], "inside": {"left": 2}}
    fields = carried_fields({"objects": [], "counts": happened})
    assert fields == {"objects": [], "counts": {"crossings": [], "passages": [], "inside": {"left": 2}}}
    assert carried_fields({"objects": []}) == {"objects": []}


async def test_who_stops_while_frames_are_carried_keeps_the_id() -> None:
    """A thing that walks and stops, of which no frame is processed for a second, is the same when it is seen again."""
    walker = Scene([Thing(lambda t: (200 + 300 * min(t, 1.0), 300))])
    followed = Followed(TrackParameters(), None, 0.3)
    line: dict[str, Any] = {}
    for frame in range(25):
        time_s = frame / 10
        carried = 10 < frame < 20
        line = await followed.carry(time_s, line) if carried else followed.update(walker.at(time_s)[1], time_s)
    assert ids(line) == [1]


async def test_carried_frames_count_nothing() -> None:
    """A carried frame has the ids of the one before; what happened there did not happen again."""
    followed = Followed(TrackParameters(), ZONE, 0.3)
    first = followed.update(crossing().at(0.0)[1], 0.0)
    second = await followed.carry(0.1, first)
    assert ids(first) == ids(second) == [1, 2, 3]
    assert (second["counts"]["passages"], second["counts"]["inside"]) == ([], first["counts"]["inside"])
