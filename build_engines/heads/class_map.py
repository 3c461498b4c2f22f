"""What every semantic head ends in."""

import torch
from torch import Tensor

_MOST_FOR_BYTES = 255


def class_map(logits: Tensor) -> Tensor:
    """Logits f32 [B,C,h,w] → the most probable class of each position, u8 [B,h,w], or i16 for more than 255 classes."""
    return logits.argmax(dim=1).to(torch.uint8 if logits.shape[1] <= _MOST_FOR_BYTES else torch.int16)
