"""What masks cost on their way from a model's output to JSON: every form, and the way that comes to mind first.

    python -m benchmarks.masks

50 instances on an image of 1024 x 1024 pixels; writes benchmarks/MASKS.md.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import orjson
import zstandard
from pycocotools import mask as coco

from benchmarks.report import machine
from contract.preprocess import Floats, Geometry
from contract.task import Task
from contract.tasks.segment import SEGMENT, SegmentParameters, SegmentSettings
from service.api.json_answers import as_json
from service.api.rest.answers import masks_answer
from service.inference import Answer
from service.telemetry import Stages
from tests.cards import a_card, a_spec

SIDE, COUNT = 1024, 50
MAPS = (160, 256)
"""Sides of the models' masks: a quarter of 640 pixels, as YOLO has them, and of 1024."""
FORMS: dict[str, dict[str, Any]] = {
    "`rle`": {},
    "`rle`, `mask_crop`": {"mask_crop": True},
    "`polygon`": {"mask_format": "polygon"},
    "`polygon`, `mask_tolerance=0`": {"mask_format": "polygon", "mask_tolerance": 0},
    "`png`": {"mask_format": "png"},
    "`png`, `mask_crop`": {"mask_format": "png", "mask_crop": True},
    "`palette`": {"mask_format": "palette"},
    "`bits`": {"mask_format": "bits"},
    "`bits`, `mask_crop`": {"mask_format": "bits", "mask_crop": True},
    "`none`": {"mask_format": "none"},
    "`rle`, `max_bytes=12000`": {"max_bytes": 12_000},
}
RUNS = 31


@dataclass(frozen=True)
class Row:
    """One way's figures."""

    name: str
    postprocess_ms: float
    encode_ms: float
    body: bytes


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("MASKS.md"))
    cv2.setNumThreads(1)
    parts = [_part(side) for side in MAPS]
    parser.parse_args().output.write_text(_report(parts))


def outputs_of(side: int) -> dict[str, Any]:
    """A model's output for 50 objects with rough edges, masks f32 [50, side, side]."""
    rng = np.random.default_rng(0)
    masks = np.stack([_blob(rng, side) for _ in range(COUNT)])
    return {
        "masks": masks,
        "scores": np.linspace(0.99, 0.5, COUNT, dtype=np.float32),
        "labels": np.zeros(COUNT, np.int32),
        "boxes": np.zeros((COUNT, 4), np.float32),
    }


def _blob(rng: np.random.Generator, side: int) -> Floats:
    """An ellipse anywhere, of a twentieth to a quarter of the side, whose edge is uneven."""
    centre, axes, angle = rng.uniform(0, side, 2), rng.uniform(0.03, 0.14, 2) * side, rng.uniform(0, 180)
    mask = np.zeros((side, side), np.float32)
    cv2.ellipse(mask, (tuple(centre.tolist()), tuple((2 * axes).tolist()), angle), (1.0,), -1)
    noise = cv2.GaussianBlur(rng.standard_normal((side, side)).astype(np.float32), (0, 0), side / 60)
    uneven = cv2.GaussianBlur(mask, (0, 0), side / 100) + 0.35 * side / 60 * noise * (mask > 0)
    return np.asarray(uneven.clip(0, 1), np.float32)


def naively(outputs: dict[str, Any], geometry: Geometry) -> list[Any]:
    """Each mask warped onto the whole image, cut at the threshold, and given to pycocotools."""
    scale = 1 / geometry.image_width * outputs["masks"].shape[1]
    matrix = np.array([[scale, 0, scale / 2 - 0.5], [0, scale, scale / 2 - 0.5]])
    segments = []
    for mask in outputs["masks"]:
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        warped = cv2.warpAffine(mask, matrix, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        inside = warped >= 0.5
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        rle: Any = coco.encode(np.asfortranarray(inside.view(np.uint8)))
        segments.append(
            {
                "box": [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1],
                "area": int(inside.sum()),
                "mask": {"format": "rle", "size": rle["size"], "counts": rle["counts"].decode()},
            }
        )
    return segments


def _part(side: int) -> list[Row]:
    outputs, geometry = outputs_of(side), Geometry.of(SIDE, SIDE, a_spec(height=640, width=640))
    card, settings = a_card(task=Task.SEGMENT), SegmentSettings()
    rows = [_row("naive: whole image, `rle`", lambda: naively(outputs, geometry), orjson.dumps)]
    for name, asked in FORMS.items():
        parameters = SegmentParameters.model_validate(asked)

        def postprocess(parameters: SegmentParameters = parameters) -> Any:
            return SEGMENT.postprocess(outputs, geometry, card, settings, parameters)

        rows.append(_row(name, postprocess, as_json))
    bits = SegmentParameters.model_validate(FORMS["`bits`, `mask_crop`"])
    rows.append(
        _row("binary, by `Accept`", lambda: SEGMENT.postprocess(outputs, geometry, card, settings, bits), _binary)
    )
    return rows


def _binary(result: Any) -> bytes:
    answer: Any = Answer("model", 1, None, [result], None)  # type: ignore[arg-type] # nothing here asks for the version
    return masks_answer(answer, "", Stages())


def _row(name: str, postprocess: Callable[[], Any], encode: Callable[[Any], bytes]) -> Row:
    result = postprocess()
    return Row(name, _milliseconds(postprocess), _milliseconds(lambda: encode(result)), encode(result))


def _milliseconds(work: Callable[[], object]) -> float:
    """The median of some runs, after one that is not counted; of the thread's own time, for nothing waits."""
    work()
    taken = []
    for _ in range(RUNS):
        begun = time.thread_time()
        work()
        taken.append(time.thread_time() - begun)
    return statistics.median(taken) * 1e3


def _report(parts: list[list[Row]]) -> str:
    tables = "\n\n".join(
        f"Masks of {side} x {side} values:\n\n{_table(rows)}" for side, rows in zip(MAPS, parts, strict=True)
    )
    return f"""# Masks

Written by `make bench-masks`; do not edit. {COUNT} instance masks, from the model's output to JSON, on an image of
{SIDE} x {SIDE} pixels of which they cover about nine tenths together. Medians of {RUNS} runs in one thread.
{machine()}, {datetime.now(UTC):%B %Y}.

{tables}

*postprocess*: from the masks f32 [{COUNT},h,w] to the typed result, in the form asked for; *encode*: from there to the
bytes that travel, which *zstd* (level 1) makes smaller where a proxy or the caller compresses. The naive way warps
every mask onto the whole image before it is cut at the threshold and encoded.
"""


def _table(rows: list[Row]) -> str:
    head = "| | postprocess ms | encode ms | together ms | bytes | with zstd |\n|---|---|---|---|---|---|\n"
    return head + "\n".join(
        f"| {row.name} | {row.postprocess_ms:.1f} | {row.encode_ms:.2f} | {row.postprocess_ms + row.encode_ms:.1f} "
        f"| {len(row.body):,} | {len(zstandard.compress(row.body, 1)):,} |"
        for row in rows
    )


if __name__ == "__main__":
    main()
