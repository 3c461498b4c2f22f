"""Random weights of a head, scaled so that its answers differ from place to place.

Heads of detectors have no normalisation, and their inputs are of any size: with weights drawn blindly every score is 0
or 1 and every box lies outside the image, and a certificate of that proves little.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

_LEAST = 1e-6


def balance(head: nn.Module, run: Callable[[], object]) -> None:
    """Give each layer's outputs unit variance in ``run``, which must call the head; in place.

    After Mishkin and Matas, "All you need is a good init" (2016), section 3, in one pass. A layer that several levels
    share is scaled for the first that it sees.
    """
    layers = [layer for layer in head.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)]
    hooks = [layer.register_forward_hook(_Once()) for layer in layers]
    try:
        with torch.inference_mode():
            run()
    finally:
        for hook in hooks:
            hook.remove()


class _Once:
    """A hook that scales its layer when that is first called."""

    def __init__(self) -> None:
        self._done = False

    def __call__(self, layer: nn.Module, _: Any, output: Tensor) -> Tensor | None:
        if self._done:
            return None
        self._done = True
        scale = output.std().clamp(min=_LEAST)
        for parameter in layer.parameters(recurse=False):
            parameter.div_(scale)
        return output / scale
