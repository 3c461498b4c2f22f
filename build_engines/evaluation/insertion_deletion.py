"""Do heat maps show what a model goes by? Insertion and deletion, without any truth about the pictures.

Petsiuk et al., "RISE: Randomized Input Sampling for Explanation of Black-box Models" (2018), section 4.1: the pixels
that a map calls important are taken away, or given back to a blurred picture, the most important first; the area under
the curve of the class's probability is small for a good map when deleting, and large when inserting. The same is done
with maps that know nothing of the picture, for what a map is worth shows only beside them.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from build_engines.artifact import BuildFailure
from build_engines.evaluation.run import Advance, Outcome, spread
from build_engines.evaluation.served import ServedModel, Unreadable
from contract.image import ImageTooLarge, InvalidImage, decode
from contract.preprocess import Floats, Pixels, preprocess
from contract.tasks.classify import EXPLAINED, HEAT
from contract.tasks.explain import can_explain

STEPS = 32
"""Into how many parts a picture's pixels are divided."""
_RANDOM_MAPS = 4
_SEED = 11
_BLUR = 5 / 224
"""The blur's standard deviation, as a share of the picture's side, as in the paper's code."""
_CENTRE = 1 / 4
"""That of the map that calls the centre important, whatever is there."""


def evaluate(
    model: ServedModel,
    paths: Sequence[Path],
    batch_size: int,
    limit: int | None = None,
    advance: Advance | None = None,
    steps: int = STEPS,
) -> Outcome:
    """The mean areas under the curves over these pictures, of the model's own maps and of maps that know nothing.

    What is explained is the class that the model finds most probable. Raises BuildFailure where the model cannot
    explain itself, or no picture can be read.
    """
    if not can_explain(model.card):
        raise BuildFailure(f"{model.card.name} was not built to explain its answers", "build it with --explain")
    chosen = [paths[index] for index in spread(len(paths), limit)]
    areas: dict[str, list[float]] = {}
    unreadable: list[Unreadable] = []
    for done, path in enumerate(chosen, 1):
        try:
            pixels, _ = preprocess(decode(path.read_bytes()), model.card.preprocess)
        except (OSError, InvalidImage, ImageTooLarge) as error:
            unreadable.append(Unreadable(path, str(error)))
        else:
            for name, area in _areas(model, pixels, batch_size, steps):
                areas.setdefault(name, []).append(area)
        if advance is not None:
            advance(done, len(chosen))
    if not areas:
        raise BuildFailure("none of the pictures could be read", "look at the folder that --data names")
    metrics = {name: float(np.mean(values)) for name, values in areas.items()}
    notes = (f"of the class that the model finds most probable, in {steps} steps; see docs/explain.md",)
    return Outcome(metrics, len(chosen) - len(unreadable), len(paths), tuple(unreadable), notes)


def _areas(model: ServedModel, pixels: Pixels, batch_size: int, steps: int) -> Iterator[tuple[str, float]]:
    """For one picture uint8 [H,W,3] the areas by name; of random maps the mean."""
    (outputs,) = model.outputs(pixels[None], batch_size)
    index, heat = int(outputs[EXPLAINED][0]), outputs[HEAT][0].astype(np.float32)
    height, width = pixels.shape[:2]
    random = np.random.default_rng(_SEED)
    kinds = {
        "": [heat],
        "_random": [random.random(heat.shape, np.float32) for _ in range(_RANDOM_MAPS)],
        "_centre": [_bump(height, width)],
    }
    for kind, maps in kinds.items():
        found = [_curves(model, pixels, index, _fitted(each, pixels), batch_size, steps) for each in maps]
        yield f"insertion{kind}", float(np.mean([insertion for insertion, _ in found]))
        yield f"deletion{kind}", float(np.mean([deletion for _, deletion in found]))


def _curves(
    model: ServedModel, pixels: Pixels, index: int, importance: Floats, batch_size: int, steps: int
) -> tuple[float, float]:
    """The areas under the curves of inserting and of deleting, in 0…1, for importance f32 [H,W]."""
    # Pixels that are as important as each other come in a random order.
    ties = np.random.default_rng(_SEED).random(importance.size)
    rank = np.empty(importance.size, np.int64)
    rank[np.lexsort((ties, -importance.ravel()))] = np.arange(importance.size)
    shares = np.linspace(0, 1, steps + 1)
    touched = rank.reshape(importance.shape) < (shares * importance.size)[:, None, None]
    blurred, grey = _blurred(pixels), _mean_colour(pixels)
    frames = np.concatenate(
        [np.where(touched[..., None], pixels, blurred), np.where(touched[..., None], grey, pixels)]
    ).astype(np.uint8)
    scores = np.array([outputs["probabilities"][index] for outputs in model.outputs(frames, batch_size)], np.float64)
    areas = np.asarray(np.trapezoid(scores.reshape(2, -1), shares, axis=1))
    return float(areas[0]), float(areas[1])


def _fitted(importance: Floats, pixels: Pixels) -> Floats:
    return np.asarray(cv2.resize(importance, pixels.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _bump(height: int, width: int) -> Floats:
    """A map f32 [H,W] that falls off from the centre on all sides."""
    rows, columns = ((np.arange(length) + 0.5) / length - 0.5 for length in (height, width))
    return np.exp(-(rows[:, None] ** 2 + columns**2) / (2 * _CENTRE**2)).astype(np.float32)


def _blurred(pixels: Pixels) -> Pixels:
    deviation = _BLUR * max(pixels.shape[:2])
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), deviation), np.uint8)


def _mean_colour(pixels: Pixels) -> npt.NDArray[np.float64]:
    return np.asarray(pixels.mean(axis=(0, 1)).round(), np.float64)
