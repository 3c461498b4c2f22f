"""A checkpoint's position embeddings, resized to another input size."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

StateDict = dict[str, Tensor]
Size = tuple[int, int]

_TOKENS = (0, 1, 2, 5)
"""How many tokens may precede the patches: none, the class, a teacher's besides, four registers besides."""
_CLASS_OFFSETS = 3


def fitted(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], before: Size, after: Size) -> StateDict:
    """The tensors, those of positions interpolated (bicubic) to the shapes f32 that the network wants.

    ``before`` and ``after`` are the inputs' heights and widths; only their proportion counts. What is not a table of
    positions, or has no grid's number of them, stays as it is.
    """
    return {name: _fitted(name, tensor, wanted.get(name), before, after) for name, tensor in tensors.items()}


def _fitted(name: str, tensor: Tensor, target: Tensor | None, before: Size, after: Size) -> Tensor:
    if target is None or target.shape == tensor.shape or target.ndim != tensor.ndim:
        return tensor
    if "relative_position_bias_table" in name:
        return _relative(tensor, target, before, after)
    if "rel_pos" in name and tensor.ndim == 2:
        return _line(tensor, len(target))
    if "pos" in name and tensor.ndim == 3 and tensor.shape[-1] == target.shape[-1]:
        return _absolute(tensor, target, before, after)
    return tensor


def _grid(count: int, size: Size) -> Size | None:
    """Rows and columns of ``count`` places in an input of this shape; None if they make no grid."""
    columns = round(math.sqrt(max(count, 0) * size[1] / size[0]))
    if columns < 1 or count % columns or abs(count // columns * size[1] - columns * size[0]) >= max(size):
        return None
    return count // columns, columns


def _absolute(tensor: Tensor, target: Tensor, before: Size, after: Size) -> Tensor:
    """[1, P + h·w, C] → [1, P + H·W, C]; the P first ones (class and other tokens) have no place and stay."""
    for extra in _TOKENS:
        source, goal = _grid(tensor.shape[1] - extra, before), _grid(target.shape[1] - extra, after)
        if source and goal:
            patches = tensor[:, extra:].reshape(tensor.shape[0], *source, -1).permute(0, 3, 1, 2)
            resized = _bicubic(patches, goal).flatten(2).transpose(1, 2)
            return torch.cat([tensor[:, :extra], resized], dim=1)
    return tensor


def _relative(tensor: Tensor, target: Tensor, before: Size, after: Size) -> Tensor:
    """BEiT's table [(2h-1)(2w-1) + 3, heads]: offsets between patches, and three entries of the class token."""
    source, goal = _grid(len(tensor) - _CLASS_OFFSETS, before), _grid(len(target) - _CLASS_OFFSETS, after)
    if not (source and goal):
        return tensor
    offsets = tensor[:-_CLASS_OFFSETS].T.reshape(1, -1, *source)
    resized = _bicubic(offsets, goal).flatten(2)[0].T
    return torch.cat([resized, tensor[-_CLASS_OFFSETS:]])


def _line(tensor: Tensor, length: int) -> Tensor:
    """[L, C] → [length, C], linearly: offsets along one axis."""
    return functional.interpolate(tensor.T[None], size=length, mode="linear")[0].T.contiguous()


def _bicubic(maps: Tensor, size: Size) -> Tensor:
    return functional.interpolate(maps.float(), size=size, mode="bicubic", align_corners=False).to(maps.dtype)
