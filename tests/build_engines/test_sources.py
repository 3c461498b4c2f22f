"""Where networks come from: fine-tuned checkpoints, preprocessing as timm states it, figures, labels, pictures."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from skimage import data

from build_engines import pictures, samples
from build_engines.artifact import Artifact, BuildFailure, WeightsOrigin
from build_engines.sources import imagenet
from build_engines.sources import timm as source
from contract.preprocess import Resize, preprocess
from contract.task import Task
from tests.build_engines.orders import SMALL, a_spec, an_entry, an_order


def loaded(root: Path, **changes: object) -> Artifact:
    """What the step source makes of an order with ``changes``."""
    entry = changes.pop("entry", an_entry())
    return source.load(Artifact(an_order(root, entry, **changes)))


def test_a_fine_tuned_checkpoint_brings_its_classes(tmp_path: Path) -> None:
    """A checkpoint of three classes makes a network of three, with its weights and no names of ImageNet's classes."""
    trained = timm.create_model(SMALL, num_classes=3)
    torch.save({"state_dict": {f"module.{n}": t for n, t in trained.state_dict().items()}}, tmp_path / "tuned.pth")
    artifact = loaded(tmp_path, weights=tmp_path / "tuned.pth")
    assert artifact.network.num_classes == 3
    assert torch.equal(artifact.network.classifier.weight, trained.classifier.weight)
    assert artifact.labels == ()
    assert (artifact.origin.name, artifact.origin.trained) == ("tuned.pth", True)


def test_random_weights_are_the_same_each_time(tmp_path: Path) -> None:
    """Random weights are drawn from a fixed seed and called untrained."""
    first, second = (loaded(tmp_path) for _ in range(2))
    assert torch.equal(first.network.conv_stem.weight, second.network.conv_stem.weight)
    assert first.origin == WeightsOrigin("random", None, trained=False)


def test_the_network_is_in_evaluation_mode(tmp_path: Path) -> None:
    """No layer is left in training mode, where it would mix the images of a batch."""
    assert not any(module.training for module in loaded(tmp_path).network.modules())


def test_embedding_takes_the_classifier_off(tmp_path: Path) -> None:
    """For task embed the network gives pooled features and no classes."""
    artifact = loaded(tmp_path, entry=an_entry(task=Task.EMBED, labels=None))
    assert artifact.output_names == ("embedding",)
    with torch.inference_mode():
        assert artifact.network(torch.zeros(2, 3, 64, 64)).shape == (2, 1024)


def test_preprocess_is_as_timm_states(tmp_path: Path) -> None:
    """Without a resolution, size, crop, filter and normalisation are those of timm's configuration."""
    artifact = loaded(tmp_path, resolution=None)
    stated = timm.data.resolve_data_config(model=artifact.network)
    assert artifact.preprocess.resize is Resize.SHORTEST_EDGE
    assert artifact.preprocess.shortest_edge == int(224 / stated["crop_pct"])
    assert artifact.preprocess.interpolation == stated["interpolation"]
    assert (artifact.normalisation.mean, artifact.normalisation.std) == (stated["mean"], stated["std"])


@pytest.mark.parametrize("stated", [{"crop_mode": "border"}, {"interpolation": "lanczos"}, {"input_size": (3, 8, 9)}])
def test_preprocess_that_cannot_be_stated_is_refused(stated: dict[str, object]) -> None:
    """A transform that the contract has no words for is refused, not approximated."""
    usual = {"input_size": (3, 8, 8), "crop_pct": 1.0, "crop_mode": "center", "interpolation": "bicubic"}
    with pytest.raises(BuildFailure, match="not supported"):
        source._as_timm_does(usual | stated)


def test_labels_are_short_and_distinct() -> None:
    """The two cranes of ImageNet have names of their own, and an unknown number of classes has no labels."""
    labels = imagenet.labels_for(1000)
    assert len(set(labels)) == 1000
    assert labels[134].startswith("crane")
    assert imagenet.labels_for(7) == ()
    assert imagenet.distinct(["a, b", "a, b", "a, b"]) == ("a", "b", "a (2)")


def test_photographs_come_first(tmp_path: Path) -> None:
    """Pictures of the folder are prepared as requests are, other files are passed over, drawn ones fill up."""
    Image.fromarray(data.chelsea()).save(tmp_path / "cat.png")
    (tmp_path / "notes.txt").write_text("no picture")
    artifact = Artifact(an_order(tmp_path, images=tmp_path), preprocess=a_spec())
    found = samples.STEP(artifact).samples
    assert found.shape == (5, 16, 16, 3)
    np.testing.assert_array_equal(found[0], preprocess(data.chelsea(), a_spec())[0])
    np.testing.assert_array_equal(found[1], pictures.draw(0, 16, 16))


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    """A folder of other things, or none, is named."""
    for folder, reason in ((tmp_path, "holds no image"), (tmp_path / "absent", "there is no folder")):
        with pytest.raises(BuildFailure, match=reason):
            samples.sample(Artifact(an_order(tmp_path, images=folder), preprocess=a_spec()))


def test_drawn_pictures_differ() -> None:
    """Each drawn picture is like no other and always the same."""
    drawn = [pictures.draw(index, 24, 32) for index in range(samples.COUNT)]
    assert len({picture.tobytes() for picture in drawn}) == samples.COUNT
    np.testing.assert_array_equal(drawn[3], pictures.draw(3, 24, 32))
