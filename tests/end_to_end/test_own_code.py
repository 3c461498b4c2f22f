"""The official weights of two papers, in networks written by hand as a user's own code: built, served, asked."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import onnxruntime
import pytest
import torch
from typer.testing import CliRunner

from build_engines import checkpoint
from build_engines.__main__ import app
from build_engines.artifact import Order
from build_engines.catalog.external import entry_from
from build_engines.pipeline import build
from contract.repository import Repository
from contract.task import Task
from contract.tasks.masks import decode_rle
from tests.assets import ASSETS, needs_assets
from tests.build_engines.conftest import Silent
from tests.end_to_end.gateway import gateway

pytestmark = needs_assets

FOREIGN = Path(__file__).parents[1] / "build_engines" / "foreign_code"
FASTESTDET = ASSETS / "weights" / "fastestdet_ap0.253.pth"
ESPNET = ASSETS / "weights" / "espnet_p2q8_cityscapes.pth"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a service over both networks, each built from its own code and its checkpoint."""
    root = tmp_path_factory.mktemp("own")
    build_fastestdet(root / "models")
    build_espnet(root / "models")
    with (
        gateway(root / "models", root / "log") as running,
        httpx.Client(base_url=running.url, timeout=60) as client,
    ):
        yield client


def build_fastestdet(repository: Path) -> None:
    """By the command line, as a user does."""
    code = ["--entry", "fastestdet:detector", "--code-path", str(FOREIGN / "fastestdet"), "--kwargs", '{"objects": 40}']
    which = ["--task", "detect", "--name", "fastestdet", "--weights", str(FASTESTDET)]
    result = CliRunner().invoke(app, ["build", *code, *which, "--repository", str(repository), "--json", "--no-cache"])
    assert result.exit_code == 0, result.output


def build_espnet(repository: Path) -> None:
    """In Python, for fewer batch sizes: the network is made for 512 x 1024 pixels."""
    entry = entry_from("espnet:espnet", FOREIGN / "espnet", {}, Task.SEGMENT)
    build(Order(entry.model_copy(update={"max_batch_size": 3}), Repository(repository), ESPNET), Silent())


def ask(client: httpx.Client, path: str, image: bytes) -> Any:
    """The first result of a request with one image."""
    response = client.post(path, content=image, headers={"Content-Type": "application/octet-stream"})
    assert response.status_code == 200, response.text
    return response.json()["results"][0]


def picture(name: str) -> bytes:
    """One of the sample pictures' files."""
    return (ASSETS / "images" / name).read_bytes()


def module_of(name: str) -> Any:
    """The code itself, imported under a name of its own."""
    spec = importlib.util.spec_from_file_location(f"own_{name}", FOREIGN / name / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_same_network_as_the_authors_graph() -> None:
    """With the authors' weights, FastestDet written by hand answers a photograph as the authors' ONNX file does."""
    network = module_of("fastestdet").network().eval()
    checkpoint.load(network, checkpoint.read(FASTESTDET), FASTESTDET.name, "by_name")
    image = cv2.imread(str(ASSETS / "images" / "dog_bicycle_car.jpg"))
    pixels = cv2.resize(image, (352, 352)).transpose(2, 0, 1)[None].astype(np.float32) / 255
    session = onnxruntime.InferenceSession(ASSETS / "weights" / "FastestDet.onnx")
    (expected,) = session.run(None, {session.get_inputs()[0].name: pixels})
    with torch.inference_mode():
        answer = network(torch.from_numpy(pixels)).numpy()
    np.testing.assert_allclose(answer, expected, atol=1e-4)


def test_known_objects_are_found(client: httpx.Client) -> None:
    """The three surest objects of the well-known picture are its dog, its bicycle and its car."""
    found = ask(client, "/v1/detect?model=fastestdet", picture("dog_bicycle_car.jpg"))["objects"]
    assert {item["label"] for item in found[:3]} == {"dog", "bicycle", "car"}
    dog = next(item["box"] for item in found if item["label"] == "dog")
    np.testing.assert_allclose([dog[side] for side in ("x1", "y1", "x2", "y2")], (130, 210, 320, 540), atol=40)


def test_a_bench_and_many_cars(client: httpx.Client) -> None:
    """MMDetection's demonstration picture has a bench and several cars."""
    found = [item["label"] for item in ask(client, "/v1/detect?model=fastestdet", picture("bench_cars.jpg"))["objects"]]
    assert found[0] == "bench"
    assert found.count("car") > 3


def share(segments: list[Any], label: str, area: tuple[slice, slice]) -> float:
    """How much of an area of the picture a class covers."""
    found = [segment for segment in segments if segment["label"] == label]
    return float(decode_rle(found[0]["mask"])[area].mean()) if found else 0.0


def test_a_street_is_segmented(client: httpx.Client) -> None:
    """Cars parked along a road are cars, and the trees above them vegetation."""
    segments = ask(client, "/v1/segment?model=espnet", picture("bench_cars.jpg"))["segments"]
    assert share(segments, "car", (slice(118, 142), slice(190, 370))) > 0.7
    assert share(segments, "vegetation", (slice(10, 80), slice(220, 560))) > 0.9


def test_a_motorcycle_among_cars(client: httpx.Client) -> None:
    """On a motorway, in the video's first picture, the motorcycle is where it is, and road and cars are seen."""
    video = cv2.VideoCapture(str(ASSETS / "video" / "mmdet_demo_street.mp4"))
    frame = video.read()[1]
    video.release()
    segments = ask(client, "/v1/segment?model=espnet", cv2.imencode(".png", frame)[1].tobytes())["segments"]
    assert share(segments, "motorcycle", (slice(420, 600), slice(980, 1200))) > 0.8
    assert {"road", "car"} <= {segment["label"] for segment in segments}


@pytest.mark.parametrize(
    ("model", "source", "weights", "parameters"),
    [
        ("fastestdet", "own code: fastestdet:detector", FASTESTDET.name, 244_490),
        ("espnet", "own code: espnet:espnet", ESPNET.name, None),
    ],
)
def test_the_card_tells_what_was_built(
    model: str, source: str, weights: str, parameters: int | None, client: httpx.Client
) -> None:
    """A model's card names its factory and its checkpoint, calls it trained, and counts its parameters."""
    card = client.get(f"/v1/models/{model}/versions/1").json()["card"]
    assert (card["provenance"]["source"], card["provenance"]["weights"]) == (source, weights)
    assert card["provenance"]["trained"] is True
    assert card["figures"]["gmacs"] > 0.1
    assert parameters in {None, card["figures"]["parameters"]}
