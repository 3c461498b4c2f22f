"""What a caller's ``Accept`` asks for, and the binary form of masks."""

from typing import Any

import zstandard
from python_multipart.multipart import parse_options_header

from contract.task import Task
from contract.tasks.masks import MaskFormat
from service.api.json_answers import json_answer
from service.errors import invalid_parameters
from service.inference import Answer
from service.telemetry import Stages

JSON = "application/json"
PICTURES = ("image/png", "image/jpeg")
MASKS = "application/vnd.vitrail.masks+zstd"
"""Segments with their masks as bits, in one Zstandard frame; its layout stands in docs/masks.md."""

_LEVEL = 1
"""Of Zstandard: higher ones make masks hardly smaller and take several times as long."""


def answer_type(accept: str, task: Task) -> str:
    """The type that a caller's ``Accept`` prefers to all others, if the task answers in it; else JSON."""
    wanted, preference = JSON, 0.0
    for given in accept.split(","):
        name, options = parse_options_header(given)
        quality = _quality(options)
        # Of those that are wanted equally, the first.
        if quality > preference:
            wanted, preference = name.decode("latin-1"), quality
    offered = wanted in PICTURES or (wanted == MASKS and task is Task.SEGMENT)
    return wanted if offered else JSON


def _quality(options: dict[bytes, bytes]) -> float:
    """A type's weight, by RFC 9110 section 12.4.2; one that makes no sense is none."""
    try:
        return float(options.get(b"q", b"1"))
    except ValueError:
        return 0.0


def parameters_of_masks(given: dict[str, Any]) -> dict[str, Any]:
    """A caller's parameters, with those that the binary form of masks stands for."""
    if given.get("mask_format", MaskFormat.BITS) != MaskFormat.BITS:
        raise invalid_parameters(f"{MASKS} carries masks as bits; leave mask_format out, or ask for JSON")
    return {"mask_format": MaskFormat.BITS, "mask_crop": True} | given


def masks_answer(answer: Answer, request_id: str, stages: Stages) -> bytes:
    """The JSON of an answer and, behind it, the bits of its masks, in one Zstandard frame.

    Before compression: the length of the JSON in bytes, u32, little-endian; the JSON; the bits, one mask after the
    other. In the JSON a mask has ``offset``, counted from the end of the JSON, and ``length`` in place of ``data``.
    """
    bits: list[bytes] = []
    document = json_answer(answer, request_id, stages, [_without_bits(result, bits) for result in answer.results])
    plain = b"".join([len(document).to_bytes(4, "little"), document, *bits])
    return zstandard.ZstdCompressor(level=_LEVEL).compress(plain)


def _without_bits(result: Any, bits: list[bytes]) -> Any:
    """A result of segments whose bits are moved to the list, and in their place told where they lie."""
    offset = sum(map(len, bits))
    segments: list[Any] = []
    for segment in result["segments"]:
        mask = segment.get("mask")
        # Where bits are over the caller's budget, masks are of another form, or there are none.
        if mask is None or mask["format"] != MaskFormat.BITS:
            segments.append(segment)
            continue
        data = mask["data"]
        place = {key: value for key, value in mask.items() if key != "data"}
        segments.append({**segment, "mask": {**place, "offset": offset, "length": len(data)}})
        bits.append(data)
        offset += len(data)
    return {**result, "segments": segments}
