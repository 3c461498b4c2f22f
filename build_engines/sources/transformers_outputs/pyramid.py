"""A backbone's feature maps, for a head to follow."""

from itertools import accumulate
from typing import Any

from torch import Tensor, nn
from transformers.backbone_utils import BackboneMixin
from transformers.models.auto.modeling_auto import MODEL_FOR_BACKBONE_MAPPING, MODEL_MAPPING

from build_engines.artifact import BuildFailure

_PVT = "pvt"


class Pyramid(nn.Module):
    """Pixels f32 [B,3,H,W] → maps f32 [B,C,h,w], the finest first."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.is_backbone = isinstance(model, BackboneMixin)

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """The maps of the backbone's stages; of a model that is no backbone, its last hidden map of each size."""
        if self.is_backbone:
            return tuple(self.model(pixel_values=pixels).feature_maps)
        states = self.model(pixel_values=pixels, output_hidden_states=True).hidden_states
        if self.model.config.model_type == _PVT:
            return _of_pvt(states, pixels, self.model.config)
        return tuple(maps for maps, after in zip(states, [*states[1:], None], strict=True) if _is_last(maps, after))


def _is_last(maps: Tensor, after: Tensor | None) -> bool:
    return maps.ndim == 4 and (after is None or after.shape[-2:] != maps.shape[-2:])


def _of_pvt(states: tuple[Tensor, ...], pixels: Tensor, configuration: Any) -> tuple[Tensor, ...]:
    """PVT's hidden states are sequences, one after each block; those after a stage's last block become maps."""
    maps, stride = [], 1
    for index, patch in zip(accumulate(configuration.depths), configuration.patch_sizes, strict=True):
        stride *= patch
        height, width = pixels.shape[-2] // stride, pixels.shape[-1] // stride
        # The class token leads the sequence of the last stage.
        places = states[index - 1][:, -height * width :]
        maps.append(places.transpose(1, 2).unflatten(2, (height, width)))
    return tuple(maps)


def class_for(configuration: Any) -> Any:
    """The class of the configuration's backbone; BuildFailure where transformers has neither that nor a plain model."""
    for mapping in (MODEL_FOR_BACKBONE_MAPPING, MODEL_MAPPING):
        found = mapping.get(type(configuration), None)
        if found is not None:
            return found[0] if isinstance(found, tuple | list) else found
    raise BuildFailure(
        f"transformers has no backbone of the type {configuration.model_type}", "choose another backbone for the head"
    )


def all_stages(configuration: Any) -> None:
    """Ask a hierarchical backbone for the maps of all its stages, in place; a plain one keeps its last map."""
    depths = getattr(configuration, "depths", None) or getattr(configuration, "num_encoder_blocks", None)
    if depths is None or not hasattr(configuration, "stage_names"):
        return
    names = [name for name in configuration.stage_names if name.startswith("stage")]
    configuration.out_features = names


def make(model: Any) -> tuple[nn.Module, tuple[str, ...]]:
    """The pyramid; its outputs have no names, for the head gives them theirs."""
    return Pyramid(model), ("maps",)
