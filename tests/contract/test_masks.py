"""Masks: each form tells the same mask, and other tools of the field read it."""

import io
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from pycocotools import mask as coco

from contract.tasks.mask_choice import MaskWish, encode_masks
from contract.tasks.masks import MAX_PALETTE, BoolMask, Cutout, MaskFormat, decode_mask
from tests.contract.answers import mask_as, size_of

# pycocotools 2.0.11 speaks NumPy 1's form of a protocol, of which NumPy 2 warns.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

MASKS = arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 40)))
EXACT = (MaskFormat.RLE, MaskFormat.PNG, MaskFormat.BITS)


def disc(size: tuple[int, int] = (60, 80), centre: tuple[int, int] = (40, 30), radius: int = 20) -> BoolMask:
    """A round mask bool [H, W]."""
    canvas = np.zeros(size, np.uint8)
    cv2.circle(canvas, centre, radius, (1,), -1)
    return canvas.astype(bool)


def as_coco(mask: dict[str, Any]) -> Any:
    """Run lengths as pycocotools has them."""
    return {"size": mask["size"], "counts": mask["counts"].encode()}


@example(np.zeros((3, 4), np.bool_))
@example(np.ones((5, 1), np.bool_))
@example(np.ones((1, 5), np.bool_))
@given(MASKS)
def test_run_lengths_are_cocos(mask: BoolMask) -> None:
    """Run lengths are letter for letter those that pycocotools makes of the mask."""
    rle = mask_as(MaskFormat.RLE, mask)

    assert as_coco(rle) == coco.encode(np.asfortranarray(mask.view(np.uint8)))
    np.testing.assert_array_equal(coco.decode(as_coco(rle)), mask)


@pytest.mark.parametrize("size", [(1, 20_000), (20_000, 1), (2000, 3000)])
def test_large_and_odd_masks_are_cocos_too(size: tuple[int, int]) -> None:
    """So they are for the sizes that images have, where runs are long."""
    mask = np.zeros(size, np.bool_)
    mask[size[0] // 3 :: 7, size[1] // 4 :] = True

    assert as_coco(mask_as(MaskFormat.RLE, mask)) == coco.encode(np.asfortranarray(mask.view(np.uint8)))


@pytest.mark.parametrize("crop", [False, True])
@pytest.mark.parametrize("form", EXACT)
@given(mask=MASKS)
def test_exact_forms_come_back(form: MaskFormat, crop: bool, mask: BoolMask) -> None:
    """Run lengths, PNG and bits give every pixel back, whether cut to the mask's box or not."""
    packed = mask_as(form, mask, crop=crop)

    np.testing.assert_array_equal(decode_mask(packed, size_of(mask)).whole(), mask)
    assert ("origin" in packed) == crop


@given(MASKS)
def test_a_cut_mask_is_its_box(mask: BoolMask) -> None:
    """The size of a mask that was cut is its box's, and its origin the box's corner; pycocotools reads it."""
    if not mask.any():
        return
    rle = mask_as(MaskFormat.RLE, mask, crop=True)
    rows, columns = np.nonzero(mask)

    assert rle["origin"] == [columns.min(), rows.min()]
    assert rle["size"] == [np.ptp(rows) + 1, np.ptp(columns) + 1]
    assert coco.area(as_coco(rle)) == mask.sum()


@given(MASKS)
def test_bits_are_numpys(mask: BoolMask) -> None:
    """Bits lie row by row, the most significant first, each row in whole bytes."""
    packed = mask_as(MaskFormat.BITS, mask)

    assert packed["data"] == np.packbits(mask, axis=1).tobytes()
    assert packed["size"] == list(mask.shape)


def test_any_reader_understands_the_png() -> None:
    """Pillow reads a grey picture of the image's size: 0 outside, 255 inside."""
    with Image.open(io.BytesIO(mask_as(MaskFormat.PNG, disc())["data"])) as picture:
        assert (picture.format, picture.mode) == ("PNG", "L")
        np.testing.assert_array_equal(np.asarray(picture), disc() * 255)


@pytest.mark.parametrize("hole", [0, 6, 10])
def test_polygons_are_the_mask_again(hole: int) -> None:
    """Outlines filled by the even-odd rule are the mask to an IoU above 0.95, with its hole."""
    mask = disc() & ~disc(radius=hole) if hole else disc()
    polygon = mask_as(MaskFormat.POLYGON, mask)
    filled = decode_mask(polygon, size_of(mask)).whole()

    assert len(polygon["points"]) == (2 if hole else 1)
    assert (filled & mask).sum() / (filled | mask).sum() > 0.95


@given(MASKS)
def test_with_no_tolerance_every_point_is_there(mask: BoolMask) -> None:
    """Outlines of tolerance 0 filled again are the very mask, but for specks of one or two pixels."""
    polygon = mask_as(MaskFormat.POLYGON, mask, tolerance=0)
    _, parts, figures, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    wanted = mask & (figures[:, cv2.CC_STAT_AREA] > 2)[parts]

    np.testing.assert_array_equal(decode_mask(polygon, size_of(mask)).whole(), wanted)


def test_a_larger_tolerance_gives_fewer_points() -> None:
    """The tolerance is kept and told: of a disc, a larger one leaves fewer points, all of them near its edge."""
    counts = []
    for tolerance in (0, 1, 2.5, 8):
        polygon = mask_as(MaskFormat.POLYGON, disc(), tolerance=tolerance)
        assert polygon["tolerance"] == tolerance
        (points,) = polygon["points"]
        assert abs(np.hypot(*(np.array(points) - (40.5, 30.5)).T) - 20).max() < 1
        counts.append(len(points))
    assert counts == sorted(set(counts), reverse=True)


def cutouts_of(*masks: BoolMask) -> list[Cutout]:
    """The cutouts of masks that are not empty."""
    return [cutout for mask in masks if (cutout := Cutout.of(mask, 0, 0, size_of(mask)))]


@given(st.lists(arrays(np.bool_, (9, 13)), max_size=5))
def test_a_palette_holds_all_masks(masks: list[BoolMask]) -> None:
    """A pixel's value in the palette is the first segment's that covers it; 0 where there is none."""
    cutouts, image = cutouts_of(*masks), size_of(np.zeros((9, 13), np.bool_))
    found = encode_masks(cutouts, image, MaskWish(MaskFormat.PALETTE))
    assert found.palette is not None

    with Image.open(io.BytesIO(found.palette["data"])) as picture:
        assert (picture.format, picture.mode) == ("PNG", "P")
        values = np.asarray(picture)
    layers = [np.zeros((9, 13), np.bool_), *(cutout.whole() for cutout in cutouts)]
    first = np.argmax([*layers[1:], np.ones((9, 13), np.bool_)], axis=0) + 1
    np.testing.assert_array_equal(values, np.where(first > len(cutouts), 0, first))
    assert [mask["value"] for mask in found.masks] == list(range(1, len(cutouts) + 1))  # type: ignore[typeddict-item]


def test_a_palettes_masks_come_back() -> None:
    """Each mask of a palette is what an earlier one does not cover; without the palette there is none."""
    mask, other = disc(), disc(centre=(60, 30))
    found = encode_masks(cutouts_of(mask, other), size_of(mask), MaskWish(MaskFormat.PALETTE))

    second = decode_mask(found.masks[1], size_of(mask), found.palette)
    np.testing.assert_array_equal(second.whole(), other & ~mask)
    with pytest.raises(ValueError, match="palette"):
        decode_mask(found.masks[1], size_of(mask))


def test_a_palette_of_most_segments_has_colours_for_all() -> None:
    """As many segments as a palette holds have each its value and its own colour, none of them black."""
    masks = [np.arange(300).reshape(15, 20) == index for index in range(MAX_PALETTE)]
    found = encode_masks(cutouts_of(*masks), size_of(masks[0]), MaskWish(MaskFormat.PALETTE))
    assert found.palette is not None

    with Image.open(io.BytesIO(found.palette["data"])) as picture:
        colours = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    assert len(np.unique(colours[:MAX_PALETTE], axis=0)) == MAX_PALETTE
    assert colours[:MAX_PALETTE].any(axis=1).all()
