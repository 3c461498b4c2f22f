"""Models of transformers become networks of the contract's tasks."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageClassification

from build_engines import export, verify
from build_engines.artifact import Artifact, StepFailed
from build_engines.catalog.entry import PyramidHead, TransformersSource
from build_engines.catalog.loader import entries
from build_engines.pictures import draw
from build_engines.sources import label_sets, transformers, transformers_configuration
from build_engines.sources.position_embeddings import fitted
from contract.task import Task
from tests.build_engines.orders import an_entry, an_order

VIT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "image_size": 32}
PVT = {
    "hidden_sizes": [8, 8, 16, 16],
    "num_attention_heads": [1, 1, 2, 2],
    "depths": [1, 1, 1, 1],
    "image_size": 64,
    "num_labels": 5,
}
SWIN = {"embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2], "window_size": 4}


def _loaded(root: Path, kind: str, options: dict[str, Any], resolution: int = 32, **changes: Any) -> Artifact:
    weights = changes.pop("weights", "random")
    model_class = changes.pop("model_class", None)
    source = TransformersSource(type=kind, options=options, model_class=model_class)
    entry = an_entry(**{"labels": None, "source": source, **changes})
    return transformers.STEP(Artifact(an_order(root, entry, resolution=resolution, weights=weights)))


def _answers(artifact: Artifact) -> tuple[torch.Tensor, ...]:
    spec = artifact.preprocess
    assert spec is not None
    pixels = torch.randn(2, 3, spec.height, spec.width, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        outputs = artifact.network(pixels)  # type: ignore[operator, misc]
    return outputs if isinstance(outputs, tuple) else (outputs,)


def test_a_classifier_at_another_resolution(tmp_path: Path) -> None:
    """An architecture is made for the resolution asked for, with the class of its task."""
    artifact = _loaded(tmp_path, "vit", VIT | {"num_labels": 7}, resolution=48)
    assert artifact.output_names == ("probabilities",)
    assert _answers(artifact)[0].shape == (2, 7)


def test_an_embedding_is_the_classifiers_input(tmp_path: Path) -> None:
    """To embed, the classifier goes and what it saw remains."""
    assert _answers(_loaded(tmp_path, "vit", VIT, task=Task.EMBED))[0].shape == (2, 16)


def test_a_masked_auto_encoder_masks_nothing(tmp_path: Path) -> None:
    """A masked auto-encoder answers the same image the same way twice."""
    artifact = _loaded(tmp_path, "vit_mae", VIT, task=Task.EMBED, model_class="ViTMAEModel")
    assert torch.equal(_answers(artifact)[0], _answers(artifact)[0])


def test_position_embeddings_of_a_folder_are_interpolated(tmp_path: Path) -> None:
    """PVT's checkpoint of one size runs at another, and at its own computes what the library's model does."""
    source = TransformersSource(type="pvt", options=PVT)
    torch.manual_seed(0)
    model = AutoModelForImageClassification.from_config(transformers_configuration.configuration_of(source)).eval()
    model.save_pretrained(tmp_path / "weights")
    same = _loaded(tmp_path, "pvt", PVT, resolution=64, weights=tmp_path / "weights")
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(_answers(same)[0], model(pixels).logits)
    assert _answers(_loaded(tmp_path, "pvt", PVT, resolution=96, weights=tmp_path / "weights"))[0].shape == (2, 5)
    assert same.origin is not None
    assert same.origin.trained


def test_a_checkpoint_file_of_another_number_of_classes(tmp_path: Path) -> None:
    """A fine-tuned file brings its own number of classes."""
    from safetensors.torch import save_file  # noqa: PLC0415

    source = TransformersSource(type="vit", options=VIT | {"num_labels": 4})
    model = AutoModelForImageClassification.from_config(transformers_configuration.configuration_of(source))
    save_file(model.state_dict(), tmp_path / "tuned.safetensors")
    assert _answers(_loaded(tmp_path, "vit", VIT, weights=tmp_path / "tuned.safetensors"))[0].shape == (2, 4)


def test_a_checkpoint_that_lacks_tensors(tmp_path: Path) -> None:
    """What a checkpoint lacks is named, and not filled with noise."""
    from safetensors.torch import save_file  # noqa: PLC0415

    save_file({"classifier.bias": torch.zeros(2)}, tmp_path / "half.safetensors")
    with pytest.raises(StepFailed, match=r"half.safetensors does not fit .* missing"):
        _loaded(tmp_path, "vit", VIT, weights=tmp_path / "half.safetensors")


@pytest.mark.parametrize(
    ("kind", "options", "changes", "reason"),
    [
        ("no_such", {}, {}, "no model type"),
        ("vit", VIT, {"model_class": "ViTForNothing"}, "no class ViTForNothing"),
        ("vit", VIT, {"task": Task.DETECT}, "no class of vit for the task detect"),
        ("segformer", {"answer": "panoptic"}, {"task": Task.SEGMENT}, "classes of pixels only"),
    ],
)
def test_what_cannot_be_made(
    tmp_path: Path, kind: str, options: dict[str, Any], changes: dict[str, Any], reason: str
) -> None:
    """An order that transformers cannot fill is refused in a sentence."""
    with pytest.raises(StepFailed, match=reason):
        _loaded(tmp_path, kind, options, resolution=64, **changes)


def test_a_mistyped_type_is_guessed(tmp_path: Path) -> None:
    """A model type with two letters swapped brings the right one as the remedy."""
    with pytest.raises(StepFailed) as failure:
        _loaded(tmp_path, "segfomrer", {}, resolution=64)
    assert "segformer" in failure.value.remedy


def test_nested_options_change_single_fields() -> None:
    """A mapping changes fields of a backbone's configuration and leaves the others; another type replaces it."""
    options: dict[str, Any] = {"backbone_config": {"hidden_size": 384, "out_features": ["stage12"]}}
    changed = transformers_configuration.configuration_of(TransformersSource(type="vitpose", options=options))
    assert (changed.backbone_config.hidden_size, changed.backbone_config.num_hidden_layers) == (384, 12)
    options = {"backbone_config": {"model_type": "convnext", "depths": [1, 1, 1, 1]}}
    replaced = transformers_configuration.configuration_of(TransformersSource(type="upernet", options=options))
    assert replaced.backbone_config.model_type == "convnext"


@pytest.mark.parametrize(("kind", "options"), [("swin", SWIN), ("pvt", PVT)])
def test_a_pyramid_for_a_head(tmp_path: Path, kind: str, options: dict[str, Any]) -> None:
    """With a head to follow, the network gives one map a stage, the finest first, and says their strides."""
    head = PyramidHead(kind="semantic_fpn", classes=3)
    artifact = _loaded(tmp_path, kind, options, resolution=64, task=Task.SEGMENT, head=head)
    maps = _answers(artifact)
    assert [level.stride for level in artifact.pyramid] == [4, 8, 16, 32]
    assert [(m.shape[1], 64 // m.shape[2]) for m in maps] == [
        (level.channels, level.stride) for level in artifact.pyramid
    ]


def test_a_small_model_is_certified(tmp_path: Path) -> None:
    """A source from transformers exports with a free batch, and the certificate says so."""
    artifact = _loaded(tmp_path, "vit", VIT | {"num_labels": 7}, max_batch_size=4)
    sampled = artifact.having(samples=np.stack([draw(index, 32, 32) for index in range(6)]))
    assert verify.STEP(export.by("torch.export")(sampled)).batch_sizes == (1, 2, 3, 4)


def test_relative_positions_keep_the_class_tokens_entries() -> None:
    """BEiT's table of offsets is resized, its last three entries are not."""
    table = {"relative_position_bias_table": torch.arange(12.0)[:, None].expand(12, 2)}
    wanted = {"relative_position_bias_table": torch.zeros(28, 2)}
    resized = fitted(table, wanted, (32, 32), (48, 48))["relative_position_bias_table"]
    assert resized.shape == (28, 2)
    assert torch.equal(resized[-3:], table["relative_position_bias_table"][-3:])


@pytest.mark.parametrize(
    "entry", [entry for entry in entries() if entry.source.kind == "transformers"], ids=lambda entry: entry.name
)
def test_the_catalogue_configures_what_it_names(entry: Any) -> None:
    """Each entry's options make a configuration, its task has a class, and its labels are as many as its classes."""
    configuration = transformers_configuration.configuration_of(entry.source)
    assert transformers_configuration.class_of(entry.source, configuration, entry.task) is not None
    if isinstance(entry.labels, str):
        assert len(label_sets.labels_for(entry.labels, configuration.num_labels)) == configuration.num_labels
