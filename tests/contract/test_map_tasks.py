"""Depth, matte and restore: maps of the image as sent."""

from typing import Any

import numpy as np
import pytest

from contract.preprocess import Geometry, Resize
from contract.tasks.definition import InvalidParameter, TaskDefinition, UnusableOutput
from contract.tasks.depth import DEPTH
from contract.tasks.maps import decode_map, decode_pixels
from contract.tasks.matte import MATTE
from contract.tasks.restore import RESTORE
from tests.cards import a_spec
from tests.contract.answers import MODES, answer

CROP = Geometry.of(200, 100, a_spec(height=50, width=50, resize=Resize.SHORTEST_EDGE, shortest_edge=50))
"""Of an image of 200 x 100 pixels the network sees the columns 50 to 150."""


def dense_of(definition: TaskDefinition, name: str, values: Any, geometry: Geometry, **parameters: Any) -> np.ndarray:
    """The map that a task answers with, as numbers."""
    return decode_map(answer(definition, {name: np.float32(values)}, geometry, encoding="npy", **parameters)["map"])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("definition", "name"), [(DEPTH, "depth"), (MATTE, "alpha")])
def test_a_map_lies_on_the_image(definition: TaskDefinition, name: str, mode: str) -> None:
    """A ramp over the input's columns is a ramp over the image's columns, wherever the input looked."""
    geometry = Geometry.of(80, 60, MODES[mode])
    ramp = np.tile((np.arange(100, dtype=np.float32) + 0.5) / 100, (100, 1))
    back = dense_of(definition, name, ramp, geometry)

    assert back.shape == (60, 80)
    rows, columns = geometry.seen
    centres = np.stack([np.arange(80) + 0.5, np.full(80, 30.0)], axis=-1).astype(np.float32)
    wanted = geometry.to_input(centres)[:, 0] / 100
    inner = slice(columns.start + 2, columns.stop - 2)
    np.testing.assert_allclose(back[rows][5, inner], wanted[inner], atol=5e-3)


def test_depth_tells_its_range_and_what_it_means() -> None:
    """``min`` and ``max`` are of what was seen; the quantity is the card's, and absent where the card has none."""
    ramp = np.tile(np.linspace(3, 9, 50, dtype=np.float32), (50, 1))
    result = answer(DEPTH, {"depth": ramp}, CROP, setting={"quantity": "metres"})

    assert (result["map"]["min"], result["map"]["max"], result["quantity"]) == (3, 9, "metres")
    assert decode_map(result["map"])[:, :50].max() == 3
    assert "quantity" not in answer(DEPTH, {"depth": ramp}, CROP)


def test_a_matte_is_a_share() -> None:
    """Alpha is kept within 0…1, is 0 where the network did not look, and its PNG is an alpha channel."""
    result = answer(MATTE, {"alpha": np.float32([[-0.5, 1.5], [-0.5, 1.5]])}, CROP)
    alpha = decode_map(result["map"])

    assert (result["map"]["min"], result["map"]["max"]) == (0, 1)
    assert (alpha[50, 60], alpha[50, 140], alpha[:, 150:].max()) == (0, 1, 0)


@pytest.mark.parametrize(("definition", "name"), [(DEPTH, "depth"), (MATTE, "alpha")])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_maps_that_are_no_numbers_are_refused(definition: TaskDefinition, name: str, value: float) -> None:
    """NaN or infinity anywhere in the map is UnusableOutput."""
    with pytest.raises(UnusableOutput, match=name):
        answer(definition, {name: np.full((4, 4), value, np.float32)})


@pytest.mark.parametrize("name", ["images", "restored"])
def test_a_picture_of_the_inputs_size_is_not_touched(name: str) -> None:
    """An image as large as the input comes back as the network's very pixels."""
    restored = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)

    result = answer(RESTORE, {name: restored}, Geometry.of(100, 100, MODES["letterbox"]))
    np.testing.assert_array_equal(decode_pixels(result["map"]), restored)


@pytest.mark.parametrize("mode", ["stretch", "letterbox", "letterbox, top left"])
@pytest.mark.parametrize("size", [(50, 40), (100, 60), (333, 100), (7, 90)])
def test_restoring_enlarges_the_image_as_sent(mode: str, size: tuple[int, int]) -> None:
    """Where the whole image was seen the answer is the network's factor times it, without any padding."""
    geometry = Geometry.of(*size, MODES[mode])
    pixels = np.zeros((300, 300, 3), np.uint8)
    corners = np.rint(3 * geometry.to_input(np.float32([[0, 0], size]))).astype(int)
    pixels[corners[0, 1] : corners[1, 1], corners[0, 0] : corners[1, 0]] = 200

    restored = decode_pixels(answer(RESTORE, {"images": pixels}, geometry)["map"])
    assert restored.shape == (3 * size[1], 3 * size[0], 3)
    assert restored[3:-3, 3:-3].min() == 200


def test_of_a_crop_its_part_is_restored() -> None:
    """Where the network saw a part of the image, the answer is that part."""
    ramp = np.tile(np.linspace(0, 255, 100).astype(np.uint8)[None, :, None], (100, 1, 3))

    restored = decode_pixels(answer(RESTORE, {"images": ramp}, CROP)["map"])
    assert restored.shape == (200, 200, 3)
    assert (restored[100, 0, 0], restored[100, -1, 0]) == (0, 255)


def test_an_answer_that_would_be_too_large_is_refused() -> None:
    """A picture whose enlargement nobody could read again is refused with its size."""
    geometry = Geometry.of(4000, 4000, MODES["stretch"])

    with pytest.raises(InvalidParameter, match="8000 x 8000"):
        answer(RESTORE, {"images": np.zeros((200, 200, 3), np.uint8)}, geometry)
