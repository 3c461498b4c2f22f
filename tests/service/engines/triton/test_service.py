"""The service over a Triton that comes and goes."""

import asyncio
import json
from pathlib import Path

import httpx

from contract.card import Platform
from tests.doubles import until
from tests.service.running import RED, Running, running
from tests.service.video.clips import every, write_clip
from tests.tiny_models import colour_model, write_version
from tests.triton_server import TritonServer


async def ready(service: Running) -> int:
    """The status of the readiness probe."""
    return (await service.client.get("/readyz")).status_code


async def state(service: Running, version: int = 1) -> str:
    """What the service tells of a version."""
    told = (await service.client.get(f"/v1/models/colours/versions/{version}")).json()
    return str(told["state"])


async def ask(service: Running) -> httpx.Response:
    """Classify a red picture."""
    return await service.ask("/v1/classify?model=colours", RED)


async def test_a_triton_that_is_killed_and_comes_back(triton: TritonServer, repository: Path) -> None:
    """Without its Triton the service says 503 and is not ready; once it is back, empty, both are well by themselves."""
    async with running(repository, triton_url=triton.url) as service:
        assert (await ask(service)).status_code == 200
        triton.kill()
        asking = [asyncio.create_task(ask(service)) for _ in range(8)]
        codes = {(answer.status_code, answer.json().get("code")) for answer in await asyncio.gather(*asking)}
        assert codes == {(503, "engine_unavailable")}
        assert (await ready(service), await state(service)) == (503, "unreachable")
        triton.start()
        await until(lambda: service.application.registry.ready)
        assert (await ready(service), (await ask(service)).status_code) == (200, 200)


async def test_a_triton_that_is_late(triton: TritonServer, repository: Path) -> None:
    """A service that starts before its Triton waits for it, saying so, and serves when it is there."""
    triton.kill()
    async with running(repository, triton_url=triton.url) as service:
        assert (await ready(service), await state(service)) == (503, "loading")
        assert "no Triton" in (await service.client.get("/v1/models")).json()["models"][0]["versions"][0]["reason"]
        triton.start()
        versions = service.application.registry.versions
        await until(lambda: [version.state for version in versions()] == ["ready", "ready"])
        assert (await ready(service), (await ask(service)).status_code) == (200, 200)


async def test_versions_come_change_and_go_in_triton(triton: TritonServer, repository: Path) -> None:
    """What is written, rewritten and deleted in the repository is loaded, reloaded and unloaded in Triton."""
    async with running(repository, triton_url=triton.url, repository_interval_s=0.05) as service:
        write_version(repository, "colours", 3, model=colour_model(3.0), platform=Platform.PYTHON)
        version = service.application.registry.version
        await until(lambda: (third := version("colours", 3)) and third.state == "ready")
        labels = repository / "colours/3/labels.txt"
        labels.write_text(labels.read_text() + "\n")
        before = service.application.registry.aliased("colours")
        await until(lambda: service.application.registry.aliased("colours") is not before)
        assert (await ask(service)).json()["model"]["version"] == "3"
        (repository / "colours/3/card.json").unlink()
        await until(lambda: version("colours", 3) is None)
        assert (await ask(service)).json()["model"]["version"] == "2"


async def test_a_video_outlives_its_triton(triton: TritonServer, repository: Path, tmp_path: Path) -> None:
    """A job whose Triton dies in the middle goes on when it is back: each frame has one line, from the model."""
    clip = write_clip(tmp_path / "clip.mp4", every(100)).read_bytes()
    async with running(repository, triton_url=triton.url) as service:
        engine = service.engines["colours:2"]
        engine.hold()
        url = (await service.client.post("/v1/videos?task=classify&model=colours", content=clip)).json()["links"]
        await until(lambda: engine.arrived > 0)
        triton.kill()
        engine.let_go()
        await until(lambda: service.application.video.jobs.waiting + service.application.video.jobs.running == 1)
        triton.start()
        lines = (await service.client.get(url["results"])).text.splitlines()
        status = (await service.client.get(url["self"])).json()
    assert [json.loads(line)["frame"] for line in lines] == list(range(100))
    assert (status["state"], status["frames"]["processed"]) == ("done", 100)
