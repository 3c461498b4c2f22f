"""Every head, joined to a small backbone: its outputs' form, its graph, its weights."""

from pathlib import Path

import numpy as np
import pytest
import torch

from build_engines import export
from build_engines.artifact import Artifact, BuildFailure, WeightsOrigin
from build_engines.heads import pyramid
from build_engines.heads.upernet import means
from build_engines.verify import verify
from contract.task import Task
from tests.build_engines.heads.backbones import CLASSES, KINDS, SIDE, a_backbone

FORMS = {
    "boxes": (np.float32, (2, 10, 4)),
    "scores": (np.float32, (2, 10)),
    "labels": (np.int32, (2, 10)),
    "masks": (np.float32, (2, 10, SIDE // 4, SIDE // 4)),
    "class_map": (np.uint8, (2, SIDE // 4, SIDE // 4)),
}


@pytest.fixture(scope="module", params=KINDS)
def joined(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A head of each kind on its backbone."""
    return pyramid.STEP(a_backbone(tmp_path_factory.mktemp("head"), request.param))


def run(artifact: Artifact, batch: int = 2) -> dict[str, np.ndarray]:
    """The outputs by name for images of noise."""
    pixels = torch.randn(batch, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        return dict(zip(artifact.output_names, (o.numpy() for o in artifact.network(pixels)), strict=True))


def test_outputs_have_the_tasks_form(joined: Artifact) -> None:
    """Types and shapes are the contract's, and all values within their bounds."""
    for name, values in run(joined).items():
        assert (values.dtype, values.shape) == FORMS[name]
        bound = CLASSES - 1 if name in {"labels", "class_map"} else 1
        assert values.min() >= 0
        assert values.max() <= bound + 1e-6


def test_random_heads_tell_places_apart(joined: Artifact) -> None:
    """With random weights the answers differ between images, and no two objects score alike."""
    outputs = run(joined)
    scores = outputs.get("scores")
    if scores is None:
        assert len(np.unique(outputs["class_map"])) > 1
    else:
        assert (np.diff(scores[scores > 0].reshape(-1)) != 0).all()
        assert (scores > 0).sum() > 2
    assert not all(np.array_equal(values[0], values[1]) for values in outputs.values())


def test_the_graph_is_certified(joined: Artifact) -> None:
    """Exported with a batch of 3, the graph answers as torch does at every batch size up to 4."""
    verified = verify(export.by("torch.export")(joined))
    assert verified.batch_sizes == (1, 2, 3, 4)
    assert tuple(verified.golden) == joined.output_names


def test_the_tracer_knows_the_heads(tmp_path: Path) -> None:
    """The other exporter expresses the largest of them too."""
    artifact = pyramid.STEP(a_backbone(tmp_path, "mask_rcnn"))
    assert verify(export.by("tracer")(artifact)).batch_sizes == (1, 2, 3, 4)


def test_masks_can_be_left_out(tmp_path: Path) -> None:
    """For task detect a Mask R-CNN gives boxes, scores and labels only."""
    artifact = pyramid.STEP(a_backbone(tmp_path, "mask_rcnn", Task.DETECT))
    assert set(run(artifact)) == {"boxes", "scores", "labels"}


def test_a_checkpoint_of_the_head_is_loaded(joined: Artifact, tmp_path: Path) -> None:
    """The head's own file is put into it; with a trained backbone the whole is trained."""
    kind = joined.order.entry.head.kind
    tensors = {name: torch.full_like(tensor, 0.01) for name, tensor in joined.network.head.state_dict().items()}
    torch.save({"state_dict": tensors}, tmp_path / "head.pth")
    backbone = a_backbone(tmp_path, kind, checkpoint=str(tmp_path / "head.pth"))
    trained = pyramid.STEP(backbone.having(origin=WeightsOrigin("mine", None, trained=True)))
    assert all(torch.equal(value, tensors[name]) for name, value in trained.network.head.state_dict().items())
    assert trained.origin.trained
    assert not trained.warnings


def test_a_checkpoint_of_the_whole_is_loaded(joined: Artifact, tmp_path: Path) -> None:
    """From a file that holds backbone and head, the head takes its part."""
    path = tmp_path / "whole.pth"
    torch.save({name: tensor + 1 for name, tensor in joined.network.state_dict().items()}, path)
    artifact = pyramid.STEP(a_backbone(tmp_path, joined.order.entry.head.kind, weights=path))
    expected = joined.network.head.state_dict()
    assert all(torch.equal(value, expected[name] + 1) for name, value in artifact.network.head.state_dict().items())


def test_a_random_head_is_not_trained(tmp_path: Path) -> None:
    """On a trained backbone a head without weights makes the whole untrained, and it says so."""
    backbone = a_backbone(tmp_path, "fcos", weights="pretrained")
    artifact = pyramid.STEP(backbone.having(origin=WeightsOrigin("hub", None, trained=True)))
    assert artifact.origin == WeightsOrigin("hub, with a random head", None, trained=False)
    assert "random" in artifact.warnings[-1]


def test_a_foreign_checkpoint_is_reported(tmp_path: Path) -> None:
    """Weights of another head are refused, with what is missing and what is not expected."""
    torch.save({"conv.weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(BuildFailure, match=r"missing .* 1 unexpected \(conv.weight\)"):
        pyramid.attach(a_backbone(tmp_path, "upernet", checkpoint=str(tmp_path / "other.pth")))


def test_labels_and_classes_must_be_as_many(tmp_path: Path) -> None:
    """An entry with fewer labels than its head has classes is refused."""
    with pytest.raises(BuildFailure, match="5 classes and the entry 2 labels"):
        pyramid.attach(a_backbone(tmp_path, "retinanet").having(labels=("cat", "dog")))


def test_many_classes_need_two_bytes(tmp_path: Path) -> None:
    """With more than 255 classes the class map is int16."""
    artifact = pyramid.STEP(a_backbone(tmp_path, "semantic_fpn", classes=300))
    assert run(artifact)["class_map"].dtype == np.int16


@pytest.mark.parametrize(("count", "length"), [(1, 7), (2, 8), (3, 8), (6, 4), (6, 16)])
def test_pooling_matrices_are_adaptive_pooling(count: int, length: int) -> None:
    """The matrix parts a line as torch's adaptive pooling does, with remainders and overlaps."""
    line = torch.arange(float(length)) ** 2
    expected = torch.nn.functional.adaptive_avg_pool1d(line[None, None], count)[0, 0]
    torch.testing.assert_close(means(count, length) @ line, expected)
