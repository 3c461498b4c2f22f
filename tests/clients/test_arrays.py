"""Masks and maps of the client's results as arrays: what the service's own code makes of them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from vitrail_client.arrays import map_to_array, mask_to_array

from contract.tasks.definition import ImageSize
from contract.tasks.maps import MapEncoding, encode_map, encode_pixels
from contract.tasks.mask_choice import MaskWish, encode_masks
from contract.tasks.masks import Cutout, MaskFormat

SHAPES = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24)
MASKS = arrays(np.bool_, SHAPES)


def encoded(mask: np.ndarray, wish: MaskWish) -> tuple[Any, ImageSize, Any]:
    """A mask as a service sends it, its image's size, and the palette where there is one."""
    image: ImageSize = {"width": mask.shape[1], "height": mask.shape[0]}
    cutout = Cutout.of(mask, 0, 0, image)
    assert cutout is not None
    found = encode_masks([cutout], image, wish)
    return found.masks[0], image, found.palette


@settings(deadline=None)
@given(MASKS.filter(np.any), st.sampled_from(["rle", "png", "bits", "palette"]), st.booleans())
def test_exact_forms(mask: np.ndarray, form: str, crop: bool) -> None:
    """Run lengths, pictures and bits give the very mask, cut to its box or not."""
    sent, image, palette = encoded(mask, MaskWish(MaskFormat(form), 1.0, crop, None))
    np.testing.assert_array_equal(mask_to_array(sent, image, palette), mask)


def test_polygons() -> None:
    """Outlines of a ring with an island give the ring and the island."""
    mask = np.zeros((40, 50), np.bool_)
    mask[5:35, 5:45], mask[10:30, 10:40], mask[15:25, 20:30] = True, False, True
    sent, image, _ = encoded(mask, MaskWish(MaskFormat.POLYGON, 0.0, False, None))

    assert len(sent["points"]) == 3
    np.testing.assert_array_equal(mask_to_array(sent, image), mask)


def test_a_palette_is_needed() -> None:
    """A mask of a palette without it is an error."""
    with pytest.raises(ValueError, match="needs the result's palette"):
        mask_to_array({"format": "palette", "value": 1}, {"width": 2, "height": 2})


@settings(deadline=None)
@given(arrays(np.float32, SHAPES, elements=st.floats(-5, 5, width=32)), st.sampled_from(["png", "npy"]))
def test_maps(values: np.ndarray, form: str) -> None:
    """A map's values come back, from a picture to within half a step between two greys."""
    low, high = float(values.min()), float(values.max())
    sent: Any = encode_map(values, low, high, MapEncoding(form), bits=16)
    array = map_to_array(sent)

    assert array.dtype == np.float32
    np.testing.assert_allclose(array, values, atol=(high - low) / 65535 + 1e-6)


@pytest.mark.parametrize("form", ["png", "npy"])
def test_pictures(form: str) -> None:
    """A restored picture comes back pixel by pixel."""
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    sent: Any = encode_pixels(pixels, MapEncoding(form))

    np.testing.assert_array_equal(map_to_array(sent), pixels)
