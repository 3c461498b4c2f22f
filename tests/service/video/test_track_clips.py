"""Tracks of real clips, detected by YOLOX-Nano."""

from collections import Counter
from pathlib import Path

import av
import numpy as np
import onnxruntime as ort
import pytest
import typer
from typer.testing import CliRunner

from build_engines.commands import import_model
from contract.preprocess import preprocess
from contract.repository import Repository
from contract.tasks.detect import DETECT, DetectParameters, DetectResult, DetectSettings
from service.video.track import Tracker, TrackParameters
from tests.assets import ASSETS, needs_assets

pytestmark = needs_assets

CARD = Path(__file__).parents[2] / "import_cards" / "yolox_nano.yaml"
ASKED = 0.3
"""The score threshold."""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """One with YOLOX-Nano, built by the command from its file and its card."""
    root, app = tmp_path_factory.mktemp("models"), typer.Typer()
    app.command()(import_model.command)
    weights = ASSETS / "weights" / "yolox_nano_416.onnx"
    arguments = [str(weights), "--card", str(CARD), "--repository", str(root), "--json", "--no-cache"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return Repository(root)


def tracked(repository: Repository, clip: str) -> list[DetectResult]:
    """The tracked results of all frames of a clip."""
    card, parameters = repository.read_card("yolox_nano", 1), TrackParameters()
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        str(repository.version_path("yolox_nano", 1) / "model.onnx"), options, providers=["CPUExecutionProvider"]
    )
    wanted = DetectParameters(score_threshold=parameters.detection_threshold(ASKED), max_objects=300)
    tracker, names, results = Tracker(parameters, ASKED), [output.name for output in session.get_outputs()], []
    with av.open(str(ASSETS / "video" / clip)) as container:
        for frame in container.decode(video=0):
            pixels, geometry = preprocess(frame.to_ndarray(format="rgb24"), card.preprocess)
            tensors = session.run(None, {session.get_inputs()[0].name: np.asarray(pixels)[None]})
            outputs = {name: tensor[0] for name, tensor in zip(names, tensors, strict=True)}
            results.append(
                tracker.update(DETECT.postprocess(outputs, geometry, card, DetectSettings(), wanted), frame.time)
            )
    return results


def lengths(results: list[DetectResult], label: str) -> list[int]:
    """In how many frames each track of a label is seen, the longest first."""
    objects = [item for result in results for item in result["objects"] if item["label"] == label]
    return sorted(Counter(item["track_id"] for item in objects if "track_id" in item).values(), reverse=True)


def test_the_juggler(repository: Repository) -> None:
    """The juggler keeps one id for more than nine tenths of the clip, and is the only person in it."""
    results = tracked(repository, "sam2_05_juggle.mp4")
    assert len(results) == 247
    people = lengths(results, "person")
    assert people[0] > 0.9 * len(results)
    assert len(people) <= 2


def test_the_street(repository: Repository) -> None:
    """In the two seconds of the street, the car that is in sight all the time keeps its id, and the bus for most."""
    results = tracked(repository, "mmdet_demo_street.mp4")
    assert lengths(results, "car")[0] > 0.95 * len(results)
    assert lengths(results, "bus")[0] > 0.7 * len(results)
    assert len(lengths(results, "car")) <= 12
