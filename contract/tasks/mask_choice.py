"""Which form the masks of an answer travel in: the one asked for, or the best that fits a budget of bytes."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from contract.tasks.definition import ImageSize, InvalidParameter
from contract.tasks.masks import (
    Cutout,
    Mask,
    MaskFormat,
    Palette,
    bits,
    contours_of,
    grey_png,
    palette_of,
    polygons,
    run_lengths,
)

_COARSER = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Tolerances of the polygons that are tried to keep within a budget, in pixels."""
_MAX_BITS = 1 << 31
"""Of an answer's masks: more than that many pixels are not answered one by one."""


@dataclass(frozen=True, slots=True)
class MaskWish:
    """What a caller wants of masks."""

    form: MaskFormat = MaskFormat.RLE
    tolerance: float = 1.0
    """Of polygons, in pixels."""
    crop: bool = False
    """Run lengths, PNGs and bits of the mask's box alone, instead of the whole image."""
    max_bytes: int | None = None
    """Of all masks together, as they stand in JSON; see `size_in_json`."""


@dataclass(frozen=True, slots=True)
class Masks:
    """An answer's masks in one form, in the order of its segments."""

    masks: Sequence[Mask]
    """Empty where none are wanted, or none fit."""
    palette: Palette | None = None


_NO_MASKS = Masks(())


def encode_masks(cutouts: Sequence[Cutout], image: ImageSize, wish: MaskWish) -> Masks:
    """The masks in the form asked for; where that is too large, in the first that fits of rle, coarser polygons, none.

    InvalidParameter for masks that nobody could read again: whole images of more pixels than `_MAX_BITS` in all.
    """
    _check_size(len(cutouts), image, wish)
    if wish.form is MaskFormat.PALETTE:
        masks = _in_palette(cutouts, image)
        if wish.max_bytes is None or _size_of(masks) <= wish.max_bytes:
            return masks
    for encode in _ways(cutouts, wish):
        if (fitting := _within(map(encode, range(len(cutouts))), wish.max_bytes)) is not None:
            return Masks(fitting)
    return _NO_MASKS


def _check_size(count: int, image: ImageSize, wish: MaskWish) -> None:
    if wish.crop or wish.form not in (MaskFormat.PNG, MaskFormat.BITS):
        return
    unbounded = wish.max_bytes is None or wish.max_bytes > _MAX_BITS // 8
    if unbounded and count * image["width"] * image["height"] > _MAX_BITS:
        raise InvalidParameter(
            f"{count} masks of {image['width']} x {image['height']} pixels are too many for {wish.form}; "
            "ask for mask_crop, max_bytes or rle"
        )


def size_in_json(mask: Mask | Palette) -> int:
    """The bytes of a mask in JSON that has no spaces, from its opening to its closing brace."""
    shown: dict[str, Any] = dict(mask)
    data = shown.get("data")
    if data is None:
        return len(json.dumps(shown, separators=(",", ":")))
    shown["data"] = ""
    return len(json.dumps(shown, separators=(",", ":"))) + 4 * -(-len(data) // 3)


def _in_palette(cutouts: Sequence[Cutout], image: ImageSize) -> Masks:
    masks: list[Mask] = [{"format": "palette", "value": value + 1} for value in range(len(cutouts))]
    return Masks(masks, palette_of(cutouts, image))


def _size_of(found: Masks) -> int:
    palette = size_in_json(found.palette) if found.palette is not None else 0
    return palette + sum(map(size_in_json, found.masks))


def _within(masks: Iterator[Mask], budget: int | None) -> list[Mask] | None:
    """All the masks, or None as soon as they are over the budget: the others are then not made."""
    if budget is None:
        return list(masks)
    taken: list[Mask] = []
    for mask in masks:
        budget -= size_in_json(mask)
        if budget < 0:
            return None
        taken.append(mask)
    return taken


def _ways(cutouts: Sequence[Cutout], wish: MaskWish) -> Iterator[Callable[[int], Mask]]:
    """Ways to make the mask of a place in the answer, the best first; none for masks that nobody wants."""
    contours: dict[int, Any] = {}

    def polygon(index: int, tolerance: float) -> Mask:
        if index not in contours:
            contours[index] = contours_of(cutouts[index])
        return polygons(contours[index], tolerance)

    if wish.form is MaskFormat.NONE:
        return
    if wish.form is MaskFormat.PNG:
        yield lambda index: grey_png(cutouts[index], crop=wish.crop)
    if wish.form is MaskFormat.BITS:
        yield lambda index: bits(cutouts[index], crop=wish.crop)
    if wish.form is MaskFormat.POLYGON:
        yield lambda index: polygon(index, wish.tolerance)
    yield lambda index: run_lengths(cutouts[index], crop=wish.crop)
    finest = max(wish.tolerance, _COARSER[0])
    for tolerance in (finest, *(coarser for coarser in _COARSER if coarser > finest)):
        if wish.form is not MaskFormat.POLYGON or tolerance > wish.tolerance:
            yield lambda index, tolerance=tolerance: polygon(index, tolerance)  # type: ignore[misc]
