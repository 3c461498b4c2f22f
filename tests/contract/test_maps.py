"""Maps: what was encoded is decoded again, as a picture or as numbers."""

import io

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from contract.tasks.maps import MapEncoding, decode_map, decode_pixels, encode_map, encode_pixels

SHAPES = array_shapes(min_dims=2, max_dims=2, max_side=20)
MAPS = arrays(np.float32, SHAPES, elements=st.floats(-1000, 1000, width=32))


@given(MAPS)
def test_numbers_come_back_as_they_were(values: np.ndarray) -> None:
    """An NPY holds the very numbers, and its range."""
    dense = encode_map(values, float(values.min()), float(values.max()), MapEncoding.NPY, bits=16)

    np.testing.assert_array_equal(decode_map(dense), values)
    assert (dense["min"], dense["max"]) == (values.min(), values.max())


@example(np.float32([[1e-45, 0]]), 8)
@given(MAPS, st.sampled_from([8, 16]))
def test_greys_come_back_to_half_a_step(values: np.ndarray, bits: int) -> None:
    """A PNG holds the numbers to within half a step between two of its greys."""
    low, high = float(values.min()), float(values.max())
    dense = encode_map(values, low, high, MapEncoding.PNG, bits=bits)

    step = (high - low) / (2**bits - 1)
    np.testing.assert_allclose(decode_map(dense), values, rtol=0, atol=0.5 * step + 1e-6 * max(1, abs(low), abs(high)))


@pytest.mark.parametrize(("bits", "mode", "white"), [(8, "L", 255), (16, "I;16", 65_535)])
def test_any_reader_understands_the_png(bits: int, mode: str, white: int) -> None:
    """Pillow reads a grey picture of so many bits, black at ``min`` and white at ``max``."""
    dense = encode_map(np.float32([[-2, 0, 2]]), -2, 2, MapEncoding.PNG, bits=bits)

    with Image.open(io.BytesIO(dense["data"])) as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", mode, (3, 1))
        assert np.asarray(picture).tolist() == [[0, round(white / 2), white]]


def test_any_reader_understands_the_npy() -> None:
    """NumPy reads the numbers without anything of this project."""
    dense = encode_map(np.float32([[1, 2]]), 1, 2, MapEncoding.NPY, bits=8)

    loaded = np.load(io.BytesIO(dense["data"]))
    assert (loaded.dtype, loaded.tolist()) == (np.float32, [[1, 2]])


def test_a_plain_map_is_black() -> None:
    """A map of one value has no range to spread over greys; it comes back as that value."""
    dense = encode_map(np.full((2, 3), 7, np.float32), 7, 7, MapEncoding.PNG, bits=16)

    np.testing.assert_array_equal(decode_map(dense), np.full((2, 3), 7, np.float32))


@given(arrays(np.uint8, SHAPES.map(lambda shape: (*shape, 3))), st.sampled_from(MapEncoding))
def test_pictures_come_back_as_they_were(pixels: np.ndarray, encoding: MapEncoding) -> None:
    """A picture keeps every pixel and the order of its colours."""
    dense = encode_pixels(pixels, encoding)

    np.testing.assert_array_equal(decode_pixels(dense), pixels)
    assert (dense["min"], dense["max"]) == (0, 255)
