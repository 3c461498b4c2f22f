"""Checkpoints: every usual form is read, nothing in them is executed, and what does not fit is reported."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from build_engines import checkpoint
from build_engines.artifact import BuildFailure
from tests.build_engines.orders import Classifier


class Trap:
    """An object that a careless reader would run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return Path.touch, (self.path,)


def tensors() -> dict[str, Tensor]:
    """A small network's own weights."""
    return Classifier().state_dict()


def prefixed(prefix: str) -> dict[str, Tensor]:
    """The same under longer names."""
    return {prefix + name: tensor for name, tensor in tensors().items()}


FORMS = {
    "plain": tensors(),
    "under state_dict": {"state_dict": tensors(), "epoch": 3},
    "under model": {"model": tensors(), "optimizer": {"lr": 0.1}},
    "nested twice": {"model": {"state_dict": tensors()}},
    "data-parallel": {"state_dict": prefixed("module.")},
    "compiled": prefixed("_orig_mod."),
    "compiled and data-parallel": {"model": prefixed("module._orig_mod.")},
    "an average within its bookkeeping": {"ema": {"module": tensors(), "updates": 7}, "model": {}},
    "an average that was never made": {"ema": {}, "state_dict": tensors()},
    "a teacher": {"teacher": prefixed("module."), "student": {}},
    "restoration": {"params_ema": tensors()},
    "beside settings and NumPy's numbers": {
        "model": tensors(),
        "args": argparse.Namespace(lr=0.1, output_dir=Path("out")),
        "best": np.float64(80.1),
        "step": np.int64(3),
    },
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("suffix", [".pth", ".pt"])
def test_every_usual_form_is_read(form: str, suffix: str, tmp_path: Path) -> None:
    """However a training script nests and names its weights, the same tensors come out."""
    path = tmp_path / f"weights{suffix}"
    torch.save(FORMS[form], path)
    found = checkpoint.read(path)
    assert list(found) == list(tensors())
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors().items())


def test_safetensors_are_read(tmp_path: Path) -> None:
    """A .safetensors file gives its tensors, without the prefix of data-parallel training."""
    save_file(prefixed("module."), tmp_path / "weights.safetensors")
    assert set(checkpoint.read(tmp_path / "weights.safetensors")) == set(tensors())


def test_averaged_weights_are_preferred(tmp_path: Path) -> None:
    """Where a checkpoint holds an average beside the last weights, the average is taken: it was evaluated."""
    averaged = {name: torch.zeros_like(tensor) for name, tensor in tensors().items()}
    torch.save({"model": tensors(), "ema": averaged}, tmp_path / "both.pth")
    assert all(not tensor.any() for tensor in checkpoint.read(tmp_path / "both.pth").values())


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    """A file that holds more than tensors is refused, says how to save it, and none of its code has run."""
    torch.save({"model": tensors(), "arguments": Trap(tmp_path / "sprung")}, tmp_path / "trap.pth")
    with pytest.raises(BuildFailure, match="would execute code") as failure:
        checkpoint.read(tmp_path / "trap.pth")
    assert "state_dict()" in failure.value.remedy
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x02garbage", b"PK\x03\x04 cut off", bytes(4096)])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_other_files_are_refused(content: bytes, suffix: str, tmp_path: Path) -> None:
    """A file of any other kind is called unreadable, not dangerous, under its own name."""
    path = tmp_path / f"other{suffix}"
    path.write_bytes(content)
    with pytest.raises(BuildFailure, match=rf"other{suffix} is not a readable checkpoint"):
        checkpoint.read(path)


def test_a_file_without_weights_is_refused(tmp_path: Path) -> None:
    """A checkpoint without tensors, and a path without a file, say so."""
    torch.save({"epoch": 3}, tmp_path / "empty.pth")
    with pytest.raises(BuildFailure, match="holds no state_dict"):
        checkpoint.read(tmp_path / "empty.pth")
    with pytest.raises(BuildFailure, match="there is no file"):
        checkpoint.read(tmp_path / "absent.pth")


def test_all_tensors_are_loaded() -> None:
    """By name, every tensor of the network becomes that of the checkpoint."""
    network, wanted = Classifier(), {name: torch.rand_like(tensor) for name, tensor in tensors().items()}
    checkpoint.load(network, wanted, "file.pth", "by_name")
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in network.state_dict().items())


def test_what_does_not_fit_is_reported() -> None:
    """Missing, unexpected and wrongly sized tensors are all named at once, and the network is left alone."""
    network = Classifier()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    given = tensors() | {"extra": torch.zeros(1), "head.bias": torch.zeros(3)}
    del given["stem.bias"]
    with pytest.raises(BuildFailure) as failure:
        checkpoint.load(network, given, "file.pth", "by_name")
    assert "1 missing (stem.bias)" in failure.value.reason
    assert "1 unexpected (extra)" in failure.value.reason
    assert "head.bias is (3,) and should be (7,)" in failure.value.reason
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_order_maps_foreign_names() -> None:
    """By order, tensors of other names land where the network's own stand in its order."""
    network = Classifier()
    foreign = {f"foreign.{index}": torch.rand_like(tensor) for index, tensor in enumerate(tensors().values())}
    checkpoint.load(network, foreign, "file.pth", "by_order")
    pairs = zip(network.state_dict().values(), foreign.values(), strict=True)
    assert all(torch.equal(loaded, given) for loaded, given in pairs)


def test_order_checks_number_and_shapes() -> None:
    """By order, one tensor too few or two swapped ones are refused."""
    given = list(tensors().values())
    with pytest.raises(BuildFailure, match="3 tensors and the network 4"):
        checkpoint.load(Classifier(), dict(enumerate_names(given[:-1])), "file.pth", "by_order")
    swapped = [given[1], given[0], *given[2:]]
    with pytest.raises(BuildFailure, match="2 of another size"):
        checkpoint.load(Classifier(), dict(enumerate_names(swapped)), "file.pth", "by_order")


def enumerate_names(values: list[Tensor]) -> list[tuple[str, Tensor]]:
    """Names that no network of ours has."""
    return [(f"foreign.{index}", tensor) for index, tensor in enumerate(values)]


def test_a_long_report_is_cut() -> None:
    """Of many misfits a few are shown, and how many there are."""
    network = nn.Sequential(*[nn.Linear(2, 2) for _ in range(9)])
    with pytest.raises(BuildFailure, match=r"18 missing \(0.weight.*…\)"):
        checkpoint.load(network, {}, "file.pth", "by_name")


def test_counters_are_no_weights() -> None:
    """What a profiler left behind is ignored, and batches that were not counted are not missed."""
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    given = {name: torch.rand_like(value) for name, value in network.state_dict().items() if value.ndim}
    checkpoint.load(network, given | {"0.total_ops": torch.zeros(1, dtype=torch.float64)}, "file.pth", "by_name")
    assert all(torch.equal(network.state_dict()[name], value) for name, value in given.items())
    with pytest.raises(BuildFailure, match=r"1 missing \(1.running_var\)"):
        checkpoint.load(network, {name: given[name] for name in list(given)[:-1]}, "file.pth", "by_name")


@pytest.mark.parametrize("longer", ["file", "network"])
def test_a_prefix_of_one_side_is_forgiven(longer: str) -> None:
    """Weights of a network that one side keeps under a name (``model.``) and the other does not are loaded."""
    network: nn.Module = Classifier()
    given = {name: torch.rand_like(tensor) for name, tensor in tensors().items()}
    if longer == "file":
        checkpoint.load(network, {f"model.{name}": tensor for name, tensor in given.items()}, "file.pth", "by_name")
    else:
        checkpoint.load(nn.ModuleDict({"model": network}), given, "file.pth", "by_name")
    assert all(torch.equal(tensor, given[name]) for name, tensor in network.state_dict().items())


def test_a_trap_among_settings_is_refused(tmp_path: Path) -> None:
    """Settings are read, but nothing within them is run."""
    settings = argparse.Namespace(lr=0.1, hook=Trap(tmp_path / "sprung"))
    torch.save({"model": tensors(), "args": settings}, tmp_path / "trap.pth")
    with pytest.raises(BuildFailure, match="would execute code"):
        checkpoint.read(tmp_path / "trap.pth")
    assert not (tmp_path / "sprung").exists()
