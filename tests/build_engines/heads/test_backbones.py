"""Backbones as pyramids: timm's, transformers', one's own, and those that have one stride only."""

from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor, nn
from transformers import ConvNextBackbone, ConvNextConfig

from build_engines.artifact import BuildFailure
from build_engines.catalog.entry import TimmSource
from build_engines.heads import pyramid as head
from build_engines.sources import pyramid
from build_engines.sources import timm as source
from contract.task import Task
from tests.build_engines.heads.backbones import Stages, settings
from tests.build_engines.orders import a_spec, an_entry, an_order


def strides_of(network: nn.Module, levels: tuple, side: int) -> list[int]:
    """Those that the maps really have; their channels must be the levels'."""
    with torch.inference_mode():
        maps = network(torch.zeros(2, 3, side, side))
    assert [level.channels for level in levels] == [found.shape[1] for found in maps]
    assert [level.stride for level in levels] == [side // found.shape[2] for found in maps]
    return [level.stride for level in levels]


@pytest.mark.parametrize(
    ("name", "side", "options"),
    [
        ("mobilenetv3_small_050", 64, {}),
        ("swin_tiny_patch4_window7_224", 64, {"img_size": 64, "depths": (1, 1, 1, 1), "embed_dim": 12}),
        ("pvt_v2_b0", 64, {}),
        ("vit_tiny_patch16_224", 64, {"img_size": 64, "depth": 2}),
        ("vit_tiny_patch16_224", 56, {"img_size": 56, "patch_size": 14, "depth": 1}),
    ],
)
def test_timm_models_become_pyramids(name: str, side: int, options: dict) -> None:
    """Convolutional, windowed (channels last) and plain ones give maps [B,C,h,w] of strides that double."""
    network, levels = pyramid.of_timm(timm.create_model(name, **options), side, side)
    if options.get("patch_size"):
        assert [level.stride for level in levels] == [4, 8, 16, 32]
    else:
        assert strides_of(network, levels, side) == [4, 8, 16, 32]


def test_transformers_backbones_become_pyramids() -> None:
    """All maps that a backbone of transformers is asked for are taken."""
    stages = ["stage1", "stage2", "stage3", "stage4"]
    configuration = ConvNextConfig(hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], out_features=stages)
    network, levels = pyramid.of_transformers(ConvNextBackbone(configuration), 64, 64)
    assert strides_of(network, levels, 64) == [4, 8, 16, 32]


class Patches(nn.Module):
    """A plain network: one map of stride 8, alone."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 96, 8, stride=8)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.patches(pixels)


def test_one_stride_is_made_four() -> None:
    """The last map is enlarged by transposed convolutions and reduced by pooling, and itself is among the maps."""
    network, levels = pyramid.of_network(Patches(), 64, 64)
    assert strides_of(network, levels, 64) == [4, 8, 16, 32]
    assert [level.channels for level in levels] == [64, 96, 96, 96]


def test_a_dictionary_of_maps_will_do() -> None:
    """Networks that name their maps are taken as they are."""

    class Named(Stages):
        def forward(self, pixels: Tensor) -> dict[str, Tensor]:
            return {f"p{index}": level for index, level in enumerate(super().forward(pixels))}

    network, levels = pyramid.of_network(Named(), 64, 64)
    assert strides_of(network, levels, 64) == [4, 8, 16, 32]


def test_a_network_without_maps_is_refused() -> None:
    """What gives vectors is no backbone."""
    with pytest.raises(BuildFailure, match="no feature maps"):
        pyramid.of_network(nn.Flatten(), 64, 64)


def test_the_source_makes_a_backbone(tmp_path: Path) -> None:
    """With a pyramid head to follow, timm's source gives maps at the entry's size, and names no answers yet."""
    entry = an_entry(
        task=Task.DETECT,
        source=TimmSource(model="vit_tiny_patch16_224"),
        head=settings("retinanet", classes=80),
        labels="coco",
        preprocess=a_spec(96),
    )
    artifact = source.load(head.Artifact(an_order(tmp_path, entry, resolution=None)))
    assert strides_of(artifact.network, artifact.pyramid, 96) == [4, 8, 16, 32]
    assert artifact.labels[0] == "person"


def test_a_checkpoint_of_the_whole_brings_the_backbone(tmp_path: Path) -> None:
    """The file that training wrote for backbone and head together serves both; the result is trained."""
    entry = an_entry(task=Task.DETECT, head=settings("retinanet"), labels=None, preprocess=a_spec(64))
    first = head.STEP(source.STEP(head.Artifact(an_order(tmp_path, entry))))
    torch.save(first.network.state_dict(), tmp_path / "whole.pth")
    again = head.STEP(source.STEP(head.Artifact(an_order(tmp_path, entry, weights=tmp_path / "whole.pth"))))
    expected = first.network.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in again.network.state_dict().items())
    assert again.origin.trained
