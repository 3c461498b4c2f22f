"""Versions that come, change, go, and give way to others, while requests run."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.repository import Repository
from contract.task import Task
from service.engines.base import Engine
from service.errors import ErrorKind, ServiceError, engine_unavailable
from service.fallback_wiring import Fallbacks
from service.registry.lifecycle import MemoryPolicy
from service.registry.registry import NotResident
from service.registry.traffic import ModelTraffic, Routing
from service.registry.version import LoadedVersion, VersionState
from service.telemetry import Telemetry
from tests.doubles import until
from tests.service.registry.lifecycles import Kept, Sessions, kept, loaded
from tests.tiny_models import SIDE, colour_model, write_version

AN_IMAGE = np.zeros((SIDE, SIDE, 3), np.uint8)


def stable(of: Kept, model: str = "colours") -> int:
    """The number of the version that answers a bare name."""
    return of.registry.resolve(Task.CLASSIFY, model).version.card.version


async def ask(version: LoadedVersion, images: int = 1) -> int:
    """What a request does with a version; how many answers it got."""
    with version.leases:
        await asyncio.sleep(0)
        return len(await version.engine.infer([AN_IMAGE] * images))


async def test_a_version_that_comes_answers(tmp_path: Path) -> None:
    """A version that is written while the service runs is loaded, and is stable as the newest; so is a new model."""
    write_version(tmp_path, "colours")
    it = await loaded(tmp_path)
    write_version(tmp_path, "colours", 2)
    write_version(tmp_path, "shades")
    await it.follow()
    assert it.states() == {"colours:1": "ready", "colours:2": "ready", "shades:1": "ready"}
    assert (stable(it), stable(it, "shades")) == (2, 1)


async def test_a_version_that_is_being_copied_is_left_alone(tmp_path: Path) -> None:
    """Files that grow from look to look are not read; a folder under a temporary name never is."""
    write_version(tmp_path, "colours")
    it = await loaded(tmp_path)
    whole = (tmp_path / "colours/1/model.onnx").read_bytes()
    shutil.copytree(tmp_path / "colours/1", tmp_path / "colours/.3.tmp-x")
    write_version(tmp_path, "colours", 2)
    for end in (100, 200, len(whole)):
        (tmp_path / "colours/2/model.onnx").write_bytes(whole[:end])
        await it.lifecycle.follow()
        assert "colours:2" not in it.states()
    await it.lifecycle.follow()
    assert it.states() == {"colours:1": "ready", "colours:2": "ready"}


async def test_a_version_that_goes_is_drained_first(tmp_path: Path) -> None:
    """When a version's folder is deleted, its requests are answered, new ones go elsewhere, then it is closed."""
    for version in (1, 2):
        write_version(tmp_path, "colours", version)
    it = await loaded(tmp_path)
    going = it.registry.resolve(Task.CLASSIFY, "colours").version
    it.sessions.engines["colours:2"].hold()
    asked = asyncio.create_task(ask(going, 3))
    await until(lambda: going.leases.held)
    shutil.rmtree(tmp_path / "colours/2")
    await it.lifecycle.follow()
    assert (stable(it), it.states(), it.sessions.closed) == (1, {"colours:1": "ready"}, [])
    it.sessions.engines["colours:2"].let_go()
    assert await asked == 3
    await until(lambda: it.sessions.closed == ["colours:2"])


async def test_a_version_that_is_gone_leaves_no_gauge(tmp_path: Path) -> None:
    """The metrics of what versions there are hold no version that left the repository."""
    for version in (1, 2):
        write_version(tmp_path, "colours", version)
    it = await loaded(tmp_path)
    shutil.rmtree(tmp_path / "colours/2")
    await it.follow()
    for gauge in ("vitrail_version_ready", "vitrail_version_certified", "vitrail_version_memory_bytes"):
        assert it.telemetry.registry.get_sample_value(gauge, {"model": "colours", "version": "1"}) is not None
        assert it.telemetry.registry.get_sample_value(gauge, {"model": "colours", "version": "2"}) is None


async def test_a_version_that_is_unloaded_is_not_stood_in_for(tmp_path: Path) -> None:
    """Where a stand-in answered for a version, its gauge ends with the version, and is there again when that is."""
    for version in (1, 2):
        write_version(tmp_path, "colours", version)
    embedded = Sessions(tmp_path)
    telemetry = Telemetry()
    fallbacks = Fallbacks(Repository(tmp_path), telemetry, embedded.open)

    async def away() -> Engine:
        raise engine_unavailable("no Triton can be reached")

    it = kept(tmp_path, open_engine=lambda card, metrics: fallbacks.open(card, metrics, away), telemetry=telemetry)
    await it.lifecycle.load_all()

    def degraded() -> float | None:
        return telemetry.registry.get_sample_value("vitrail_degraded", {"model": "colours", "version": "1"})

    assert degraded() == 1
    await it.lifecycle.unload("colours", 1)
    assert degraded() is None
    await it.lifecycle.load("colours", 1)
    assert degraded() == 1
    await it.lifecycle.close()


async def test_a_version_that_changed_is_loaded_beside(tmp_path: Path) -> None:
    """Where a version's files change, it answers all the while, and then from the new files."""
    write_version(tmp_path, "colours")
    it = await loaded(tmp_path)
    before = it.registry.resolve(Task.CLASSIFY, "colours").version
    shutil.rmtree(tmp_path / "colours/1")
    write_version(tmp_path, "colours", model=colour_model(2.0), description="another")
    await it.follow()
    after = it.registry.resolve(Task.CLASSIFY, "colours").version
    assert (before.card.description, after.card.description) == ("", "another")
    await until(lambda: it.sessions.closed == ["colours:1"])


async def test_a_version_that_changed_for_the_worse_goes_on(tmp_path: Path) -> None:
    """A version whose new files are broken answers as before, and says so; mended files are taken."""
    write_version(tmp_path, "colours")
    it = await loaded(tmp_path)
    golden = (tmp_path / "colours/1/golden.npz").read_bytes()
    (tmp_path / "colours/1/golden.npz").write_bytes(golden[:100])
    await it.follow()
    (version,) = it.registry.versions()
    assert version.state is VersionState.READY
    assert "goes on as it was before: golden.npz" in str(version.reason)
    assert await ask(it.registry.resolve(Task.CLASSIFY, "colours").version) == 1
    (tmp_path / "colours/1/golden.npz").write_bytes(golden)
    await it.follow()
    assert version.reason is None


async def test_a_broken_version_is_tried_again_when_it_changes(tmp_path: Path) -> None:
    """A version that failed fails once; mended, it is loaded."""
    write_version(tmp_path, "colours")
    record = tmp_path / "colours/1/golden.npz"
    content = record.read_bytes()
    record.unlink()
    it = await loaded(tmp_path)
    await it.follow()
    assert it.sessions.opened == ["colours:1"]
    record.write_bytes(content)
    await it.follow()
    assert (it.states(), it.sessions.opened) == ({"colours:1": "ready"}, ["colours:1"] * 2)


async def test_an_engine_that_cannot_be_reached_is_tried_again(tmp_path: Path) -> None:
    """While nothing that runs it can be reached a version is loading, and says why; later it is ready."""
    write_version(tmp_path, "colours")
    it = kept(tmp_path)
    reachable = False

    async def open_engine(*arguments: Any) -> Any:
        if not reachable:
            raise engine_unavailable("nobody is there")
        return await it.sessions.open(*arguments)

    it = kept(tmp_path, open_engine=open_engine)
    await it.lifecycle.load_all()
    (version,) = it.registry.versions()
    assert (version.state, version.reason, it.registry.ready) == (VersionState.LOADING, "nobody is there", False)
    reachable = True
    async with asyncio.timeout(10):
        while not it.registry.ready:
            await it.lifecycle.follow()
    assert version.reason is None


async def test_an_engine_that_was_lost_is_not_ready(tmp_path: Path) -> None:
    """A version whose engine can no longer be reached is unreachable, and readiness falls until it is back."""
    write_version(tmp_path, "colours")
    it = await loaded(tmp_path)
    for healthy, state in [(False, "unreachable"), (True, "ready")]:
        it.sessions.engines["colours:1"].lost = not healthy
        assert (it.states(), it.registry.ready) == ({"colours:1": state}, healthy)


async def test_people_unload_and_load(tmp_path: Path) -> None:
    """A version that somebody unloads is closed and stays away, whatever its files do, until somebody loads it."""
    for version in (1, 2):
        write_version(tmp_path, "colours", version)
    it = await loaded(tmp_path)
    await it.lifecycle.unload("colours", 2)
    assert it.sessions.closed == ["colours:2"]
    (tmp_path / "colours/2/labels.txt").touch()
    await it.follow()
    assert (stable(it), it.states()["colours:2"]) == (1, "unloaded")
    await it.lifecycle.load("colours", 2)
    assert stable(it) == 2


async def test_what_cannot_be_loaded_or_unloaded_is_refused(tmp_path: Path) -> None:
    """A version that is not there, is broken, or carries an alias, is refused with what to do."""
    for version in (1, 2):
        write_version(tmp_path, "colours", version)
    (tmp_path / "colours/2/golden.npz").unlink()
    it = await loaded(tmp_path)
    it.registry.route(Routing(models={"colours": ModelTraffic(aliases={"stable": 1})}))
    refusals = [
        (it.lifecycle.load("colours", 7), ErrorKind.MODEL_NOT_FOUND, "no colours:7"),
        (it.lifecycle.load("../secrets", 1), ErrorKind.MODEL_NOT_FOUND, "no"),
        (it.lifecycle.load("colours", 2), ErrorKind.VERSION_NOT_READY, "golden.npz"),
        (it.lifecycle.unload("colours", 7), ErrorKind.MODEL_NOT_FOUND, "no colours:7"),
        (it.lifecycle.unload("colours", 1), ErrorKind.INVALID_PARAMETERS, "is stable; give that to another"),
    ]
    for attempt, kind, words in refusals:
        with pytest.raises(ServiceError, match=words) as refusal:
            await attempt
        assert refusal.value.kind is kind


async def test_a_repository_that_cannot_be_read_changes_nothing(tmp_path: Path) -> None:
    """While the repository is away nobody knows what is in it, so everything goes on; then it is followed again."""
    root = tmp_path / "repository"
    write_version(root, "colours")
    it = await loaded(root)
    root.rename(tmp_path / "away")
    await it.follow()
    assert await ask(it.registry.resolve(Task.CLASSIFY, "colours").version) == 1
    (tmp_path / "away").rename(root)
    write_version(root, "colours", 2)
    await it.follow()
    assert stable(it) == 2


async def of_three(root: Path, **policy: Any) -> Kept:
    """Three models in memory for two: `c` finds no room at the start."""
    for name in "abc":
        write_version(root, name)
    size = sum(path.stat().st_size for path in (root / "a/1").iterdir())
    # A tiny model's files are less than what a process grows by, which is not the matter here.
    it = kept(root, memory=MemoryPolicy(int(2.9 * size), **{"min_idle_s": 0.0, **policy}), resident_bytes=lambda: 0)
    await it.lifecycle.load_all()
    assert it.states() == {"a:1": "ready", "b:1": "ready", "c:1": "evicted"}
    return it


async def brought_back(it: Kept, model: str) -> None:
    """What a request for a model that is not in memory does."""
    with pytest.raises(NotResident) as absence:
        it.registry.resolve(Task.CLASSIFY, model)
    await it.lifecycle.bring_back(absence.value.version)


async def test_the_least_recently_used_gives_way(tmp_path: Path) -> None:
    """A request for a version that is not in memory loads it, in the place of the one that was used longest ago."""
    it = await of_three(tmp_path)
    for name in "ba":
        await ask(it.registry.resolve(Task.CLASSIFY, name).version)
    await brought_back(it, "c")
    assert it.states() == {"a:1": "ready", "b:1": "evicted", "c:1": "ready"}
    assert it.sessions.closed == ["b:1"]
    assert await ask(it.registry.resolve(Task.CLASSIFY, "c").version) == 1


async def test_what_is_pinned_or_in_use_stays(tmp_path: Path) -> None:
    """A pinned model and one that a request uses keep their memory, and the caller is told that there is no room."""
    it = await of_three(tmp_path)
    it.registry.route(Routing(models={"a": ModelTraffic(pinned=True)}))
    used = it.registry.resolve(Task.CLASSIFY, "b").version
    it.sessions.engines["b:1"].hold()
    asked = asyncio.create_task(ask(used))
    await until(lambda: used.leases.held)
    with pytest.raises(ServiceError, match="all in use") as refusal:
        await brought_back(it, "c")
    assert refusal.value.kind is ErrorKind.OVERLOADED
    it.sessions.engines["b:1"].let_go()
    assert await asked == 1
    await brought_back(it, "c")
    assert it.states() == {"a:1": "ready", "b:1": "evicted", "c:1": "ready"}


async def test_callers_who_come_together_load_once(tmp_path: Path) -> None:
    """Many requests for one version that is not in memory wait for one load."""
    it = await of_three(tmp_path)
    await asyncio.gather(*(brought_back(it, "c") for _ in range(20)))
    assert it.sessions.opened.count("c:1") == 1


async def test_closing_waits_for_what_is_being_answered(tmp_path: Path) -> None:
    """Images that were accepted before the end are still answered, later ones are not; every engine is closed."""
    write_version(tmp_path, "colours")
    write_version(tmp_path, "shades")
    it = await loaded(tmp_path)
    version = it.registry.resolve(Task.CLASSIFY, "colours").version
    it.sessions.engines["colours:1"].hold()
    asked = asyncio.create_task(ask(version, 9))
    await until(lambda: version.leases.held)
    closing = asyncio.create_task(it.lifecycle.close())
    await until(lambda: it.sessions.closed == ["shades:1"])
    it.sessions.engines["colours:1"].let_go()
    await closing
    assert await asked == 9
    assert sorted(it.sessions.closed) == ["colours:1", "shades:1"]
    with pytest.raises(ServiceError, match="unloaded"):
        await version.engine.infer([AN_IMAGE])


async def test_the_engine_of_a_version_that_failed_is_closed(tmp_path: Path) -> None:
    """An engine whose version does not compute what was recorded is closed at once."""
    write_version(tmp_path, "colours")
    (tmp_path / "colours/1/golden.npz").unlink()
    assert (await loaded(tmp_path)).sessions.closed == ["colours:1"]
