"""A clip as of a camera that stands still: people and dogs of photographs come, stand a while and go, before a house.

Nothing of it is drawn: the background and what moves are photographs of the sample assets, cut out by GrabCut (Rother,
Kolmogorov and Blake, 2004). A camera's noise lies on each frame, and the light changes slowly. It is the same at every
making.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from contract.preprocess import Floats, Pixels

WIDTH, HEIGHT, RATE = 1280, 720, 25
SECONDS = 40
NOISE = 3.0
"""Deviation of each pixel, of 0…255."""
_LIGHT, _LIGHT_S = 0.02, 60.0
"""The light goes up and down by so much, once in so many seconds."""
_NOISES = 8
_Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Actor:
    """Somebody in a photograph, and where they are when."""

    photograph: str
    box: _Box
    """Left, top, width and height in the photograph's pixels: they are within."""
    height: int
    """In the clip, in pixels."""
    stops: tuple[tuple[float, float], ...]
    """Times in seconds and the left edge at them, in pixels; they go evenly in between, and are away else."""
    foot: int
    """The row that they stand on."""

    def left_at(self, time_s: float) -> float | None:
        """Where their left edge is; None while they are away."""
        times, places = zip(*self.stops, strict=True)
        if not times[0] <= time_s <= times[-1]:
            return None
        return float(np.interp(time_s, times, places))


BACKGROUND = "ade20k/ADE_val_00000001.jpg"
ACTORS = (
    Actor("images/dog_bicycle_car.jpg", (125, 210, 190, 335), 250, ((3, -200), (5, 200), (18, 200), (20, -200)), 690),
    Actor("coco/000000000785.jpg", (270, 35, 200, 360), 400, ((9, 1290), (11.5, 560), (26, 560), (28.5, 1290)), 700),
    Actor("images/faces4.jpg", (220, 2, 290, 350), 420, ((30, 1290), (32, 860), (37, 860), (39, 1290)), 720),
)


@dataclass(frozen=True)
class Cutout:
    """Somebody without what was around them."""

    colours: Floats
    """RGB f32 [H, W, 3], times the opacity."""
    opacity: Floats
    """f32 [H, W, 1] of 0…1."""


def write_static_clip(path: Path, assets: Path) -> Path:
    """Write the clip, H.264 in MP4 of WIDTH x HEIGHT at RATE frames a second; its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = Fraction(1, RATE)
        # The encoder's answer depends on the number of its threads.
        stream.codec_context.thread_count = 1
        stream.options = {"preset": "veryfast", "crf": "23"}
        for number, pixels in enumerate(pictures(assets)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def pictures(assets: Path) -> Iterator[Pixels]:
    """All frames, RGB uint8 [HEIGHT, WIDTH, 3]."""
    background = _background(assets / BACKGROUND)
    cutouts = [cut_out(assets / actor.photograph, actor.box, actor.height) for actor in ACTORS]
    random = np.random.default_rng(7)
    noises = random.normal(0, NOISE, (_NOISES, HEIGHT, WIDTH, 1)).astype(np.float32)
    for number in range(SECONDS * RATE):
        time_s = number / RATE
        picture = background.copy()
        for actor, cutout in zip(ACTORS, cutouts, strict=True):
            if (left := actor.left_at(time_s)) is not None:
                _paste(picture, cutout, left, actor.foot - actor.height)
        picture *= 1 + _LIGHT * np.sin(2 * np.pi * time_s / _LIGHT_S)
        noise = noises[number % _NOISES]
        picture += np.roll(noise, random.integers(0, (HEIGHT, WIDTH)), axis=(0, 1))
        yield np.clip(picture, 0, 255).astype(np.uint8)


def cut_out(photograph: Path, box: _Box, height: int) -> Cutout:
    """What GrabCut takes for the foreground of a box in a photograph, so many pixels high."""
    image = _read(photograph)
    mask = np.zeros(image.shape[:2], np.uint8)
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(image, mask, box, *models, 6, cv2.GC_INIT_WITH_RECT)
    inside = _largest_part(np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8))
    x, y, w, h = cv2.boundingRect(inside)
    size = round(w * height / h), height
    opacity = cv2.resize(inside[y : y + h, x : x + w].astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    opacity = cv2.GaussianBlur(opacity, (0, 0), 1.0)[..., None]
    colours = cv2.resize(image[y : y + h, x : x + w], size, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    return Cutout(np.asarray(colours * opacity, np.float32), np.asarray(opacity, np.float32))


def _largest_part(inside: Pixels) -> Pixels:
    """The largest connected part of a mask of 0 and 1."""
    _, parts, figures, _ = cv2.connectedComponentsWithStats(inside)
    largest = 1 + int(np.argmax(figures[1:, cv2.CC_STAT_AREA]))
    return np.asarray(parts == largest, np.uint8)


def _paste(picture: Floats, cutout: Cutout, left: float, top: int) -> None:
    """Put somebody into a picture, in place; between pixels too, else they would go in steps."""
    height, width = cutout.opacity.shape[:2]
    whole = int(np.floor(left))
    shift = np.array([[1, 0, left - whole], [0, 1, 0]], np.float32)
    begin, end = max(0, whole), min(WIDTH, whole + width + 1)
    if begin >= end:
        return
    part = slice(begin - whole, end - whole)
    colours, opacity = (
        cv2.warpAffine(plane, shift, (width + 1, height)).reshape(height, width + 1, -1)[:, part]
        for plane in (cutout.colours, cutout.opacity)
    )
    place = picture[top : top + height, begin:end]
    place *= 1 - opacity
    place += colours


def _background(path: Path) -> Floats:
    """The middle of a photograph in the clip's shape, RGB f32 [HEIGHT, WIDTH, 3]."""
    image = _read(path)
    rows = round(image.shape[1] * HEIGHT / WIDTH)
    # Its lower part: that is where somebody can stand.
    part = image[image.shape[0] - rows :]
    return np.asarray(cv2.resize(part, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), np.float32)


def _read(path: Path) -> npt.NDArray[np.uint8]:
    image = cv2.imread(str(path))
    if image is None:
        raise FileNotFoundError(path)
    return np.asarray(image[..., ::-1], np.uint8).copy()


def main() -> None:
    """Command line: write the clip for somebody who wants to see it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("assets", type=Path)
    parser.add_argument("clip", type=Path)
    arguments = parser.parse_args()
    write_static_clip(arguments.clip, arguments.assets)


if __name__ == "__main__":
    main()
