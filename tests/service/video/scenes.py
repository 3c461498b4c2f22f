"""Made-up scenes: boxes whose truth is known, seen by a detector that is not perfect."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from contract.tasks.detect import DetectedObject, DetectResult
from service.video.track import Tracker

WIDTH, HEIGHT = 1280, 720
LABELS = ("person", "car")

Corners = tuple[float, float, float, float]
Path = Callable[[float], tuple[float, float]]


@dataclass(frozen=True)
class Thing:
    """What moves through a scene; its centre is at ``path(seconds)``."""

    path: Path
    width: float = 40
    height: float = 100
    index: int = 0
    hidden: tuple[float, float] = (0, 0)
    """Not detected from the one time to before the other."""
    dim: tuple[float, float] = (0, 0)
    """Detected with a score of 0.2 from the one time to before the other."""
    score: float = 0.9

    def seen(self, time_s: float) -> tuple[Corners, float] | None:
        """Its box and score; None where it is hidden or outside."""
        x, y = self.path(time_s)
        inside = 0 <= x < WIDTH and 0 <= y < HEIGHT
        if not inside or self.hidden[0] <= time_s < self.hidden[1]:
            return None
        corners = (x - self.width / 2, y - self.height / 2, x + self.width / 2, y + self.height / 2)
        return corners, 0.2 if self.dim[0] <= time_s < self.dim[1] else self.score


@dataclass
class Scene:
    """Things, and what is wrong with the detector."""

    things: Sequence[Thing]
    shake: float = 0.0
    """Deviation of each side of a box, in pixels."""
    misses: float = 0.0
    """The part of things that it overlooks in a frame, at random."""
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(6))

    def at(self, time_s: float) -> tuple[list[int], DetectResult]:
        """What is detected: the things' numbers, and the objects in the same order."""
        seen = {number: found for number, thing in enumerate(self.things) if (found := thing.seen(time_s))}
        if self.misses:
            seen = {number: found for number, found in seen.items() if self.random.random() >= self.misses}
        objects = []
        for number, (corners, score) in seen.items():
            shaken = np.array(corners) + self.random.normal(0, self.shake, 4) if self.shake else corners
            objects.append(detected(shaken, score, self.things[number].index))
        return list(seen), picture(objects)


def line(start: tuple[float, float], speed: tuple[float, float]) -> Path:
    """From a point on, straight, with a speed in pixels a second."""
    return lambda time_s: (start[0] + speed[0] * time_s, start[1] + speed[1] * time_s)


def detected(corners: Iterable[float], score: float = 0.9, index: int = 0) -> DetectedObject:
    """One object."""
    x1, y1, x2, y2 = map(float, corners)
    box = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
    return {"label": LABELS[index], "index": index, "score": score, "box": box}  # type: ignore[typeddict-item]


def picture(objects: list[DetectedObject]) -> DetectResult:
    """The result of a frame with these objects."""
    return {"image": {"width": WIDTH, "height": HEIGHT}, "objects": objects}


def times(count: int, fps: float = 30.0) -> list[float]:
    """Frames at a steady rate, from 0 s on."""
    return [number / fps for number in range(count)]


def uneven_times(seconds: float, longest: float = 1 / 8) -> list[float]:
    """Frames at no steady rate at all."""
    random, found = np.random.default_rng(3), [0.0]
    while found[-1] < seconds:
        found.append(found[-1] + float(random.uniform(1 / 120, longest)))
    return found


def followed(tracker: Tracker, scene: Scene, when: Iterable[float]) -> list[dict[int, int]]:
    """For each frame, the ids of the things that have one."""
    history = []
    for time_s in when:
        numbers, result = scene.at(time_s)
        ids = {
            str(item["box"]): item["track_id"]
            for item in tracker.update(result, time_s)["objects"]
            if "track_id" in item
        }
        boxes = [str(item["box"]) for item in result["objects"]]
        history.append({number: ids[box] for number, box in zip(numbers, boxes, strict=True) if box in ids})
    return history


def switches(history: Iterable[Mapping[int, int]]) -> int:
    """How often a thing has another id than when it had one last."""
    last: dict[int, int] = {}
    count = 0
    for frame in history:
        count += sum(last.get(thing, number) != number for thing, number in frame.items())
        last.update(frame)
    return count
