"""All decoders: the one place where a new one is added."""

import numpy as np
import torch

from build_engines.artifact import BuildFailure
from build_engines.catalog.decoding import Decoding, Detr, FastestDet, Rename, Ssd, Yolo, Yolox, Yunet
from build_engines.decoders.fastestdet import FastestDetDecoder
from build_engines.decoders.form import REMEDY, Decoder, Raw, Size
from build_engines.decoders.pairs import PairDecoder
from build_engines.decoders.rename import RANKS, RenameDecoder
from build_engines.decoders.yolo import YoloDecoder
from build_engines.decoders.yolox import YoloxDecoder
from build_engines.decoders.yunet import YunetDecoder
from contract.task import Task


def decoder(decoding: Decoding, raw: tuple[Raw, ...], task: Task, size: Size) -> Decoder:
    """The decoder of these raw outputs; BuildFailure, with the shapes found, where it does not fit them."""
    network = _of(decoding, raw, task, size).eval()
    try:
        with torch.inference_mode():
            made = network(*(torch.from_numpy(np.zeros(output.shape, output.kind)) for output in raw))
    except (RuntimeError, IndexError) as error:
        found = ", ".join(map(str, raw))
        raise BuildFailure(f"decoder {decoding.decoder} stumbles over {found}: {error}", REMEDY) from error
    for name, values in zip(network.output_names, made, strict=True):
        if values.ndim != RANKS[name]:
            shape = Raw(name, tuple(values.shape))
            raise BuildFailure(
                f"{shape} should have {RANKS[name]} axes, the batch included",
                f"transpose, squeeze or argmax it under outputs.tensors.{name}",
            )
    return network


def _of(decoding: Decoding, raw: tuple[Raw, ...], task: Task, size: Size) -> Decoder:
    match decoding:
        case Rename():
            return RenameDecoder(decoding, raw, task)
        case Yolox():
            return YoloxDecoder(decoding, raw, size)
        case Yolo():
            return YoloDecoder(decoding, raw, task, size)
        case FastestDet():
            return FastestDetDecoder(decoding, raw)
        case Yunet():
            return YunetDecoder(decoding, raw, task, size)
        case Detr() | Ssd():
            return PairDecoder(decoding, raw, size)
