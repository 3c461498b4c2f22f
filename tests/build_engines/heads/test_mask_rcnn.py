"""The parts of the two-stage head that stand on geometry: RoIAlign over levels, and pasting."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from build_engines.heads.mask_rcnn import pasted
from build_engines.heads.roi_align import RoiAlign
from tests.build_engines.heads.backbones import some_maps

SIDE = 256
MAPS = some_maps(SIDE)


def features(batch: int = 2) -> tuple[Tensor, ...]:
    """Maps of noise."""
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(batch, 8, level.height, level.width, generator=generator) for level in MAPS)


def by_grid(level: Tensor, box: Tensor, side: int) -> Tensor:
    """A box's cells f32 [side,side,C], each the mean of 2 x 2 samples that torch's own sampler takes."""
    places = (torch.arange(2 * side) + 0.5) / (2 * side)
    x, y = box[0] + (box[2] - box[0]) * places, box[1] + (box[3] - box[1]) * places
    grid = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], dim=-1) * 2 - 1
    samples = functional.grid_sample(level[None], grid[None], padding_mode="border", align_corners=False)
    return functional.avg_pool2d(samples, 2)[0].permute(1, 2, 0)


def test_cells_are_means_of_bilinear_samples() -> None:
    """Each region is sampled from its own image and its own level, as torch's sampler does it."""
    align, maps = RoiAlign(MAPS, (SIDE, SIDE), 3), features()
    boxes = torch.tensor([[[0.1, 0.2, 0.25, 0.3], [0.0, 0.0, 1.0, 1.0]], [[0.5, 0.4, 0.9, 0.8], [0.9, 0.9, 1.0, 1.0]]])
    found, levels = align(maps, boxes), align.level_of(boxes)
    assert found.shape == (2, 2, 3, 3, 8)
    for image in range(2):
        for slot in range(2):
            expected = by_grid(maps[levels[image, slot]][image], boxes[image, slot], 3)
            torch.testing.assert_close(found[image, slot], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("pixels", "level"), [(10, 0), (111, 0), (113, 1), (223, 1), (225, 2), (500, 3), (4000, 3)])
def test_a_region_chooses_its_level_by_size(pixels: int, level: int) -> None:
    """A square of 224 pixels belongs to stride 16, one of half the side to stride 8, and so on to the ends."""
    edge = pixels / SIDE
    found = RoiAlign(MAPS, (SIDE, SIDE), 7).level_of(torch.tensor([[[0, 0, edge, edge]]]))
    assert found.item() == level


def test_a_full_mask_fills_its_box() -> None:
    """A mask of ones is 1 well inside its box, 0 outside, and passes 0.5 at the box's edge."""
    centres = (torch.arange(100) + 0.5) / 100
    image = pasted(torch.ones(1, 1, 28, 28), torch.tensor([[[0.2, 0.3, 0.6, 0.9]]]), centres, centres)[0, 0]
    assert image[35:85, 25:55].min() == pytest.approx(1, abs=1e-5)
    inside = image >= 0.5
    assert inside.sum() == inside[30:90, 20:60].sum() == 60 * 40


def test_a_mask_keeps_its_place_and_sense() -> None:
    """A mask whose upper left quarter is set shows there, and not mirrored."""
    mask = torch.zeros(1, 1, 28, 28)
    mask[..., :14, :14] = 1
    centres = (torch.arange(50) + 0.5) / 50
    image = pasted(mask, torch.tensor([[[0.0, 0.0, 1.0, 0.5]]]), centres, centres)[0, 0] >= 0.5
    assert image[3, 3]
    assert not image[20, 3]
    assert not image[3, 40]


def test_a_small_mask_is_averaged() -> None:
    """A box within one pixel leaves there its share of the pixel times its mask's mean."""
    mask = torch.rand(1, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    centres = (torch.arange(10) + 0.5) / 10
    image = pasted(mask, torch.tensor([[[0.42, 0.53, 0.48, 0.57]]]), centres, centres)[0, 0]
    assert image[5, 4].item() == pytest.approx(0.6 * 0.4 * mask.mean().item(), rel=1e-4)
    assert image.sum().item() == pytest.approx(image[5, 4].item(), rel=1e-4)


def test_an_empty_box_has_no_mask() -> None:
    """The box of an empty slot gives zeros, not NaN."""
    centres = (torch.arange(50) + 0.5) / 50
    assert not pasted(torch.zeros(1, 1, 28, 28), torch.zeros(1, 1, 4), centres, centres).any()
