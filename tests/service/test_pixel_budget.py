"""The pixels of one request."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.image import ImageTooLarge
from service.pixel_budget import PixelBudget


@given(st.lists(st.integers(0, 1000), min_size=1), st.integers(1, 5000))
def test_the_sum_decides(images: list[int], pixels: int) -> None:
    """Whatever the order, at least one image of a request is refused if all have too many pixels, and none if not."""
    budget, refused = PixelBudget(pixels), 0
    for image in images:
        refused += 1
        with suppress(ImageTooLarge):
            budget.spend(image)
            refused -= 1
    assert bool(refused) == (sum(images) > pixels)


def test_nothing_more_is_decoded_once_it_is_overdrawn() -> None:
    """Who only looks is refused too, before an image is decoded in vain."""
    budget = PixelBudget(10)
    budget.spend(10)
    budget.spend(0)
    for pixels in (1, 0):
        with pytest.raises(ImageTooLarge, match="more than 10 pixels together"):
            budget.spend(pixels)
