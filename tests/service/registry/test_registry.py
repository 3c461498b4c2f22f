"""The registry: what is ready, what failed and why, and which version a caller gets."""

from pathlib import Path
from typing import Any

import pytest

from contract.task import Task
from service.errors import ErrorKind, ServiceError
from service.registry.registry import Registry
from service.registry.traffic import ModelTraffic, Routing
from tests.service.registry.lifecycles import kept, loaded
from tests.tiny_models import write_version


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
    registry = (await loaded(tmp_path)).registry
    for text, version, alias in [("colours", 10, "stable"), ("colours@stable", 10, "stable"), ("colours:2", 2, None)]:
        found = registry.resolve(Task.CLASSIFY, text)
        assert (found.version.card.version, found.alias) == (version, alias)


async def test_a_newest_version_that_failed_is_not_stable(tmp_path: Path) -> None:
    """Stable passes over a version that is not ready, which itself answers why."""
    write_version(tmp_path, "colours", 1)
    write_version(tmp_path, "colours", 2)
    (tmp_path / "colours/2/model.onnx").unlink()
    registry = (await loaded(tmp_path)).registry
    assert registry.resolve(Task.CLASSIFY, "colours").version.card.version == 1
    assert kind_of_refusal(registry, "colours:2") is ErrorKind.VERSION_NOT_READY
    with pytest.raises(ServiceError, match=r"model\.onnx"):
        registry.resolve(Task.CLASSIFY, "colours:2")


async def test_aliases_are_followed(tmp_path: Path) -> None:
    """An alias means the version that the routing gives it, also stable; another routing counts at once."""
    for version in (1, 2, 3):
        write_version(tmp_path, "colours", version)
    registry = (await loaded(tmp_path)).registry
    registry.route(routing(aliases={"stable": 1, "canary": 3}))
    for text, version, alias in [("colours", 1, "stable"), ("colours@canary", 3, "canary"), ("colours:2", 2, None)]:
        found = registry.resolve(Task.CLASSIFY, text)
        assert (found.version.card.version, found.alias) == (version, alias)
    registry.route(Routing())
    assert registry.resolve(Task.CLASSIFY, "colours").version.card.version == 3
    assert kind_of_refusal(registry, "colours@canary") is ErrorKind.MODEL_NOT_FOUND


async def test_a_version_on_trial_is_not_stable_because_it_is_new(tmp_path: Path) -> None:
    """Where stable is not set, a canary or a shadow is it only if there is nothing else."""
    for version in (1, 2, 3):
        write_version(tmp_path, "colours", version)
    registry = (await loaded(tmp_path)).registry
    for traffic, stable in [({"aliases": {"canary": 3}}, 2), ({"aliases": {"canary": 3}, "shadow": 2}, 1)]:
        registry.route(routing(**traffic))
        assert registry.resolve(Task.CLASSIFY, "colours").version.card.version == stable
    registry.route(routing(aliases={"canary": 3, "old": 1}, shadow=2))
    assert registry.resolve(Task.CLASSIFY, "colours@stable").version.card.version == 3


async def test_traffic_is_divided(tmp_path: Path) -> None:
    """Callers of a bare name are divided, those of the same header value get the same version, others are not."""
    for version in (1, 2):
        write_version(tmp_path, "colours", version)
    registry = (await loaded(tmp_path)).registry
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
    registry = (await loaded(tmp_path)).registry
    for version in (2, 7):
        registry.route(routing(aliases={"stable": 1, "canary": version}, weights={"canary": 1}))
        assert registry.resolve(Task.CLASSIFY, "colours").version.card.version == 1
    assert kind_of_refusal(registry, "colours@canary") is ErrorKind.MODEL_NOT_FOUND


async def test_the_routing_names_a_tasks_default(tmp_path: Path) -> None:
    """What answers a task is the routing's choice before the settings', and the settings' again without it."""
    for name in "abc":
        write_version(tmp_path, name)
    registry = (await loaded(tmp_path, {Task.CLASSIFY: "b"})).registry
    registry.route(Routing(tasks={Task.CLASSIFY: "c@stable"}))
    assert registry.resolve(Task.CLASSIFY, None).version.card.name == "c"
    registry.route(Routing())
    assert registry.resolve(Task.CLASSIFY, None).version.card.name == "b"


async def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    """An unknown name, version or alias, and a model of another task, are each not found."""
    write_version(tmp_path, "colours")
    write_version(tmp_path, "means", task=Task.EMBED)
    registry = (await loaded(tmp_path)).registry
    for text in ("nothing", "colours:7", "colours@canary", "means"):
        assert kind_of_refusal(registry, text) is ErrorKind.MODEL_NOT_FOUND
    assert kind_of_refusal(registry, None, Task.DETECT) is ErrorKind.MODEL_NOT_FOUND


async def test_before_loading_nothing_is_ready_yet(tmp_path: Path) -> None:
    """Until every version was tried, the answer is 'not yet' and never 'there is none'."""
    write_version(tmp_path, "colours")
    registry = kept(tmp_path).registry
    assert kind_of_refusal(registry, None) is ErrorKind.VERSION_NOT_READY
    assert kind_of_refusal(registry, "colours") is ErrorKind.VERSION_NOT_READY
    assert not registry.settled
    assert not registry.ready


async def test_an_empty_or_absent_repository_settles(tmp_path: Path) -> None:
    """A repository with nothing in it is settled, never ready, and answers that there is no model."""
    for root in (tmp_path, tmp_path / "absent"):
        registry = (await loaded(root)).registry
        assert registry.settled
        assert not registry.ready
        assert kind_of_refusal(registry, None) is ErrorKind.MODEL_NOT_FOUND
        assert kind_of_refusal(registry, "colours") is ErrorKind.MODEL_NOT_FOUND


async def test_the_default_is_the_chosen_one_or_the_best(tmp_path: Path) -> None:
    """Without a choice the first by name answers; a choice in the settings goes before it."""
    write_version(tmp_path, "a")
    write_version(tmp_path, "b")
    assert (await loaded(tmp_path)).registry.resolve(Task.CLASSIFY, None).version.card.name == "a"
    assert (await loaded(tmp_path, {Task.CLASSIFY: "b"})).registry.resolve(Task.CLASSIFY, None).version.card.name == "b"


async def test_a_chosen_default_is_kept_even_if_it_cannot_answer(tmp_path: Path) -> None:
    """If the chosen default is absent or failed, the caller hears of it, and gets no other model's answer."""
    for name in ("a", "b"):
        write_version(tmp_path, name)
    (tmp_path / "b/1/golden.npz").unlink()
    for name, kind in [("b", ErrorKind.VERSION_NOT_READY), ("c", ErrorKind.MODEL_NOT_FOUND)]:
        assert kind_of_refusal((await loaded(tmp_path, {Task.CLASSIFY: name})).registry, None) is kind
