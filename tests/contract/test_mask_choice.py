"""A budget of bytes: the best form that fits is taken, for the whole answer."""

import json
from base64 import b64encode
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.tasks.definition import ImageSize, InvalidParameter
from contract.tasks.mask_choice import MaskWish, encode_masks, size_in_json
from contract.tasks.masks import BoolMask, Cutout, MaskFormat
from tests.contract.answers import mask_as, size_of

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RNG = np.random.default_rng(0)
ROUGH = np.hypot(*(np.indices((200, 240)) - [[[90]], [[110]]])) < 70 + RNG.normal(0, 6, (200, 240))
"""A disc with a rough edge bool [200, 240]."""
IMAGE: ImageSize = size_of(ROUGH)


def cutouts(count: int = 4) -> list[Cutout]:
    """Rough discs, each a little to the right of the one before."""
    made = (Cutout.of(np.roll(ROUGH, 5 * index, axis=1), 0, 0, IMAGE) for index in range(count))
    return [cutout for cutout in made if cutout is not None]


def text_of(value: Any) -> bytes:
    """JSON without spaces, bytes in base64."""
    return json.dumps(value, separators=(",", ":"), default=lambda data: b64encode(data).decode()).encode()


def forms(**wish: Any) -> list[tuple[str, float | None]]:
    """Form and tolerance of every mask of an answer."""
    return [(mask["format"], mask.get("tolerance")) for mask in encode_masks(cutouts(), IMAGE, MaskWish(**wish)).masks]


@pytest.mark.parametrize("form", [MaskFormat.RLE, MaskFormat.POLYGON, MaskFormat.PNG, MaskFormat.BITS])
def test_a_masks_size_is_that_in_json(form: MaskFormat) -> None:
    """What counts against the budget is a mask's length in JSON without spaces, its bytes in base64."""
    mask = mask_as(form, ROUGH)
    assert size_in_json(mask) == len(text_of(mask))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(MaskFormat), st.integers(0, 60_000), st.booleans(), st.sampled_from([0.0, 1.0, 3.0, 30.0]))
def test_a_budget_is_kept(form: MaskFormat, budget: int, crop: bool, tolerance: float) -> None:
    """Whatever is asked for, all masks of the answer fit the budget, and they are of one form."""
    found = encode_masks(cutouts(), IMAGE, MaskWish(form, tolerance, crop, budget))

    size = sum(len(text_of(mask)) for mask in found.masks) + (len(text_of(found.palette)) if found.palette else 0)
    assert size <= budget
    assert len({(mask["format"], mask.get("tolerance")) for mask in found.masks}) <= 1
    assert len(found.masks) in (0, 4)


def test_the_best_form_that_fits_is_taken() -> None:
    """With less and less room, the form asked for gives way to rle, to coarser and coarser polygons, and to none."""
    budgets = np.geomspace(60_000, 100, 120).astype(int).tolist()
    seen = [forms(form=MaskFormat.PNG, max_bytes=budget) for budget in budgets]
    order = list(dict.fromkeys(found[0] if found else ("none", None) for found in seen))

    wanted: list[Any] = [
        ("png", None),
        ("rle", None),
        *(("polygon", float(t)) for t in (1, 2, 4, 8, 16)),
        ("none", None),
    ]
    assert order == [step for step in wanted if step in order]
    assert {("png", None), ("polygon", 4.0), ("none", None)} <= set(order)


@pytest.mark.parametrize("form", [MaskFormat.PNG, MaskFormat.BITS, MaskFormat.RLE, MaskFormat.PALETTE])
def test_the_form_asked_for_is_kept_where_it_fits(form: MaskFormat) -> None:
    """A budget that is just large enough changes nothing; one byte less does."""
    found = encode_masks(cutouts(), IMAGE, MaskWish(form))
    size = sum(map(size_in_json, found.masks)) + (size_in_json(found.palette) if found.palette else 0)

    assert {one for one, _ in forms(form=form, max_bytes=size)} == {form}
    assert {one for one, _ in forms(form=form, max_bytes=size - 1)} != {form}


def test_a_finer_tolerance_than_asked_for_is_never_taken() -> None:
    """Polygons that do not fit are followed by coarser ones only."""
    sizes = {
        tolerance: sum(map(size_in_json, encode_masks(cutouts(), IMAGE, MaskWish(MaskFormat.POLYGON, tolerance)).masks))
        for tolerance in (3.0, 4.0)
    }
    assert set(forms(form=MaskFormat.POLYGON, tolerance=3.0, max_bytes=sizes[3.0])) == {("polygon", 3.0)}
    assert set(forms(form=MaskFormat.POLYGON, tolerance=3.0, max_bytes=sizes[4.0])) == {("polygon", 4.0)}
    assert forms(form=MaskFormat.POLYGON, tolerance=30.0, max_bytes=10) == []


def test_no_masks_fit_any_budget() -> None:
    """An answer without segments fits a budget of nothing; so do masks that nobody wants."""
    assert list(encode_masks([], IMAGE, MaskWish(max_bytes=0)).masks) == []
    assert forms(form=MaskFormat.NONE, max_bytes=0) == []


@pytest.mark.parametrize("form", [MaskFormat.PNG, MaskFormat.BITS])
def test_whole_masks_of_a_giant_image_are_refused(form: MaskFormat) -> None:
    """A hundred whole masks of the largest image are a mistake, unless they are cut to their boxes or have a budget."""
    giant: ImageSize = {"width": 10_000, "height": 5_000}
    dot: BoolMask = np.ones((1, 1), np.bool_)
    found = [Cutout(dot, index, 0, giant) for index in range(100)]

    with pytest.raises(InvalidParameter, match="mask_crop"):
        encode_masks(found, giant, MaskWish(form))
    assert len(encode_masks(found, giant, MaskWish(form, crop=True)).masks) == 100
    assert encode_masks(found, giant, MaskWish(form, max_bytes=100_000)).masks[0]["format"] == "rle"
