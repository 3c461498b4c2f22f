"""Answers of all tasks, as hypothesis draws them and as tests spell them."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from contract.task import Task
from contract.tasks.maps import MapEncoding, encode_map, encode_pixels
from contract.tasks.masks import MaskFormat
from tests.contract.answers import mask_as

WIDTH, HEIGHT = 24, 20
SIZE = {"width": WIDTH, "height": HEIGHT}

_scores = st.integers(0, 20).map(lambda step: step / 20)
_labels = st.integers(0, 2)
_seeds = st.integers(0, 2**16)


def box(x1: float, y1: float, x2: float, y2: float) -> dict[str, float]:
    """A box as answers have it."""
    return {"x1": x1, "y1": y1, "x2": x2, "y2": y2}


def found(corners: dict[str, float], index: int = 0, score: float = 0.5) -> dict[str, Any]:
    """An object as detection answers it."""
    return {"label": str(index), "index": index, "score": score, "box": corners}


def detected(*objects: dict[str, Any]) -> dict[str, Any]:
    """A detection's answer."""
    return {"image": SIZE, "objects": list(objects)}


def classes(*scores: tuple[int, float]) -> dict[str, Any]:
    """A classification's answer, of class numbers and scores."""
    return {"image": SIZE, "classes": [{"label": str(i), "index": i, "score": score} for i, score in scores]}


def segment(mask: np.ndarray, index: int = 0, score: float | None = None) -> dict[str, Any]:
    """A segment whose mask is bool [H, W]."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    corners = box(*(float(n) for n in (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)))
    mask_of = mask_as(MaskFormat.RLE, mask)
    made = {"label": str(index), "index": index, "area": int(mask.sum()), "box": corners, "mask": mask_of}
    return made if score is None else {**made, "score": score}


def segments(*found: dict[str, Any]) -> dict[str, Any]:
    """A segmentation's answer."""
    return {"image": SIZE, "segments": list(found)}


def mapped(values: np.ndarray, **more: Any) -> dict[str, Any]:
    """A depth's or a matte's answer, of f32 [H, W]."""
    values = values.astype(np.float32)
    return {"image": SIZE, "map": encode_map(values, values.min(), values.max(), MapEncoding.NPY, 16), **more}


def pictured(pixels: np.ndarray) -> dict[str, Any]:
    """A restoration's answer, of u8 [H, W, 3]."""
    return {"image": SIZE, "map": encode_pixels(pixels, MapEncoding.PNG)}


def polygon(*points: tuple[float, float]) -> dict[str, Any]:
    """A region of score 0.9."""
    xs, ys = zip(*points, strict=True)
    corners = box(min(xs), min(ys), max(xs), max(ys))
    return {"score": 0.9, "polygon": [list(point) for point in points], "box": corners}


@st.composite
def boxes(draw: st.DrawFn) -> dict[str, float]:
    """Boxes on a coarse grid, so that many coincide; some have no area."""
    x, y = draw(st.integers(0, 3)) * 5.0, draw(st.integers(0, 3)) * 4.0
    return box(x, y, x + draw(st.integers(0, 3)) * 3.0, y + draw(st.integers(0, 3)) * 2.0)


@st.composite
def _segments(draw: st.DrawFn, *, scored: bool) -> dict[str, Any]:
    indices = draw(st.lists(_labels, max_size=3, unique=not scored))
    masks = [np.random.default_rng(draw(st.integers(0, 5))).random((HEIGHT, WIDTH)) < 0.4 for _ in indices]
    return segments(
        *(segment(mask, index, draw(_scores) if scored else None) for mask, index in zip(masks, indices, strict=True))
    )


@st.composite
def _people(draw: st.DrawFn) -> dict[str, Any]:
    people = []
    for corners in draw(st.lists(boxes(), max_size=3)):
        points = np.random.default_rng(draw(_seeds)).uniform(0, 20, (3, 2)).tolist()
        joints = [{"name": "", "x": x, "y": y, "score": draw(_scores)} for x, y in points]
        people.append({"score": draw(_scores), "box": corners, "keypoints": joints})
    return {"image": SIZE, "people": people}


def _regions_of(found: list[dict[str, float]]) -> dict[str, Any]:
    corners = [[(b["x1"], b["y1"]), (b["x2"], b["y1"]), (b["x2"], b["y2"]), (b["x1"], b["y2"])] for b in found]
    return {"image": SIZE, "regions": [polygon(*points) for points in corners]}


def _noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((HEIGHT, WIDTH))


def _probabilities(seed: int) -> dict[str, Any]:
    probabilities = np.random.default_rng(seed).dirichlet([0.3] * 8)
    return classes(*((int(i), float(probabilities[i])) for i in np.argsort(-probabilities)[:5]))


_classes = _seeds.map(_probabilities)
ANSWERS: dict[Task, st.SearchStrategy[dict[str, Any]]] = {
    Task.CLASSIFY: _classes,
    Task.CLASSIFY_VIDEO: _classes,
    Task.DETECT: st.lists(st.builds(found, boxes(), _labels, _scores), max_size=6).map(lambda some: detected(*some)),
    # Which kind a model is, is the same in all its versions.
    Task.SEGMENT: _segments(scored=True),
    Task.EMBED: _seeds.map(
        lambda seed: {"image": SIZE, "embedding": np.random.default_rng(seed).normal(size=4).tolist(), "dimension": 4}
    ),
    Task.REGIONS: st.lists(boxes(), max_size=5).map(_regions_of),
    Task.DEPTH: st.builds(
        lambda seed, nearness: mapped(_noise(seed) ** nearness, quantity="metres"), _seeds, st.integers(0, 3)
    ),
    Task.MATTE: st.builds(lambda seed, power: mapped(_noise(seed) ** power), _seeds, st.integers(0, 30)),
    Task.KEYPOINTS: _people(),
    Task.RESTORE: _seeds.map(lambda seed: pictured((np.stack([_noise(seed)] * 3, axis=2) * 255).astype(np.uint8))),
}
"""By task, what hypothesis draws."""
SEMANTIC = _segments(scored=False)
RELATIVE_DEPTH = st.builds(lambda seed, power: mapped(_noise(seed) ** power), _seeds, st.integers(0, 3))
