"""Those who come back, told by their colours."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from contract.preprocess import Pixels
from contract.tasks.detect import DetectResult
from service.video.reidentify import Reidentifier, ReidentifyParameters, Vectors
from service.video.track import Tracker, TrackParameters
from tests.service.video.scenes import HEIGHT, WIDTH, Scene, Thing, detected, picture, times

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


class Colours:
    """An appearance: the mean colour of a crop."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def __call__(self, crops: Sequence[Pixels]) -> Vectors:
        self.asked.append(len(crops))
        means = np.stack([crop.reshape(-1, 3).mean(axis=0) for crop in crops])
        return (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)


def painted(result: DetectResult, colours: list[tuple[int, int, int]]) -> Pixels:
    """A frame in which each object has its colour."""
    pixels = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    for item, colour in zip(result["objects"], colours, strict=True):
        x1, y1, x2, y2 = (max(round(item["box"][side]), 0) for side in ("x1", "y1", "x2", "y2"))  # type: ignore[literal-required]
        pixels[y1:y2, x1:x2] = colour
    return pixels


async def watched(
    scene: Scene, colours: list[tuple[int, int, int]], seconds: int, **parameters: Any
) -> tuple[list[dict[int, int]], Colours]:
    """For each frame at ten a second, the ids of the things that have one; and the appearance that was asked."""
    appearance = Colours()
    tracker = Tracker(TrackParameters(confirm_after=1), 0.3)
    recognising = Reidentifier(appearance, ReidentifyParameters.model_validate(parameters))
    history = []
    for time_s in times(seconds * 10, 10):
        numbers, result = scene.at(time_s)
        pixels = painted(result, [colours[number] for number in numbers])
        objects = (await recognising.update(tracker.update(result, time_s), pixels, time_s))["objects"]
        history.append({number: item["track_id"] for number, item in zip(numbers, objects, strict=True)})
    return history, appearance


def jumping(x: float, hidden: tuple[float, float]) -> Thing:
    """One who stands still, and comes back 500 pixels farther right: no tracker could tell by the way."""
    return Thing(lambda time_s: (x if time_s < hidden[1] else x + 500, 300), hidden=hidden)


async def test_back_after_a_long_occlusion() -> None:
    """Two who are hidden for five seconds and come back elsewhere, the other way round, have their ids again."""
    scene = Scene([jumping(100, (2, 7)), jumping(300, (2, 7))])
    history, _ = await watched(scene, [RED, GREEN], 9)
    assert history[0] == history[-1] == {0: 1, 1: 2}


async def test_a_stranger_gets_a_new_id() -> None:
    """One who looks like no one seen before has the next id."""
    scene = Scene([Thing(lambda _: (100, 300), hidden=(2, 99)), Thing(lambda _: (600, 300), hidden=(0, 4))])
    history, _ = await watched(scene, [RED, BLUE], 6)
    assert history[-1] == {1: 2}


async def test_a_twin_is_not_taken_for_one_who_is_there() -> None:
    """One who looks just like another who is in sight has an id of his own."""
    scene = Scene([Thing(lambda _: (100, 300)), Thing(lambda _: (600, 300), hidden=(0, 4))])
    history, _ = await watched(scene, [RED, RED], 6)
    assert history[-1] == {0: 1, 1: 2}


async def test_gone_for_too_long() -> None:
    """One who comes back later than ``within_s`` is not recognised."""
    scene = Scene([jumping(100, (2, 7))])
    history, _ = await watched(scene, [RED], 9, within_s=3)
    assert history[-1] == {0: 2}


async def test_another_label_is_another_thing() -> None:
    """A car is never recognised as a person, whatever its colour."""
    scene = Scene([Thing(lambda _: (100, 300), hidden=(2, 99)), Thing(lambda _: (600, 300), index=1, hidden=(0, 4))])
    history, _ = await watched(scene, [RED, RED], 6)
    assert history[-1] == {1: 2}


async def test_no_two_have_one_id() -> None:
    """Where a track returns whose id was given to a look-alike in the meantime, the two have different ids."""
    scene = Scene([Thing(lambda _: (100, 300), hidden=(2, 2.5)), Thing(lambda _: (600, 300), hidden=(0, 2.2))])
    history, _ = await watched(scene, [RED, RED], 4)
    assert all(len(set(frame.values())) == len(frame) for frame in history)
    assert history[-1] == {0: 2, 1: 1}


async def test_seldom_asked() -> None:
    """In ten seconds of three objects at ten frames a second the model sees thirty crops, not three hundred."""
    scene = Scene([Thing(lambda _, x=x: (x, 300)) for x in (100, 400, 700)])
    _, appearance = await watched(scene, [RED, GREEN, BLUE], 10)
    assert sum(appearance.asked) == 30


async def test_what_has_no_looks() -> None:
    """Objects outside the frame, or of a pixel or two, get ids without the model being asked."""
    appearance = Colours()
    frame = picture([detected((-90, 10, -10, 90)), detected((10, 10, 12, 12))])
    tracked = Tracker(TrackParameters(), 0.3).update(frame, 0.0)
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    answer = await Reidentifier(appearance, ReidentifyParameters()).update(tracked, pixels, 0.0)
    assert [item["track_id"] for item in answer["objects"]] == [1, 2]
    assert appearance.asked == []


async def test_a_model_that_fails() -> None:
    """What the appearance raises is raised, and the ids are as they were."""

    class Failing(Colours):
        async def __call__(self, crops: Sequence[Pixels]) -> Vectors:
            if self.asked:
                return await super().__call__(crops)
            self.asked.append(0)
            raise ConnectionError("no model")

    recognising = Reidentifier(Failing(), ReidentifyParameters())
    frame = picture([{**detected((10, 10, 60, 90)), "track_id": 7}])
    pixels = np.full((HEIGHT, WIDTH, 3), 9, np.uint8)
    with pytest.raises(ConnectionError):
        await recognising.update(frame, pixels, 0.0)
    assert (await recognising.update(frame, pixels, 0.1))["objects"][0]["track_id"] == 1


async def test_the_past_does_not_pile_up() -> None:
    """After hours of strangers only those of the last half minute are known."""
    recognising = Reidentifier(Colours(), ReidentifyParameters())
    pixels = np.full((HEIGHT, WIDTH, 3), 9, np.uint8)
    for number in range(500):
        frame = picture([{**detected((10, 10, 60, 90)), "track_id": number, "label": str(number)}])
        await recognising.update(frame, pixels, float(number))
    assert len(recognising._known) <= 32
    assert len(recognising._ids) <= 32
