"""Whatever fails, whenever: the step is named, and the repository is as it was before."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import constants

from build_engines import emit, verify
from build_engines.artifact import Artifact, BuildFailure, Order, StepFailed
from build_engines.pipeline import build
from contract.card import ModelCard
from contract.preprocess import Pixels
from contract.repository import CONFIG, Repository
from tests.build_engines.conftest import Silent
from tests.build_engines.orders import an_entry, an_order


def files(root: Path) -> dict[str, bytes]:
    """Everything under a folder, hidden files too; folders count as files without content."""
    return {str(p.relative_to(root)): p.read_bytes() if p.is_file() else b"" for p in root.rglob("*")}


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """As on a full disk: no file may grow beyond ``size`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def fails(order: Order, step: str, reason: str) -> StepFailed:
    """Build, and see that exactly this step fails for this reason and nothing stays; how it failed."""
    before = files(order.repository.root)
    with pytest.raises(StepFailed, match=reason) as failure:
        build(order, Silent())
    assert failure.value.step == step
    assert failure.value.remedy
    assert files(order.repository.root) == before
    return failure.value


def emitting(built: Artifact, root: Path) -> Artifact:
    """The built artifact as it was before it was written, to be written elsewhere."""
    order = replace(built.order, repository=Repository(root))
    return built.having(order=order, version=None, path=None)


def no_replay(model: Path, card: ModelCard, images: Pixels, expected: object) -> None:
    """Somebody presses Ctrl-C while the written version is replayed."""
    raise KeyboardInterrupt


def test_a_model_that_timm_lacks(tmp_path: Path) -> None:
    """A model that timm does not have fails in the step source."""
    entry = an_entry(source={"kind": "timm", "model": "no_such_net"})
    fails(an_order(tmp_path, entry), "source", "has no model 'no_such_net'")


def test_a_mistyped_model_is_guessed(tmp_path: Path) -> None:
    """A name with two digits swapped brings the right one as the remedy."""
    entry = an_entry(source={"kind": "timm", "model": "resnet81"})
    assert "resnet18" in fails(an_order(tmp_path, entry), "source", "has no model").remedy


def test_a_hub_out_of_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the hub cannot be reached, that is said at once, with the ways that need no hub."""
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    fails(an_order(tmp_path, weights="pretrained"), "source", "cannot be reached")


def test_a_package_that_is_absent(tmp_path: Path) -> None:
    """Weights in a package that is not installed fail in the step source and say what to install."""
    weights = {"kind": "package", "distribution": "no-such-distribution-of-weights", "file": "w.pth"}
    entry = an_entry(weights=weights)
    fails(an_order(tmp_path, entry, weights="pretrained"), "source", "which is not installed")


def test_a_checkpoint_of_another_network(tmp_path: Path) -> None:
    """A checkpoint that does not fit fails in the step source with a report."""
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pth")
    fails(an_order(tmp_path, weights=tmp_path / "other.pth"), "source", r"missing \(.*1 unexpected \(weight\)")


def test_a_resolution_that_the_network_refuses(tmp_path: Path) -> None:
    """A resolution at which the network does not run fails before any export."""
    entry = an_entry(source={"kind": "timm", "model": "levit_128"})
    fails(an_order(tmp_path, entry, resolution=33), "figures", "does not run at 33 x 33")


def test_a_head_that_does_not_fit(tmp_path: Path) -> None:
    """A network that the activation head cannot explain fails in the step head."""
    entry = an_entry(task="segment", head={"kind": "cam", "map_size": 8})
    fails(an_order(tmp_path, entry), "head", "global average pooling")


def test_a_version_that_is_there(built: Artifact) -> None:
    """A version that exists is refused before any work, and stays as it is."""
    fails(an_order(built.order.repository.root, version=1), "reserve", "small:1 is there already")


def test_a_repository_that_is_a_file(tmp_path: Path) -> None:
    """A repository that cannot be written is refused before any work."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StepFailed, match="cannot be written") as failure:
        build(an_order(tmp_path / "file"), Silent())
    assert failure.value.step == "reserve"


@pytest.mark.parametrize("size", [0, 100_000, 5_000_000])
def test_a_full_disk(size: int, built: Artifact, tmp_path: Path) -> None:
    """A disk that is full from the start, or in the middle of the model, leaves nothing in the repository."""
    with files_limited_to(size), pytest.raises(StepFailed, match="File too large") as failure:
        emit.step(verify.replay)(emitting(built, tmp_path))
    assert failure.value.step == "emit"
    assert "space" in failure.value.remedy
    assert files(tmp_path) == {}


def test_a_replay_that_fails(built: Artifact, tmp_path: Path) -> None:
    """A written file that answers otherwise than the engine did never becomes a version."""
    wrong = {"probabilities": np.zeros_like(built.golden["probabilities"])}
    with pytest.raises(StepFailed, match="golden images otherwise"):
        emit.step(verify.replay)(emitting(built, tmp_path).having(golden=wrong))
    assert files(tmp_path) == {}


def test_an_interruption_while_writing(built: Artifact, tmp_path: Path) -> None:
    """Ctrl-C while the version is being written leaves nothing, and is not taken for a failure."""
    with pytest.raises(KeyboardInterrupt):
        emit.step(no_replay)(emitting(built, tmp_path))
    assert files(tmp_path) == {}


def test_a_rename_that_fails(built: Artifact, tmp_path: Path) -> None:
    """If another takes the place at the last moment, the configuration is as it was: absent."""

    def occupying(model: Path, card: ModelCard, images: Pixels, expected: object) -> None:
        (model.parent.parent / "1").write_text("")

    with pytest.raises(StepFailed, match="written by another"):
        emit.step(occupying)(emitting(built, tmp_path))
    assert not (tmp_path / "small" / CONFIG).exists()
    assert sorted(path.name for path in (tmp_path / "small").iterdir()) == ["1"]


def test_an_old_configuration_survives(built: Artifact, tmp_path: Path) -> None:
    """A second version that fails at the last moment leaves the first one's configuration as it was."""
    emit.step(verify.replay)(emitting(built, tmp_path))
    (tmp_path / "small" / CONFIG).write_text("# by hand\n", encoding="utf-8")
    before = files(tmp_path)

    def occupying(model: Path, card: ModelCard, images: Pixels, expected: object) -> None:
        (model.parent.parent / "2").write_text("")

    with pytest.raises(StepFailed):
        emit.step(occupying)(emitting(built, tmp_path))
    assert files(tmp_path) == before | {"small/2": b""}


def test_versions_share_their_tensors(built: Artifact, tmp_path: Path) -> None:
    """A second version of another size is refused, for Triton has one configuration for all versions."""
    emit.step(verify.replay)(emitting(built, tmp_path))
    before = files(tmp_path)
    other = built.preprocess.model_copy(update={"height": 32, "width": 32})
    with pytest.raises(StepFailed, match="versions of one model share them"):
        emit.step(verify.replay)(emitting(built, tmp_path).having(preprocess=other))
    assert files(tmp_path) == before


def test_an_unforeseen_error_is_named_too(built: Artifact, tmp_path: Path) -> None:
    """An error that nobody thought of carries the step's name as well, and its cause is kept for --traceback."""

    def failing(model: Path, card: ModelCard, images: Pixels, expected: object) -> None:
        raise ZeroDivisionError("surprise")

    with pytest.raises(StepFailed, match="emit: ZeroDivisionError: surprise") as failure:
        emit.step(failing)(emitting(built, tmp_path))
    assert isinstance(failure.value.__cause__, ZeroDivisionError)
    assert not isinstance(failure.value.__cause__, BuildFailure)
    assert files(tmp_path) == {}
