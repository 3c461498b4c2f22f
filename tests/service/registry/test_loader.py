"""Loading: what is broken stays out and says why, what is sound is proved and warmed first."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.card import ModelCard, Platform
from contract.task import Task
from service.app import Application
from service.engines.base import Engine
from service.engines.onnx import OnnxEngine
from service.registry.version import VersionState
from service.settings import Settings
from service.telemetry import VersionMetrics
from tests.service.registry.lifecycles import loaded
from tests.tiny_models import write_version


async def test_the_application_refuses_what_its_engine_does_not_run(tmp_path: Path) -> None:
    """The embedded engine says of a TensorRT plan, and of a file that is no model, why it does not run them."""
    write_version(tmp_path, "plan", platform=Platform.TENSORRT)
    write_version(tmp_path, "text")
    (tmp_path / "text/1/model.onnx").write_text("this is no model")
    application = Application(Settings(repository=tmp_path, videos=tmp_path / "videos", threads=1))
    await application.lifecycle.load_all()
    reasons = {name: str(versions[0].reason) for name, versions in application.registry.models().items()}
    assert "tensorrt_plan" in reasons["plan"]
    assert "cannot load model.onnx" in reasons["text"]


async def test_every_batch_size_is_warmed(tmp_path: Path) -> None:
    """A version runs each batch size that it offers before it takes traffic."""
    write_version(tmp_path, "colours", batch_sizes=(1, 2, 4))
    sizes = []

    async def open_engine(card: ModelCard, metrics: VersionMetrics) -> Engine:
        class Counting(OnnxEngine):
            async def infer(self, images: Any, deadline: float | None = None, flow: Any = None) -> Any:
                sizes.append(len(images))
                return await super().infer(images, deadline)

        return Counting(card, tmp_path / "colours/1/model.onnx", ThreadPoolExecutor(1), 1)

    assert (await loaded(tmp_path, open_engine=open_engine)).registry.ready
    assert sizes[-3:] == [1, 2, 4]


def edit_card(folder: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    """Change a card on disk."""
    card = json.loads((folder / "card.json").read_text())
    edit(card)
    (folder / "card.json").write_text(json.dumps(card))


def tamper_with_record(folder: Path) -> None:
    """Let the record hold outputs that the model does not give."""
    with np.load(folder / "golden.npz") as archive:
        arrays = dict(archive)
    arrays["output.probabilities"] = arrays["output.probabilities"][:, ::-1]
    np.savez(folder / "golden.npz", **arrays)


DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "card is no JSON": (lambda folder: (folder / "card.json").write_text("{"), "no readable card"),
    "card is empty": (lambda folder: (folder / "card.json").write_text(""), "no readable card"),
    "card of another schema": (
        lambda folder: edit_card(folder, lambda card: card.update(card_schema=2)),
        "card_schema",
    ),
    "card of another model": (lambda folder: edit_card(folder, lambda card: card.update(name="x")), "card of x:1"),
    "uncertified batch size": (
        lambda folder: edit_card(folder, lambda card: card.update(batch_sizes=[1, 64])),
        "without a passed check",
    ),
    "certificate not passed": (
        lambda folder: edit_card(folder, lambda card: card["certificate"].update(passed=False)),
        "certificate",
    ),
    "outputs of another task": (
        lambda folder: edit_card(folder, lambda card: card.update(task="embed")),
        "not those of a model for embed",
    ),
    "images for a task of clips": (
        lambda folder: edit_card(folder, lambda card: card.update(task="classify-video")),
        "a model for classify-video takes clips",
    ),
    "settings of another task": (
        lambda folder: edit_card(folder, lambda card: card.update(task_settings={"unclip_ratio": 1})),
        "unclip_ratio",
    ),
    "truncated model": (
        lambda folder: (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes()[:200]),
        "cannot load model.onnx",
    ),
    "absent model": (lambda folder: (folder / "model.onnx").unlink(), "cannot load model.onnx"),
    "absent record": (lambda folder: (folder / "golden.npz").unlink(), "golden.npz cannot be read"),
    "truncated record": (
        lambda folder: (folder / "golden.npz").write_bytes((folder / "golden.npz").read_bytes()[:-80]),
        "golden.npz cannot be read",
    ),
    "tampered record": (tamper_with_record, "differs from the record"),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_broken_version_stays_out_and_says_why(tmp_path: Path, damage: str) -> None:
    """Whatever is wrong with one version, it fails with its reason, without a path, and the others load."""
    for name in ("broken", "colours"):
        write_version(tmp_path, name)
    break_it, expected = DAMAGES[damage]
    break_it(tmp_path / "broken" / "1")
    registry = (await loaded(tmp_path)).registry
    (broken,) = registry.models()["broken"]
    assert broken.state is VersionState.FAILED
    assert expected in str(broken.reason)
    assert str(tmp_path) not in str(broken.reason)
    assert "\n" not in str(broken.reason)
    assert registry.resolve(Task.CLASSIFY, "colours").version.card.name == "colours"
    assert registry.ready


async def test_an_error_that_nobody_foresaw_fails_its_version_only(tmp_path: Path) -> None:
    """An engine that fails in an unknown way takes its own version out; its words stay in the log."""
    write_version(tmp_path, "a")
    threads = ThreadPoolExecutor(1)

    async def open_engine(card: ModelCard, metrics: VersionMetrics) -> Engine:
        if card.version == 1:
            raise LookupError("secret")
        return OnnxEngine(card, tmp_path / "a" / "2" / "model.onnx", threads, 1)

    write_version(tmp_path, "a", 2)
    first, second = (await loaded(tmp_path, open_engine=open_engine)).registry.models()["a"]
    assert (first.state, second.state) == (VersionState.FAILED, VersionState.READY)
    assert "secret" not in str(first.reason)
