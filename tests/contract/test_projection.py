"""Projections: a part of an image gets exactly the values that the whole gets there."""

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from contract.preprocess import Geometry, PreprocessSpec
from contract.projection import Window
from tests.contract.answers import MODES

SIZES = st.tuples(st.integers(1, 130), st.integers(1, 130))
SPECS = st.sampled_from(list(MODES.values()))
FLAGS = st.sampled_from([cv2.INTER_LINEAR, cv2.INTER_NEAREST])
VALUES = st.floats(-1, 1, width=32) | st.floats(-(2.0**100), 2.0**100, width=32)
MAPS = st.tuples(st.integers(1, 24), st.integers(1, 24)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=VALUES)
)


def part(data: st.DataObject, whole: slice) -> slice:
    """A part of a range that is not empty."""
    start = data.draw(st.integers(whole.start, whole.stop - 1))
    return slice(start, data.draw(st.integers(start + 1, whole.stop)))


@settings(max_examples=150, deadline=None)
@given(SIZES, SPECS, MAPS, FLAGS, st.data())
def test_a_part_has_the_values_of_the_whole(
    size: tuple[int, int], spec: PreprocessSpec, dense: np.ndarray, flag: int, data: st.DataObject
) -> None:
    """Bit by bit, whatever the part, the map, the resize mode and the interpolation."""
    geometry = Geometry.of(*size, spec)
    projection = geometry.projection(*dense.shape)
    window = Window(part(data, projection.seen.rows), part(data, projection.seen.columns))
    sample = projection.nearest if flag == cv2.INTER_NEAREST else projection.linear

    whole = geometry.map_to_image(dense, flag)
    np.testing.assert_array_equal(sample(dense, window), whole[window])


@settings(max_examples=150, deadline=None)
@given(SIZES, SPECS, MAPS, st.data())
def test_outside_of_what_is_reached_a_value_counts_for_nothing(
    size: tuple[int, int], spec: PreprocessSpec, dense: np.ndarray, data: st.DataObject
) -> None:
    """Other values in some rows and columns of a map change no pixel outside the window that they reach."""
    geometry = Geometry.of(*size, spec)
    rows, columns = (part(data, slice(0, length)) for length in dense.shape)
    other = dense.copy()
    other[rows, columns] += np.float32(7)

    window = geometry.projection(*dense.shape).reached(rows, columns)
    for flag in (cv2.INTER_LINEAR, cv2.INTER_NEAREST):
        same = geometry.map_to_image(dense, flag) == geometry.map_to_image(other, flag)
        if not window.empty:
            same[window] = True
        assert same.all()


@pytest.mark.parametrize("spec", MODES.values(), ids=MODES.keys())
@pytest.mark.parametrize(("size", "shape"), [((300, 200), (40, 30)), ((31, 77), (50, 60)), ((1, 500), (8, 8))])
def test_values_are_opencvs(spec: PreprocessSpec, size: tuple[int, int], shape: tuple[int, int]) -> None:
    """Linear interpolation is that of OpenCV's affine warp, to within rounding."""
    geometry, dense = Geometry.of(*size, spec), np.random.default_rng(0).random(shape, np.float32)
    scale_x, scale_y = geometry.scale_x * shape[1] / 100, geometry.scale_y * shape[0] / 100
    shift_x = (geometry.scale_x / 2 + geometry.offset_x) * shape[1] / 100 - 0.5
    shift_y = (geometry.scale_y / 2 + geometry.offset_y) * shape[0] / 100 - 0.5
    matrix: Any = np.array([[scale_x, 0, shift_x], [0, scale_y, shift_y]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    wanted = cv2.warpAffine(dense, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)

    np.testing.assert_allclose(geometry.map_to_image(dense)[geometry.seen], wanted[geometry.seen], atol=2e-3)
