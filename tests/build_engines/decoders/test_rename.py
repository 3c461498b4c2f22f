"""Raw outputs that are the task's tensors, or nearly."""

import numpy as np
import pytest
import torch

from build_engines.artifact import BuildFailure
from build_engines.catalog.decoding import Rename, Step
from build_engines.decoders.table import decoder
from contract.task import Task
from tests.build_engines.decoders.raw_outputs import SIZE, raw, tensors

RANDOM = np.random.default_rng(5)


def values(*shape: int) -> np.ndarray:
    """Numbers of a network's output, f32, around 0."""
    return RANDOM.normal(size=shape).astype(np.float32)


def made(task: Task, decoding: Rename, **outputs: np.ndarray) -> dict[str, torch.Tensor]:
    """The task's tensors, by name."""
    network = decoder(decoding, raw(**outputs), task, SIZE)
    return dict(zip(network.output_names, network(*tensors(**outputs)), strict=True))


@pytest.mark.parametrize("shape", [(2, 1, 8, 12), (2, 8, 12, 1), (2, 8, 12)])
def test_a_map_loses_its_channel_axis(shape: tuple[int, ...]) -> None:
    """The only output of a matte is its alpha, wherever its single channel stands."""
    output = values(*shape)
    np.testing.assert_array_equal(made(Task.MATTE, Rename(), out=output)["alpha"], output.reshape(2, 8, 12))


def test_a_vector_loses_its_empty_axes() -> None:
    """An embedding that was pooled to one position is a vector."""
    output = values(2, 16, 1, 1)
    np.testing.assert_array_equal(made(Task.EMBED, Rename(), out=output)["embedding"], output[:, :, 0, 0])


def test_logits_become_a_class_map() -> None:
    """Logits of another size are interpolated and answered by the number of the greatest, as uint8."""
    logits = values(2, 5, 4, 6)
    step = Step(resize=(8, 12), argmax=True)
    found = made(Task.SEGMENT, Rename(tensors={"class_map": step}), out=logits)["class_map"]
    larger = torch.nn.functional.interpolate(torch.from_numpy(logits), size=(8, 12), mode="bilinear")
    assert found.dtype == torch.uint8
    np.testing.assert_array_equal(found, larger.argmax(dim=1))


def test_many_classes_take_more_bits() -> None:
    """A class map of more than 256 classes is int16."""
    step = Step(argmax=True, axis=-1)
    found = made(Task.SEGMENT, Rename(tensors={"class_map": step}), out=values(1, 4, 6, 300))["class_map"]
    assert (found.dtype, found.shape) == (torch.int16, (1, 4, 6))


def test_depth_in_another_unit() -> None:
    """Values are multiplied, then shifted."""
    output = values(1, 1, 4, 6)
    step = Step(scale=0.001, offset=2)
    found = made(Task.DEPTH, Rename(tensors={"depth": step}), out=output)["depth"]
    np.testing.assert_allclose(found, output[:, 0] * 0.001 + 2, rtol=1e-6)


def test_several_outputs_are_taken_by_name() -> None:
    """Boxes, scores and labels come from the outputs that the card names, in the contract's order and types."""
    steps = {"labels": Step(output="classes"), "scores": Step(output="conf"), "boxes": Step(output="xyxy")}
    outputs = {"classes": np.ones((2, 7), np.int64), "xyxy": values(2, 7, 4), "conf": values(2, 7)}
    found = made(Task.DETECT, Rename(tensors=steps), **outputs)
    assert list(found) == ["boxes", "scores", "labels"]
    assert found["labels"].dtype == torch.int32
    np.testing.assert_array_equal(found["scores"], outputs["conf"])


def test_a_restored_image_becomes_pixels() -> None:
    """Colours in 0…1, channels first, become uint8 with the channels last."""
    output = RANDOM.uniform(-0.1, 1.1, (1, 3, 4, 6)).astype(np.float32)
    step = Step(transpose=(0, 2, 3, 1), scale=255)
    found = made(Task.RESTORE, Rename(tensors={"images": step}), out=output)["images"]
    assert (found.dtype, found.shape) == (torch.uint8, (1, 4, 6, 3))
    np.testing.assert_array_equal(found, np.rint(output.transpose(0, 2, 3, 1) * 255).clip(0, 255))


@pytest.mark.parametrize(
    ("task", "decoding", "shapes", "told"),
    [
        (Task.DETECT, Rename(), {"out": (1, 9, 4)}, "out [B, 9, 4] become boxes, labels, scores"),
        (Task.MATTE, Rename(), {"out": (1, 5, 4, 6)}, "alpha [B, 5, 4, 6] should have 3 axes"),
        (Task.MATTE, Rename(tensors={"beta": Step()}), {"out": (1, 4, 6)}, "task matte has alpha"),
        (Task.MATTE, Rename(tensors={"alpha": Step(output="x")}), {"out": (1, 4, 6)}, "an output x"),
        (Task.MATTE, Rename(tensors={"alpha": Step(squeeze=(7,))}), {"out": (1, 4, 6)}, "stumbles over out [B, 4, 6]"),
    ],
)
def test_what_cannot_be_renamed_is_named(
    task: Task, decoding: Rename, shapes: dict[str, tuple[int, ...]], told: str
) -> None:
    """Outputs that are not the task's tensors are told with their shapes, and what the task has."""
    outputs = {name: values(*shape) for name, shape in shapes.items()}
    with pytest.raises(BuildFailure) as failure:
        decoder(decoding, raw(**outputs), task, SIZE)
    assert told in failure.value.reason
