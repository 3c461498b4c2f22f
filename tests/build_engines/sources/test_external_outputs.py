"""What own networks answer becomes the task's tensors, or the answer is refused with its form."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from build_engines.artifact import BuildFailure
from build_engines.own_code.outputs import fit
from contract.task import Task

PIXELS = torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(0))


def faults() -> Any:
    """The module with networks of every form of answer."""
    path = Path(__file__).parents[1] / "foreign_code" / "faults" / "faults.py"
    spec = importlib.util.spec_from_file_location("own_faults", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def networks() -> Any:
    """Makes a network that answers in a form."""
    torch.manual_seed(0)
    return faults().answering


@pytest.mark.parametrize("form", ["tensor", "pooled", "pair", "list", "pred"])
def test_logits_are_found(form: str, networks: Any) -> None:
    """A classifier's logits are its tensor, the first of a tuple or list, or under a usual key; a choice is noted."""
    network = networks(form)
    fitted = fit(network, Task.CLASSIFY, PIXELS)
    assert fitted.names == ("probabilities",)
    assert fitted.classes == 4
    assert torch.equal(fitted.module(PIXELS), network.head(PIXELS.mean(dim=(2, 3))))
    assert bool(fitted.notes) == (form in {"pair", "list", "pred"})


def test_a_dataclass_is_read(networks: Any) -> None:
    """Fields of a dataclass are found by name, as a mapping's items are."""
    fitted = fit(networks("dataclass"), Task.CLASSIFY, PIXELS)
    assert fitted.module(PIXELS).shape == (2, 4)
    assert "its part logits is taken" in fitted.notes[0]


def test_a_softmax_is_not_done_twice(networks: Any) -> None:
    """A network that ends in a softmax gives probabilities that the graph's own softmax leaves as they are."""
    network = networks("softmax")
    fitted = fit(network, Task.CLASSIFY, PIXELS)
    torch.testing.assert_close(fitted.module(PIXELS).softmax(dim=-1), network(PIXELS))
    assert "ends in a softmax" in fitted.notes[0]


@pytest.mark.parametrize("form", ["maps", "out"])
def test_logits_of_pixels_become_classes(form: str, networks: Any) -> None:
    """Semantic logits of half the size are enlarged to the input's, and their largest class is answered in bytes."""
    network = networks(form)
    fitted = fit(network, Task.SEGMENT, PIXELS)
    classes = fitted.module(PIXELS)
    assert fitted.names == ("class_map",)
    assert classes.dtype is torch.uint8
    assert classes.shape == (2, 16, 24)
    answer = network(PIXELS)
    small = answer["out"] if form == "out" else answer
    large = nn.functional.interpolate(small, (16, 24), mode="bilinear")
    assert torch.equal(classes.long(), large.argmax(dim=1))


@pytest.mark.parametrize("form", ["objects", "objects in order"])
def test_objects_by_name_or_by_place(form: str, networks: Any) -> None:
    """A detector's tensors come by name or in order, labels as 32-bit integers."""
    fitted = fit(networks(form), Task.DETECT, PIXELS)
    boxes, scores, labels = fitted.module(PIXELS)
    assert fitted.names == ("boxes", "scores", "labels")
    assert (boxes.shape, scores.shape, labels.shape) == ((2, 1, 4), (2, 1), (2, 1))
    assert labels.dtype is torch.int32


@pytest.mark.parametrize(
    ("form", "task", "name", "shape"),
    [
        ("depth", Task.DEPTH, "depth", (2, 8, 12)),
        ("alpha", Task.MATTE, "alpha", (2, 8, 12)),
        ("alpha", Task.REGIONS, "probability", (2, 8, 12)),
        ("image", Task.RESTORE, "restored", (2, 16, 24, 3)),
        ("tensor", Task.EMBED, "embedding", (2, 4)),
    ],
)
def test_maps_images_and_vectors(form: str, task: Task, name: str, shape: tuple[int, ...], networks: Any) -> None:
    """Tasks with one tensor get it in the contract's shape."""
    fitted = fit(networks(form), task, PIXELS)
    assert fitted.names == (name,)
    assert fitted.module(PIXELS).shape == shape


@pytest.mark.parametrize(
    ("form", "task", "reason"),
    [
        ("unclear", Task.CLASSIFY, "a dict of a, b, and which part"),
        ("maps", Task.CLASSIFY, r"\[2, 4, 8, 12\]; a classifier gives"),
        ("no batch", Task.CLASSIFY, "to a batch of 2 images"),
        ("tensor", Task.DETECT, r"a tensor \[2, 4\]; detect needs boxes, scores, labels"),
        ("pred", Task.DETECT, "a dict of pred; detect needs"),
        ("one mapping an image", Task.DETECT, r"a list of 2 \(a dict of boxes"),
        ("objects in pixels", Task.DETECT, r"boxes reach \d+"),
        ("depth", Task.SEGMENT, "semantic segments are logits"),
        ("maps", Task.DEPTH, r"depth is \[B,h,w\]"),
        ("image", Task.MATTE, r"matte is \[B,h,w\]"),
        ("tensor", Task.RESTORE, "restored images are"),
    ],
)
def test_other_answers_are_refused(form: str, task: Task, reason: str, networks: Any) -> None:
    """An answer that cannot be the task's is refused with its form and what is wanted."""
    with pytest.raises(BuildFailure, match=reason):
        fit(networks(form), task, PIXELS)
