"""Where each pixel of an image lies in a dense map, and the map's values there: of the whole image or of a part of it.

The way from image to map only scales and shifts, so each axis is worked out once, for itself, and every pixel by the
same operations in the same order. A part therefore has exactly the values that the whole has there.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]

_STRIP = 64
"""Rows that are computed at a time: so many of a large image lie in the processor's cache."""


class Window(NamedTuple):
    """A part of an image."""

    rows: slice
    columns: slice

    @property
    def empty(self) -> bool:
        """Whether it holds no pixel."""
        return bool(self.rows.start >= self.rows.stop or self.columns.start >= self.columns.stop)


@dataclass(frozen=True, slots=True)
class Axis:
    """On one axis, between which two values of a map each pixel's centre lies."""

    below: Indices
    """i [N]: the value at or before each pixel, from left to right or from top to bottom."""
    above: Indices
    """i [N]: and the one after it; at the map's edges both are the same."""
    share: Floats
    """f32 [N]: how much of the second."""

    @classmethod
    def of(cls, pixels: int, length: int, scale: float, offset: float) -> Self:
        """Of an image's ``pixels`` on a map's ``length``: ``map = image * scale + offset``, in edges, not centres."""
        # Values and pixels stand for their centres: x_map + ½ = (x_image + ½) * scale + offset.
        places = np.arange(pixels) * scale + (scale * 0.5 + offset - 0.5)
        whole = np.floor(places)
        below = np.clip(whole, 0, length - 1).astype(np.intp)
        above = np.clip(whole + 1, 0, length - 1).astype(np.intp)
        return cls(below, above, (places - whole).astype(np.float32))

    @property
    def nearest(self) -> Indices:
        """The value i [N] that is nearest to each pixel."""
        return np.where(self.share < 0.5, self.below, self.above)

    def reached(self, values: slice) -> slice:
        """The pixels that any of these values has a part in."""
        first = int(np.searchsorted(self.above, values.start, "left"))
        return slice(first, int(np.searchsorted(self.below, values.stop - 1, "right")))


@dataclass(frozen=True, slots=True)
class Projection:
    """How a map [h, w] lies on an image."""

    rows: Axis
    columns: Axis
    seen: Window
    """The part of the image that the network saw."""

    def reached(self, rows: slice, columns: slice) -> Window:
        """The part of what was seen that these rows and columns of the map have a part in; it may be empty."""
        return Window(
            _common(self.rows.reached(rows), self.seen.rows), _common(self.columns.reached(columns), self.seen.columns)
        )

    def linear(self, dense: npt.NDArray[Any], window: Window) -> Floats:
        """The map's values f32 at the pixels of a window that holds at least one, interpolated linearly."""
        below, above = self.rows.below[window.rows], self.rows.above[window.rows]
        share = self.rows.share[window.rows, None]
        used = dense[below[0] : above[-1] + 1].astype(np.float32, copy=False)
        wide = used.take(self.columns.below[window.columns], axis=1)
        step = used.take(self.columns.above[window.columns], axis=1)
        step -= wide
        step *= self.columns.share[window.columns]
        wide += step
        values = np.empty((len(below), wide.shape[1]), np.float32)
        for start in range(0, len(below), _STRIP):
            strip = slice(start, start + _STRIP)
            part = values[strip]
            # Only with a mode does `take` write where it is told without a copy between; all indices are good.
            wide.take(below[strip] - below[0], axis=0, out=part, mode="clip")
            step = wide.take(above[strip] - below[0], axis=0)
            step -= part
            step *= share[strip]
            part += step
        return values

    def nearest(self, dense: npt.NDArray[Any], window: Window) -> npt.NDArray[Any]:
        """The nearest of the map's values, of its own type, at the pixels of a window that holds at least one."""
        rows = self.rows.nearest[window.rows]
        wide = dense[rows[0] : rows[-1] + 1].take(self.columns.nearest[window.columns], axis=1)
        values: npt.NDArray[Any] = wide.take(rows - rows[0], axis=0)
        return values


def _common(first: slice, second: slice) -> slice:
    return slice(max(first.start, second.start), min(first.stop, second.stop))
