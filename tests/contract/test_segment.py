"""Segment: masks that are worked out near their object are those that the whole image would have."""

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from contract.preprocess import Geometry, PreprocessSpec
from contract.tasks.masks import MAX_PALETTE, BoolMask, MaskFormat, decode_mask
from contract.tasks.segment import SEGMENT
from tests.contract.answers import MODES, answer

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIZES = st.tuples(st.integers(1, 120), st.integers(1, 120)) | st.sampled_from([(1, 1), (1, 20_000), (20_000, 1)])
SPECS = st.sampled_from(list(MODES.values()))
SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 12))
THRESHOLD = np.float32(0.5)
NEAR = [THRESHOLD, np.nextafter(THRESHOLD, np.float32(0)), np.nextafter(THRESHOLD, np.float32(1))]
SHARES = st.sampled_from([0.0, 1.0, *map(float, NEAR)]) | st.floats(0, 1, width=32)


def instances(masks: Any) -> dict[str, Any]:
    """The tensors of instances with these masks, of falling scores."""
    count = len(masks)
    return {
        "masks": masks,
        "scores": np.linspace(0.9, 0.5, count, dtype=np.float32),
        "labels": np.zeros(count, np.int32),
        "boxes": np.zeros((count, 4), np.float32),
    }


def masks_of(result: Any) -> list[BoolMask]:
    """The masks of an answer, of the whole image."""
    return [decode_mask(one["mask"], result["image"], result.get("palette")).whole() for one in result["segments"]]


@settings(max_examples=150, deadline=None)
@given(SIZES, SPECS, SHAPES.flatmap(lambda shape: arrays(np.float32, (2, *shape), elements=SHARES)))
def test_an_instances_mask_is_the_whole_maps(size: tuple[int, int], spec: PreprocessSpec, masks: np.ndarray) -> None:
    """Pixel for pixel it is the mask that warping the map onto the whole image gives, also near the threshold."""
    geometry = Geometry.of(*size, spec)
    wanted = [geometry.map_to_image(mask) >= THRESHOLD for mask in masks]

    result = answer(SEGMENT, instances(masks), geometry)
    np.testing.assert_array_equal(masks_of(result), [mask for mask in wanted if mask.any()] or [])
    assert [one["area"] for one in result["segments"]] == [mask.sum() for mask in wanted if mask.any()]


@settings(max_examples=100, deadline=None)
@given(SIZES, SPECS, SHAPES.flatmap(lambda shape: arrays(np.int16, shape, elements=st.integers(-1, 4))))
def test_a_classes_mask_is_the_whole_maps(size: tuple[int, int], spec: PreprocessSpec, classes: np.ndarray) -> None:
    """A class has the pixels whose nearest value in the map it is, and every pixel that was seen belongs to one."""
    geometry = Geometry.of(*size, spec)
    whole = geometry.map_to_image(classes + 1, cv2.INTER_NEAREST).astype(int) - 1

    result = answer(SEGMENT, {"class_map": classes}, geometry)
    for segment, mask in zip(result["segments"], masks_of(result), strict=True):
        np.testing.assert_array_equal(mask, whole == segment["index"])
    assert sum(one["area"] for one in result["segments"]) == (whole >= 0).sum()


@settings(max_examples=60, deadline=None)
@given(SIZES, arrays(np.float32, (3, 6, 6), elements=SHARES), st.sampled_from(MaskFormat), st.booleans())
def test_masks_and_boxes_stay_within_the_image(
    size: tuple[int, int], masks: np.ndarray, form: MaskFormat, crop: bool
) -> None:
    """Every mask lies in its box and every box in the image, in all forms; the box touches the mask on all sides."""
    geometry = Geometry.of(*size, MODES["letterbox"])
    result = answer(SEGMENT, instances(masks), geometry, mask_format=form, mask_crop=crop)
    exact = form not in (MaskFormat.NONE, MaskFormat.POLYGON, MaskFormat.PALETTE)

    for one, mask in zip(result["segments"], masks_of(result) if exact else [], strict=False):
        rows, columns = np.nonzero(mask)
        corners = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert list(one["box"].values()) == corners
    for one in result["segments"]:
        x1, y1, x2, y2 = one["box"].values()
        assert 0 <= x1 < x2 <= size[0]
        assert 0 <= y1 < y2 <= size[1]


def test_a_palette_comes_with_its_picture() -> None:
    """Only an answer whose masks lie in a palette has one."""
    masks = np.ones((1, 4, 4), np.float32)
    assert "palette" in answer(SEGMENT, instances(masks), mask_format="palette")
    assert "palette" not in answer(SEGMENT, instances(masks), mask_format="rle")
    result = answer(SEGMENT, instances(masks), mask_format="palette", max_bytes=60)
    assert ("palette" in result, "mask" in result["segments"][0]) == (False, True)


def test_of_too_many_classes_the_largest_are_answered() -> None:
    """A map of more classes than a palette can tell apart gives those that cover most."""
    classes = np.arange(400, dtype=np.int16).reshape(20, 20)
    classes[:2] = 399
    found = answer(SEGMENT, {"class_map": classes}, mask_format="palette")["segments"]

    assert len(found) == MAX_PALETTE
    assert found[0]["index"] == 399


def test_bytes_masks_are_shares_or_whole() -> None:
    """A model may put out masks as u8: what is not 0 is inside."""
    masks = np.zeros((1, 10, 10), np.uint8)
    masks[0, 2:5, 1:3] = 1
    (found,) = answer(SEGMENT, instances(masks))["segments"]
    assert found["box"] == {"x1": 10, "y1": 20, "x2": 30, "y2": 50}
