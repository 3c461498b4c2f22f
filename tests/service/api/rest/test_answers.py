"""The form of an answer: what ``Accept`` asks for, and masks in binary."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import zstandard

from contract.task import Task
from service.api.rest.answers import JSON, MASKS, answer_type
from tests.service.running import BLACK, RED, WHITE, Running, encode

ROOT = Path(__file__).parents[4]
HALF = np.zeros((30, 40, 3), np.uint8)
HALF[:, 20:] = 255


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("image/png", "image/png"),
        ("IMAGE/PNG ; q=1.0", "image/png"),
        ("image/jpeg, image/png", "image/jpeg"),
        ("application/json, image/png", JSON),
        ("application/json;q=0.5, image/png;q=0.6", "image/png"),
        ("image/png;q=0.1, */*", JSON),
        ("image/png, */*;q=0.1", "image/png"),
        ("image/png;q=0", JSON),
        ("image/png;q=much", JSON),
        ("image/png;q=nan", JSON),
        ("image/webp, image/png;q=0.9", JSON),
        (MASKS, MASKS),
        (f"{MASKS}, application/json;q=0.9", MASKS),
        (",;,=;q=,", JSON),
        ("é" * 1000, JSON),
    ],
)
def test_the_callers_first_preference_counts(accept: str, wanted: str) -> None:
    """The type of the largest weight, of equals the first; what is not known is answered in JSON."""
    assert answer_type(accept, Task.SEGMENT) == wanted


def test_only_segments_have_masks() -> None:
    """Other tasks answer in JSON where masks are asked for."""
    assert answer_type(MASKS, Task.DETECT) == JSON


def taken_apart(response: httpx.Response) -> tuple[dict[str, Any], bytes]:
    """The JSON of a binary answer, and the bits behind it."""
    plain = zstandard.ZstdDecompressor().decompress(response.content)
    end = 4 + int.from_bytes(plain[:4], "little")
    return json.loads(plain[4:end]), plain[end:]


def masks_of(result: dict[str, Any], bits: bytes) -> list[np.ndarray]:
    """The masks bool [H, W] of one result."""
    found = []
    for mask in (segment["mask"] for segment in result["segments"]):
        (height, width), (left, top) = mask["size"], mask.get("origin", (0, 0))
        rows = np.frombuffer(bits, np.uint8, mask["length"], mask["offset"]).reshape(height, -1)
        whole = np.zeros((result["image"]["height"], result["image"]["width"]), np.bool_)
        whole[top : top + height, left : left + width] = np.unpackbits(rows, axis=1, count=width)
        found.append(whole)
    return found


@pytest.mark.parametrize("crop", ["", "?mask_crop=false", "?mask_format=bits"])
async def test_masks_in_binary(service: Running, crop: str) -> None:
    """One frame holds the usual answer and, behind it, the bits of each mask, cut to its box unless asked otherwise."""
    response = await service.ask(f"/v1/segment{crop}", encode(HALF), Accept=MASKS)
    answer, bits = taken_apart(response)
    (result,) = answer["results"]
    (mask,) = masks_of(result, bits)

    assert response.headers["content-type"] == MASKS
    assert set(answer) == {"model", "results", "timings_ms", "request_id"}
    np.testing.assert_array_equal(mask, HALF[:, :, 0] > 0)
    assert ("origin" in result["segments"][0]["mask"]) == (crop != "?mask_crop=false")


async def test_masks_of_many_images_lie_one_after_the_other(service: Running) -> None:
    """Offsets count through all images of a request; one without a segment has none."""
    files = [("image", image) for image in (encode(HALF), BLACK, WHITE)]
    response = await service.client.post("/v1/segment", files=files, headers={"Accept": MASKS})
    answer, bits = taken_apart(response)
    masks = [masks_of(result, bits) for result in answer["results"]]

    assert [len(found) for found in masks] == [1, 0, 1]
    np.testing.assert_array_equal(masks[0][0], HALF[:, :, 0] > 0)
    assert masks[2][0].all()
    assert masks[2][0].shape == (10, 12)


async def test_masks_over_budget_have_no_bits(service: Running) -> None:
    """Where bits are larger than the caller's budget, the JSON has another form, or no masks, and nothing follows."""
    for budget, form in ((90, "rle"), (0, None)):
        response = await service.ask(f"/v1/segment?max_bytes={budget}", encode(HALF), Accept=MASKS)
        answer, bits = taken_apart(response)
        (segment,) = answer["results"][0]["segments"]
        assert segment.get("mask", {}).get("format") == form
        assert bits == b""


@pytest.mark.parametrize("form", ["rle", "none", "gif"])
async def test_masks_in_binary_are_bits(service: Running, form: str) -> None:
    """Another form of mask cannot be asked for at the same time."""
    response = await service.ask(f"/v1/segment?mask_format={form}", WHITE, Accept=MASKS)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_parameters")


async def test_a_picture_checks_the_callers_parameters(service: Running) -> None:
    """A mask format that there is not is refused, also where the picture needs none; ``none`` draws no mask."""
    refused = await service.ask("/v1/segment?mask_format=gif", RED, Accept="image/png")
    assert refused.status_code == 422
    bare = await service.ask("/v1/segment?mask_format=none", encode(HALF), Accept="image/png")
    drawn = await service.ask("/v1/segment?mask_format=polygon&max_bytes=1", encode(HALF), Accept="image/png")
    assert bare.content != drawn.content


async def test_the_example_in_the_documentation_works(
    service: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The Python of docs/masks.md reads a binary answer, and finds the mask where it is."""
    example = re.search(r"```python\n(.*?)```", (ROOT / "docs/masks.md").read_text(), re.DOTALL)
    assert example
    response = await service.ask("/v1/segment", encode(HALF), Accept=MASKS)
    (tmp_path / "masks.zst").write_bytes(response.content)
    monkeypatch.chdir(tmp_path)

    exec(example[1], {})  # noqa: S102 - that is what the example is for
    assert capsys.readouterr().out == "red lies at 20 0 and has 600 pixels\n"
