"""Foreign ONNX files with real weights: imported by their cards, served, and asked for what is known of them."""

import io
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
import typer
from PIL import Image
from skimage import data
from typer.testing import CliRunner

from build_engines.commands import import_model
from contract.preprocess import Pixels
from contract.tasks.maps import decode_map
from tests.assets import ASSETS, needs_assets
from tests.end_to_end.gateway import gateway

pytestmark = needs_assets

CARDS = Path(__file__).parents[1] / "import_cards"
FILES = {
    "yolox_nano": "yolox_nano_416.onnx",
    "fastestdet": "FastestDet.onnx",
    "yunet": "yunet_n_dynamic.onnx",
    "yunet_points": "yunet_n_dynamic.onnx",
    "portrait_matte": "portrait_prisma_256.onnx",
    "person_reid": "person_reid_retail_0287.onnx",
}
FACES = ((303, 108), (175, 141), (463, 151), (28, 132))
"""Centres of the four faces in faces4.jpg, read off the picture."""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a service over all imported models, each built by the command from its file and its card."""
    root = tmp_path_factory.mktemp("imported")
    app = typer.Typer()
    app.command()(import_model.command)
    for name, file in FILES.items():
        arguments = [str(ASSETS / "weights" / file), "--card", str(CARDS / f"{name}.yaml")]
        result = CliRunner().invoke(app, [*arguments, "--repository", str(root / "models"), "--json", "--no-cache"])
        assert result.exit_code == 0, result.output
    with (
        gateway(root / "models", root / "log") as running,
        httpx.Client(base_url=running.url, timeout=60) as client,
    ):
        yield client


def ask(client: httpx.Client, path: str, image: bytes) -> Any:
    """The first result of a request with one image."""
    response = client.post(path, content=image, headers={"Content-Type": "application/octet-stream"})
    assert response.status_code == 200, response.text
    return response.json()["results"][0]


def picture(name: str) -> bytes:
    """One of the sample pictures' files."""
    return (ASSETS / "images" / name).read_bytes()


def png(pixels: Pixels) -> bytes:
    """The picture as a file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def labels(client: httpx.Client, model: str, name: str) -> list[str]:
    """What a detector sees in a sample picture, best first."""
    return [item["label"] for item in ask(client, f"/v1/detect?model={model}", picture(name))["objects"]]


@pytest.mark.parametrize("model", ["yolox_nano", "fastestdet"])
def test_dog_bicycle_and_car(client: httpx.Client, model: str) -> None:
    """The three surest objects of the well-known picture are its dog, its bicycle and its car."""
    assert set(labels(client, model, "dog_bicycle_car.jpg")[:3]) == {"dog", "bicycle", "car"}


@pytest.mark.parametrize("model", ["yolox_nano", "fastestdet"])
def test_a_bench_and_many_cars(client: httpx.Client, model: str) -> None:
    """MMDetection's demonstration picture has one bench, which comes first, and more than eight cars."""
    found = labels(client, model, "bench_cars.jpg")
    assert found[0] == "bench"
    assert found.count("car") > 8


def test_people_with_frisbees(client: httpx.Client) -> None:
    """YOLOX finds at least three people and four frisbees."""
    found = labels(client, "yolox_nano", "frisbee_people.jpg")
    assert found.count("person") >= 3
    assert found.count("frisbee") >= 4


def test_the_dog_is_boxed(client: httpx.Client) -> None:
    """The dog's box is where the dog is, to within a few pixels of the picture as sent."""
    best = ask(client, "/v1/detect?model=yolox_nano&labels=dog", picture("dog_bicycle_car.jpg"))["objects"][0]
    np.testing.assert_allclose([best["box"][side] for side in ("x1", "y1", "x2", "y2")], (130, 208, 322, 541), atol=12)


def test_four_faces(client: httpx.Client) -> None:
    """There are four faces, each around its centre."""
    boxes = [item["box"] for item in ask(client, "/v1/detect?model=yunet", picture("faces4.jpg"))["objects"]]
    assert len(boxes) == 4
    for x, y in FACES:
        assert sum(box["x1"] < x < box["x2"] and box["y1"] < y < box["y2"] for box in boxes) == 1


def test_every_face_has_its_points_in_order(client: httpx.Client) -> None:
    """In each of the four faces the eyes lie above the nose, and the nose above the mouth."""
    faces = ask(client, "/v1/keypoints?model=yunet_points", picture("faces4.jpg"))["people"]
    assert len(faces) == 4
    for face in faces:
        y = {point["name"]: point["y"] for point in face["keypoints"]}
        assert max(y["right eye"], y["left eye"]) < y["nose"]
        assert y["nose"] < min(y["right mouth corner"], y["left mouth corner"])


def test_a_portrait_is_cut_out(client: httpx.Client) -> None:
    """The matte of scikit-image's astronaut is full on her face and empty in the dark corner beside her."""
    dense = ask(client, "/v1/matte?model=portrait_matte&encoding=npy", png(data.astronaut()))["map"]
    alpha = decode_map({**dense, "data": b64decode(dense["data"])})
    assert alpha.shape == (512, 512)
    assert alpha[80:180, 190:260].mean() > 0.9
    assert alpha[:120, 380:].mean() < 0.1


def person(client: httpx.Client, pixels: Pixels) -> Pixels:
    """The surest person of a picture, cut out."""
    objects = ask(client, "/v1/detect?model=yolox_nano&labels=person", png(pixels))["objects"]
    x1, y1, x2, y2 = (int(objects[0]["box"][side]) for side in ("x1", "y1", "x2", "y2"))
    return np.ascontiguousarray(pixels[y1:y2, x1:x2])


def frames(name: str, wanted: tuple[int, ...]) -> list[Pixels]:
    """Frames of a video uint8 [H,W,3] in RGB, by their numbers."""
    video = cv2.VideoCapture(str(ASSETS / "video" / name))
    found = {number: video.read()[1] for number in range(max(wanted) + 1)}
    video.release()
    return [cv2.cvtColor(found[number], cv2.COLOR_BGR2RGB) for number in wanted]


def test_a_person_is_recognised(client: httpx.Client) -> None:
    """Of one person in three frames of a video, all embeddings are near; another person's is far from each."""
    photographs = [
        *frames("sam2_05_juggle.mp4", (20, 45, 70)),
        np.asarray(Image.open(io.BytesIO(picture("frisbee_people.jpg")))),
    ]
    vectors = np.array(
        [
            ask(client, "/v1/embed?model=person_reid", png(person(client, photograph)))["embedding"]
            for photograph in photographs
        ]
    )
    cosines = vectors @ vectors.T
    assert vectors.shape == (4, 256)
    assert cosines[:3, :3].min() > 0.85
    assert cosines[3, :3].max() < 0.5


@pytest.mark.parametrize("name", FILES)
def test_the_card_tells_what_was_imported(client: httpx.Client, name: str) -> None:
    """A card names its file, calls it trained, and offers batches even where the file was made for one image."""
    card = client.get(f"/v1/models/{name}/versions/1").json()["card"]
    assert card["provenance"]["source"] == f"onnx:{FILES[name]}"
    assert card["provenance"]["trained"] is True
    assert card["batch_sizes"] == [1, 2, 3]
