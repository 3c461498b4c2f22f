"""Versions on trial in a service that runs: compared with stable on live traffic, and sent back when they are bad."""

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from contract.preprocess import Interpolation
from tests.doubles import until
from tests.service.running import BLUE, GREEN, RED, WHITE, Running, picture, running
from tests.service.tiny_tasks import fragile_model
from tests.tiny_models import A_SPEC, colour_model, write_version

RULES = {"window_s": 60, "min_requests": 5, "max_p99_ratio": None}


def blind_model() -> Any:
    """A classifier that pays no heed to the image."""
    return colour_model(0.0)


@asynccontextmanager
async def trial(
    root: Path, candidate: Any, *, card: dict[str, Any] | None = None, **traffic: Any
) -> AsyncIterator[Running]:
    """A service whose stable version 1 classifies colours, with version 2 on trial."""
    write_version(root, "colours", 1)
    write_version(root, "colours", 2, model=candidate, **(card or {}))
    routing = {"models": {"colours": {"aliases": {"stable": 1, "canary": 2}, **traffic}}}
    (root / "routing.yaml").write_text(yaml.safe_dump(routing))
    async with running(root, routing_interval_s=0.05) as service:
        yield service


async def ask(service: Running, times: int, image: bytes = RED) -> Counter[str]:
    """Ask so often by the bare name; which versions answered. Every answer must be good."""
    answers: Counter[str] = Counter()
    for _ in range(times):
        response = await service.ask("/v1/classify?model=colours", image)
        assert response.status_code == 200, response.text
        answers[response.json()["model"]["version"]] += 1
    return answers


async def told(service: Running) -> dict[str, Any]:
    """What the service tells of the model's traffic."""
    found: dict[str, Any] = (await service.client.get("/v1/models/colours/traffic")).json()
    return found


async def compared(service: Running, images: int) -> dict[str, Any]:
    """The comparison, once it is of so many images."""
    rollout = service.application.rollout
    await until(lambda: sum(found.images for found in rollout.comparisons("colours").values()) >= images)
    comparison: dict[str, Any] = (await told(service))["comparisons"][0]
    return comparison


async def test_a_shadow_is_compared_and_never_seen(tmp_path: Path) -> None:
    """Every answer is stable's; the shadow's differences are counted, in the task's figures, with the worst cases."""
    async with trial(tmp_path, blind_model(), shadow=2) as service:
        for image in (RED, GREEN, BLUE):
            assert await ask(service, 1, image) == {"1": 1}
            await until(lambda: not service.application.rollout._copies._waiting)
        found = await compared(service, 3)
        assert (found["reference"], found["candidate"]) == ("1", "2")
        assert found["disagreement"] > 0.5
        assert 0 < found["figures"]["top1_flip"] < 1
        assert [case["disagreement"] for case in found["worst"]] == sorted(
            (case["disagreement"] for case in found["worst"]), reverse=True
        )
        assert found["worst"][0]["image_kept"] is False
        assert (await told(service))["observed"]["shadow"]["compared"] == 3


async def test_the_same_version_agrees_with_itself(tmp_path: Path) -> None:
    """A shadow that computes the same differs in nothing, also where its images are prepared otherwise."""
    other = A_SPEC.model_copy(update={"interpolation": Interpolation.BICUBIC})
    async with trial(tmp_path, colour_model(), card={"preprocess": other}, shadow=2) as service:
        await ask(service, 1)
        found = await compared(service, 1)
        assert (found["disagreement"], found["figures"]["top1_flip"], found["worst"]) == (0, 0, [])


async def test_a_canary_is_compared_with_stable(tmp_path: Path) -> None:
    """What a canary answers is asked of stable too, and told of it; the metrics tell the same."""
    async with trial(tmp_path, blind_model(), weights={"canary": 1}) as service:
        assert await ask(service, 1) == {"2": 1}
        found = await compared(service, 1)
        assert (found["reference"], found["candidate"]) == ("1", "2")
        metrics = (await service.client.get("/metrics")).text
        assert 'vitrail_copies_total{model="colours",outcome="compared",version="2"} 1.0' in metrics
        assert 'vitrail_disagreement_count{model="colours",version="2"} 1.0' in metrics


async def test_a_canary_that_disagrees_is_rolled_back(tmp_path: Path) -> None:
    """A canary that answers otherwise loses its share, in the file too, with the reason; the metric counts it once."""
    rules = {**RULES, "max_disagreement": 0.3}
    async with trial(tmp_path, blind_model(), weights={"stable": 1, "canary": 1}, rollback=rules) as service:
        async with asyncio.timeout(30):
            while not (await told(service))["rolled_back"]:
                await ask(service, 4)
        found = await told(service)
        assert found["weights"] == {"stable": 100}
        assert (found["rolled_back"]["alias"], found["rolled_back"]["rule"]) == ("canary", "max_disagreement")
        written = yaml.safe_load((tmp_path / "routing.yaml").read_text())["models"]["colours"]
        assert "differs from stable" in written["rolled_back"]["reason"]
        assert await ask(service, 20) == {"1": 20}
        metrics = (await service.client.get("/metrics")).text
        assert 'vitrail_rollbacks_total{alias="canary",model="colours",rule="max_disagreement"} 1.0' in metrics


async def test_a_canary_that_fails_harms_nobody(tmp_path: Path) -> None:
    """Where a canary fails stable answers in its stead, and the canary is rolled back for it."""
    async with trial(tmp_path, fragile_model(), weights={"canary": 1}, rollback=RULES) as service:
        assert await ask(service, 8, WHITE) == {"1": 8}
        await until(lambda: service.application.registry.traffic("colours").rolled_back)
        assert (await told(service))["rolled_back"]["rule"] == "max_error_rate"
        assert await ask(service, 5, picture(10, 0, 0)) == {"1": 5}
        metrics = (await service.client.get("/metrics")).text
        assert 'vitrail_version_faults_total{model="colours",version="2"} 8.0' in metrics


async def test_who_names_the_version_hears_of_its_failure(tmp_path: Path) -> None:
    """A caller who asks for the canary itself gets its error, and no other version's answer."""
    async with trial(tmp_path, fragile_model(), weights={"canary": 1}) as service:
        for name in ("colours@canary", "colours:2"):
            response = await service.ask(f"/v1/classify?model={name}", WHITE)
            assert (response.status_code, response.json()["code"]) == (503, "engine_unavailable")


async def test_a_shadow_that_fails_is_counted(tmp_path: Path) -> None:
    """Callers do not notice that a shadow fails; it is told."""
    async with trial(tmp_path, fragile_model(), shadow=2) as service:
        await ask(service, 1, WHITE)
        await until(lambda: "shadow" in service.application.rollout.counts("colours"))
        assert (await told(service))["observed"]["shadow"]["faults"] == 1


async def test_too_many_copies_are_dropped(tmp_path: Path) -> None:
    """While a shadow is stuck callers are answered, and copies beyond the limit are dropped and counted."""
    async with trial(tmp_path, blind_model(), shadow=2) as service:
        service.engines["colours:2"].hold()
        await ask(service, 30)
        metrics = (await service.client.get("/metrics")).text
        assert 'outcome="dropped",version="2"} 21.0' in metrics
        service.engines["colours:2"].let_go()


async def test_a_copy_for_a_version_that_left_is_no_fault(tmp_path: Path) -> None:
    """Copies that waited for a shadow that is deleted meanwhile are dropped; it is not blamed for them."""
    async with trial(tmp_path, blind_model(), shadow=2) as service:
        engine = service.engines["colours:2"]
        engine.hold()
        await ask(service, 3)
        await until(lambda: engine.arrived)
        shutil.rmtree(tmp_path / "colours/2")
        await until(lambda: service.application.registry.version("colours", 2) is None)
        engine.let_go()
        await until(lambda: not service.application.rollout._copies._waiting)
        counted = service.application.telemetry.copies.labels
        await until(lambda: sum(counted("colours", "2", end)._value.get() for end in ("compared", "dropped")) == 3)
        assert service.application.rollout.counts("colours")["shadow"].faults == 0


@pytest.mark.parametrize("kept", [True, False])
async def test_images_are_kept_only_if_that_is_allowed(tmp_path: Path, kept: bool) -> None:
    """The images of the worst cases can be fetched where the settings have them kept, and nowhere else."""
    write_version(tmp_path, "colours", 1)
    write_version(tmp_path, "colours", 2, model=blind_model())
    (tmp_path / "routing.yaml").write_text("models: {colours: {aliases: {stable: 1}, shadow: 2}}")
    async with running(tmp_path, keep_disagreeing_images=kept) as service:
        await ask(service, 1)
        assert (await compared(service, 1))["worst"][0]["image_kept"] is kept
        response = await service.client.get("/v1/models/colours/traffic/1/2/images/0")
        assert (response.status_code, response.content == RED) == ((200, True) if kept else (404, False))


async def test_a_file_that_cannot_be_written_does_not_bring_the_canary_back(tmp_path: Path) -> None:
    """Where `routing.yaml` belongs to others the rollback holds here, also when they change another model in it."""
    rules = {**RULES, "max_error_rate": 0.01}
    async with trial(tmp_path, fragile_model(), weights={"canary": 1}, rollback=rules) as service:
        file = tmp_path / "routing.yaml"
        file.write_text(content := file.read_text() + "# not valid: [\n- {\n")
        await until(lambda: service.application.control.problem)
        await ask(service, 8, WHITE)
        await until(lambda: service.application.registry.traffic("colours").rolled_back)
        assert file.read_text() == content
        file.write_text(content.replace("# not valid: [\n- {\n", "  others: {pinned: true}\n"))
        await until(lambda: service.application.registry.traffic("others").pinned)
        assert await ask(service, 5, WHITE) == {"1": 5}
        assert service.application.registry.traffic("colours").rolled_back
