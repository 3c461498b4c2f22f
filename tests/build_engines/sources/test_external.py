"""Own code as a source: its own timm, its own preparation, its own weights; and the builder stays as it was."""

import os
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import timm
import torch

from build_engines.artifact import Artifact, BuildFailure, Order, StepFailed, WeightsOrigin, known
from build_engines.catalog.entry import Entry, Normalisation, PyramidHead
from build_engines.catalog.external import entry_from
from build_engines.own_code.headed import join
from build_engines.pipeline import build
from build_engines.sources import external
from build_engines.sources.external import usual
from contract.repository import Repository
from contract.task import Task
from tests.build_engines.conftest import Silent

FOREIGN = Path(__file__).parents[1] / "foreign_code"


def order(root: Path, entry: Entry, weights: str | Path = "random", resolution: int | None = 32) -> Order:
    """An order for own code."""
    return Order(entry, Repository(root), weights, resolution)  # type: ignore[arg-type]  # both are Weights


def tiny(task: Task = Task.CLASSIFY) -> Entry:
    """The small network of the example repository, which brings a timm of its own."""
    entry = entry_from("models.tiny:tiny", FOREIGN / "paper", {}, task, name="paper-tiny")
    return entry.model_copy(update={"max_batch_size": 4})


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The example repository, built by the whole pipeline."""
    return build(order(tmp_path_factory.mktemp("own"), tiny()), Silent())


def test_a_cloned_repository_is_certified(built: Artifact) -> None:
    """A folder with relative data, a vendored timm and chatter is built and certified; the card says what it is."""
    card = built.order.repository.read_card("paper-tiny", 1)
    assert card.certificate.passed
    assert card.batch_sizes == (1, 2, 3, 4)
    assert card.provenance.source == "own code: models.tiny:tiny"
    assert not card.provenance.trained
    assert any("its part logits is taken" in note for note in card.provenance.notes)
    assert card.figures.parameters == 8 * 3 * 9 + 8 + 16 + 8 * 5 + 5
    assert "process of its own" in card.certificate.reference


def test_windows_are_certified(tmp_path: Path) -> None:
    """Code that gets its batch back by int(windows.shape[0] / …), as Swin's does, is certified as it stands."""
    entry = entry_from("windows:windows", FOREIGN / "windows", {"classes": "7"}, Task.CLASSIFY)
    made = build(order(tmp_path, entry.model_copy(update={"max_batch_size": 4})), Silent())
    assert made.batch_sizes == (1, 2, 3, 4)
    assert made.exporter == "torch.export"
    assert not list((FOREIGN / "windows").rglob("*.pyc"))


@pytest.mark.parametrize("fault", ["frozen", "skipping"])
def test_another_network_when_exported_is_refused(tmp_path: Path, fault: str) -> None:
    """Own code whose batch freezes, or which leaves a layer out when exported, is found and makes no version."""
    entry = entry_from(f"faults:{fault}", FOREIGN / "faults", {}, Task.CLASSIFY)
    with pytest.raises(StepFailed, match="differs from its source"):
        build(order(tmp_path, entry.model_copy(update={"max_batch_size": 4})), Silent())
    assert not Repository(tmp_path).models()


@pytest.mark.parametrize(("kind", "task"), [("upernet", Task.SEGMENT), ("fcos", Task.DETECT)])
def test_own_backbones_take_heads(tmp_path: Path, kind: str, task: Task) -> None:
    """A user's own backbone, which gives maps, is joined with a head, and the whole is certified."""
    head = PyramidHead.model_validate({"kind": kind, "classes": 3, "width": 64, "objects": 10})
    entry = entry_from("pyramid:backbone", FOREIGN / "backbone", {}, task, name="own", head=head)
    build(order(tmp_path, entry.model_copy(update={"max_batch_size": 3}), resolution=64), Silent())
    card = Repository(tmp_path).read_card("own", 1)
    assert card.certificate.passed
    assert not card.provenance.trained
    assert [output.name for output in card.outputs] in (["class_map"], ["boxes", "scores", "labels"])


def test_own_backbone_and_head_share_a_checkpoint(tmp_path: Path) -> None:
    """A checkpoint with the backbone's tensors under backbone. and the head's under head. makes a trained whole."""
    head = PyramidHead(kind="semantic_fpn", classes=3, width=32)
    entry = entry_from("pyramid:backbone", FOREIGN / "backbone", {}, Task.SEGMENT, head=head)
    own = runpy.run_path(str(FOREIGN / "backbone" / "pyramid.py"))["backbone"]()
    whole, _ = join(own, entry, "random", usual(Task.SEGMENT), WeightsOrigin("random", None, trained=False))
    tensors = {f"backbone.{name}": tensor for name, tensor in own.state_dict().items()}
    tensors |= {name: tensor for name, tensor in whole.state_dict().items() if name.startswith("head.")}
    torch.save(tensors, tmp_path / "both.pth")
    loaded = external.STEP(Artifact(order(tmp_path, entry, tmp_path / "both.pth", 64)))
    known(loaded.network).close()
    assert known(loaded.origin).trained
    assert not loaded.warnings


def test_the_builders_timm_stays(built: Artifact) -> None:
    """After a build with a vendored timm, the builder's path, folder and timm are the installed ones."""
    assert timm.is_model("resnet18")
    assert not any("foreign_code" in path for path in sys.path)
    assert "foreign_code" not in str(Path.cwd())
    assert "models.tiny" not in sys.modules


def test_the_process_has_ended(built: Artifact) -> None:
    """When a build is over, so is the process of its code."""
    network = known(built.network)
    assert isinstance(network, external.OwnCodeNetwork)
    with pytest.raises(BuildFailure, match=r"closed its connection|ended"):
        network.run(np.zeros((1, 3, 32, 32), np.float32))


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Artifact]:
    """The example repository with a checkpoint of its network, in a process that still runs."""
    root = tmp_path_factory.mktemp("loaded")
    names = {"stem": (8, 3, 3, 3), "head": (5, 8)}
    tensors = {f"module.{name}.weight": torch.full(shape, 0.5) for name, shape in names.items()}
    tensors |= {f"module.{name}.bias": torch.zeros(shape[0]) for name, shape in names.items()}
    norm = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}
    tensors |= {f"module.norm.{name}": torch.full((8,), value) for name, value in norm.items()}
    torch.save({"model": tensors, "epoch": 3}, root / "trained.pth")
    artifact = external.load(Artifact(order(root, tiny(), root / "trained.pth", None)))
    yield artifact
    network = known(artifact.network)
    assert isinstance(network, external.OwnCodeNetwork)
    network.close()


def test_a_checkpoint_is_loaded_over_there(loaded: Artifact) -> None:
    """The weights given are the network's: what it answers follows from them, and the card will call it trained."""
    network = known(loaded.network)
    assert isinstance(network, external.OwnCodeNetwork)
    (logits,) = network.run(np.ones((1, 3, 8, 8), np.float32))
    # 27 ones, fewer at two edges, each halved; doubled by the vendored layer; eight of them, halved.
    inner = 0.5 * 27 * 9 + 0.5 * 18 * 6 + 0.5 * 12
    expected = inner / 16 / np.sqrt(1 + 1e-5) * 2 * 8 * 0.5
    np.testing.assert_allclose(logits, np.full((1, 5), expected), rtol=1e-5)
    assert known(loaded.origin).trained
    assert known(loaded.origin).name == "trained.pth"


def test_the_usual_preparation(loaded: Artifact) -> None:
    """Where nobody says how, a classifier's pixels are cropped to 224 and normalised as for ImageNet."""
    spec = known(loaded.preprocess)
    assert (spec.height, spec.width, spec.shortest_edge) == (224, 224, 256)
    assert known(loaded.normalisation) == Normalisation(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def test_the_code_states_its_preparation(tmp_path: Path) -> None:
    """A module's VITRAIL gives size, channels and labels; the order's resolution goes first."""
    entry = entry_from("fastestdet:detector", FOREIGN / "fastestdet", {"objects": 7}, Task.DETECT)
    artifact = external.load(Artifact(order(tmp_path, entry, "random", 64)))
    network = known(artifact.network)
    assert isinstance(network, external.OwnCodeNetwork)
    boxes, scores, labels = network.run(np.random.default_rng(0).random((2, 3, 64, 64), np.float32))
    network.close()
    assert (boxes.shape, scores.shape, labels.shape) == ((2, 7, 4), (2, 7), (2, 7))
    assert known(artifact.preprocess).input_shape == (64, 64, 3)
    assert known(artifact.normalisation).channels == "bgr"
    assert known(artifact.labels)[:2] == ("person", "bicycle")


def test_an_entry_has_a_name() -> None:
    """An entry is named for its factory, and knows the code's folder wherever the builder is called from."""
    entry = entry_from("models.big:Net.from_Scratch", Path("somewhere"), {"depth": 3}, Task.SEGMENT)
    assert entry.name == "from_scratch"
    assert entry.source.kind == "external"
    assert entry.source.code_path == str(Path("somewhere").resolve())
    assert os.sep in entry.source.code_path
