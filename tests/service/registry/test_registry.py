"""The registry: what is ready, what failed and why, and which version a caller gets."""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.card import ModelCard, Platform
from contract.repository import Repository
from contract.task import Task
from service.app import Application
from service.engines.base import Engine
from service.engines.batcher import Batcher
from service.engines.onnx import OnnxEngine, UnusableModel
from service.errors import ErrorKind, ServiceError
from service.registry.registry import EngineRefused, Registry, VersionState
from service.registry.traffic import ModelTraffic, Routing
from service.settings import Settings
from service.telemetry import Telemetry, VersionMetrics
from tests.tiny_models import SIDE, write_version


def registry_of(root: Path, defaults: dict[Task, str] | None = None) -> Registry:
    """A registry that opens real sessions."""
    threads = ThreadPoolExecutor(1)

    async def open_engine(card: ModelCard, metrics: VersionMetrics) -> Engine:
        try:
            return OnnxEngine(card, root / card.name / str(card.version) / "model.onnx", threads, 1)
        except UnusableModel as error:
            raise EngineRefused(str(error)) from error

    return Registry(Repository(root), open_engine, Telemetry(), defaults)


async def loaded(root: Path, defaults: dict[Task, str] | None = None) -> Registry:
    """A registry that has tried every version."""
    registry = registry_of(root, defaults)
    await registry.load_all()
    return registry


def routing(**traffic: Any) -> Routing:
    """Routing of the one model."""
    return Routing(models={"colours": ModelTraffic(**traffic)})


def kind_of_refusal(registry: Registry, text: str | None, task: Task = Task.CLASSIFY) -> ErrorKind:
    """How the registry refuses a selector."""
    with pytest.raises(ServiceError) as error:
        registry.resolve(task, text)
    return error.value.kind


async def test_the_newest_ready_version_is_stable(tmp_path: Path) -> None:
    """A bare name and ``@stable`` mean the newest version, by number and not by letter; a number means itself."""
    for version in (2, 10, 1):
        write_version(tmp_path, "colours", version)
    registry = await loaded(tmp_path)
    for text, version, alias in [("colours", 10, "stable"), ("colours@stable", 10, "stable"), ("colours:2", 2, None)]:
        found = registry.resolve(Task.CLASSIFY, text)
        assert (found.version.card.version, found.alias) == (version, alias)


async def test_a_newest_version_that_failed_is_not_stable(tmp_path: Path) -> None:
    """Stable passes over a version that is not ready, which itself answers why."""
    write_version(tmp_path, "colours", 1)
    write_version(tmp_path, "colours", 2)
    (tmp_path / "colours/2/model.onnx").unlink()
    registry = await loaded(tmp_path)
    assert registry.resolve(Task.CLASSIFY, "colours").version.card.version == 1
    assert kind_of_refusal(registry, "colours:2") is ErrorKind.VERSION_NOT_READY
    with pytest.raises(ServiceError, match=r"model\.onnx"):
        registry.resolve(Task.CLASSIFY, "colours:2")


async def test_aliases_are_followed(tmp_path: Path) -> None:
    """An alias means the version that the routing gives it, also stable; another routing counts at once."""
    for version in (1, 2, 3):
        write_version(tmp_path, "colours", version)
    registry = await loaded(tmp_path)
    registry.route(routing(aliases={"stable": 1, "canary": 3}))
    for text, version, alias in [("colours", 1, "stable"), ("colours@canary", 3, "canary"), ("colours:2", 2, None)]:
        found = registry.resolve(Task.CLASSIFY, text)
        assert (found.version.card.version, found.alias) == (version, alias)
    registry.route(Routing())
    assert registry.resolve(Task.CLASSIFY, "colours").version.card.version == 3
    assert kind_of_refusal(registry, "colours@canary") is ErrorKind.MODEL_NOT_FOUND


async def test_traffic_is_divided(tmp_path: Path) -> None:
    """Callers of a bare name are divided, those of the same header value get the same version, others are not."""
    for version in (1, 2):
        write_version(tmp_path, "colours", version)
    registry = await loaded(tmp_path)
    shares = {"stable": 50, "canary": 50}
    registry.route(routing(aliases={"stable": 1, "canary": 2}, weights=shares, sticky="header:x-user"))
    answering = [registry.resolve(Task.CLASSIFY, "colours", {"x-user": f"{n % 20}"}).alias for n in range(100)]
    assert set(answering) == {"stable", "canary"}
    assert answering[:20] * 5 == answering
    assert {registry.resolve(Task.CLASSIFY, "colours@stable").alias for _ in range(50)} == {"stable"}


async def test_a_share_without_a_ready_version_is_stables(tmp_path: Path) -> None:
    """A canary that failed or is not there takes no traffic, and asked for by name says why."""
    write_version(tmp_path, "colours", 1)
    write_version(tmp_path, "colours", 2)
    (tmp_path / "colours/2/model.onnx").unlink()
    registry = await loaded(tmp_path)
    for version in (2, 7):
        registry.route(routing(aliases={"stable": 1, "canary": version}, weights={"canary": 1}))
        assert registry.resolve(Task.CLASSIFY, "colours").version.card.version == 1
    assert kind_of_refusal(registry, "colours@canary") is ErrorKind.MODEL_NOT_FOUND


async def test_the_routing_names_a_tasks_default(tmp_path: Path) -> None:
    """What answers a task is the routing's choice before the settings', and the settings' again without it."""
    for name in "abc":
        write_version(tmp_path, name)
    registry = await loaded(tmp_path, {Task.CLASSIFY: "b"})
    registry.route(Routing(tasks={Task.CLASSIFY: "c@stable"}))
    assert registry.resolve(Task.CLASSIFY, None).version.card.name == "c"
    registry.route(Routing())
    assert registry.resolve(Task.CLASSIFY, None).version.card.name == "b"


async def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    """An unknown name, version or alias, and a model of another task, are each not found."""
    write_version(tmp_path, "colours")
    write_version(tmp_path, "means", task=Task.EMBED)
    registry = await loaded(tmp_path)
    for text in ("nothing", "colours:7", "colours@canary", "means"):
        assert kind_of_refusal(registry, text) is ErrorKind.MODEL_NOT_FOUND
    assert kind_of_refusal(registry, None, Task.DETECT) is ErrorKind.MODEL_NOT_FOUND


async def test_before_loading_nothing_is_ready_yet(tmp_path: Path) -> None:
    """Until every version was tried, the answer is 'not yet' and never 'there is none'."""
    write_version(tmp_path, "colours")
    registry = registry_of(tmp_path)
    assert kind_of_refusal(registry, None) is ErrorKind.VERSION_NOT_READY
    assert kind_of_refusal(registry, "colours") is ErrorKind.VERSION_NOT_READY
    assert not registry.settled
    assert not registry.ready


async def test_an_empty_or_absent_repository_settles(tmp_path: Path) -> None:
    """A repository with nothing in it is settled, never ready, and answers that there is no model."""
    for root in (tmp_path, tmp_path / "absent"):
        registry = await loaded(root)
        assert registry.settled
        assert not registry.ready
        assert kind_of_refusal(registry, None) is ErrorKind.MODEL_NOT_FOUND
        assert kind_of_refusal(registry, "colours") is ErrorKind.MODEL_NOT_FOUND


async def test_the_default_is_the_chosen_one_or_the_best(tmp_path: Path) -> None:
    """Without a choice the first by name answers; a choice in the settings goes before it."""
    write_version(tmp_path, "a")
    write_version(tmp_path, "b")
    assert (await loaded(tmp_path)).resolve(Task.CLASSIFY, None).version.card.name == "a"
    assert (await loaded(tmp_path, {Task.CLASSIFY: "b"})).resolve(Task.CLASSIFY, None).version.card.name == "b"


async def test_a_chosen_default_is_kept_even_if_it_cannot_answer(tmp_path: Path) -> None:
    """If the chosen default is absent or failed, the caller hears of it, and gets no other model's answer."""
    for name in ("a", "b"):
        write_version(tmp_path, name)
    (tmp_path / "b/1/golden.npz").unlink()
    for name, kind in [("b", ErrorKind.VERSION_NOT_READY), ("c", ErrorKind.MODEL_NOT_FOUND)]:
        assert kind_of_refusal(await loaded(tmp_path, {Task.CLASSIFY: name}), None) is kind


async def test_closing_waits_for_what_is_being_answered(tmp_path: Path) -> None:
    """Images that were accepted before the registry closes are still answered."""
    write_version(tmp_path, "colours")
    threads = ThreadPoolExecutor(1)

    async def open_engine(card: ModelCard, metrics: VersionMetrics) -> Engine:
        return Batcher(OnnxEngine(card, tmp_path / "colours/1/model.onnx", threads, 1), max_queue=20)

    registry = Registry(Repository(tmp_path), open_engine, Telemetry())
    await registry.load_all()
    engine = registry.resolve(Task.CLASSIFY, "colours").version.engine
    asked = asyncio.create_task(engine.infer([np.zeros((SIDE, SIDE, 3), np.uint8)] * 9))
    await asyncio.sleep(0)
    assert not asked.done()
    await registry.close()
    assert len(await asked) == 9
    with pytest.raises(ServiceError, match="unloaded"):
        await engine.infer([np.zeros((SIDE, SIDE, 3), np.uint8)])


async def test_the_application_refuses_what_its_engine_does_not_run(tmp_path: Path) -> None:
    """The embedded engine says of a TensorRT plan, and of a file that is no model, why it does not run them."""
    write_version(tmp_path, "plan", platform=Platform.TENSORRT)
    write_version(tmp_path, "text")
    (tmp_path / "text/1/model.onnx").write_text("this is no model")
    application = Application(Settings(repository=tmp_path, threads=1))
    await application.registry.load_all()
    reasons = {name: str(versions[0].reason) for name, versions in application.registry.models().items()}
    assert "tensorrt_plan" in reasons["plan"]
    assert "cannot load model.onnx" in reasons["text"]


async def test_closing_closes_every_engine(tmp_path: Path) -> None:
    """Each engine that was opened is closed, those of failed versions as well."""
    closed: list[int] = []
    threads = ThreadPoolExecutor(1)

    class Closing(OnnxEngine):
        async def close(self) -> None:
            closed.append(len(closed))

    async def open_engine(card: ModelCard, metrics: VersionMetrics) -> Engine:
        return Closing(card, tmp_path / card.name / str(card.version) / "model.onnx", threads, 1)

    for version in (1, 2):
        write_version(tmp_path, "colours", version)
    (tmp_path / "colours/1/golden.npz").unlink()
    registry = Registry(Repository(tmp_path), open_engine, Telemetry())
    await registry.load_all()
    assert len(closed) == 1
    await registry.close()
    assert len(closed) == 2


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
    registry = await loaded(tmp_path)
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
    registry = Registry(Repository(tmp_path), open_engine, Telemetry())
    await registry.load_all()
    first, second = registry.models()["a"]
    assert (first.state, second.state) == (VersionState.FAILED, VersionState.READY)
    assert "secret" not in str(first.reason)
