"""Routing as a caller sees it: the file in the repository, the answers, and the pages that tell of it."""

from pathlib import Path

from tests.doubles import until
from tests.service.running import Running, picture, running
from tests.tiny_models import write_version

ROUTED = """
models:
  colours: {aliases: {stable: 1, canary: 2}, weights: {stable: 50, canary: 50}, sticky: header:X-User}
"""


async def asked_by(service: Running, users: int) -> list[tuple[str, str]]:
    """Version and alias that each of so many users gets."""
    found = []
    for user in range(users):
        response = await service.ask("/v1/classify?model=colours", picture(250, 0, 0), x_user=str(user))
        model = response.json()["model"]
        found.append((model["version"], model["alias"]))
    return found


async def test_the_file_divides_traffic_while_the_service_runs(tmp_path: Path) -> None:
    """Written, `routing.yaml` divides callers by their header, and says so; gone, the newest answers all."""
    for version in (1, 2):
        write_version(tmp_path, "colours", version)
    async with running(tmp_path, routing_interval_s=0.01) as service:
        assert set(await asked_by(service, 5)) == {("2", "stable")}
        (tmp_path / "routing.yaml").write_text(ROUTED)
        await until(lambda: service.application.registry.traffic("colours").weights != {})
        answers = await asked_by(service, 30)
        assert set(answers) == {("1", "stable"), ("2", "canary")}
        assert await asked_by(service, 30) == answers
        told = (await service.client.get("/v1/models/colours/traffic")).json()
        assert told["aliases"] == {"stable": "1", "canary": "2"}
        assert (told["weights"], told["sticky"]) == ({"stable": 50, "canary": 50}, "header:X-User")
        (tmp_path / "routing.yaml").unlink()
        await until(lambda: not service.application.registry.traffic("colours").weights)
        assert set(await asked_by(service, 5)) == {("2", "stable")}


async def test_a_wrong_file_is_told_and_not_followed(tmp_path: Path) -> None:
    """A file that is not valid leaves the routing as it was, and `/v1/models` says why."""
    for version in (1, 2):
        write_version(tmp_path, "colours", version)
    (tmp_path / "routing.yaml").write_text(ROUTED)
    async with running(tmp_path, routing_interval_s=0.01) as service:
        assert (await service.client.get("/v1/models")).json()["routing"] == {"problem": None}
        (tmp_path / "routing.yaml").write_text("models: {colours: {weights: {blue: 1}}}")
        await until(lambda: service.application.routing_file.problem is not None)
        problem = (await service.client.get("/v1/models")).json()["routing"]["problem"]
        assert "blue" in problem
        assert {alias for _, alias in await asked_by(service, 30)} == {"stable", "canary"}


async def test_an_unknown_model_has_no_traffic(service: Running) -> None:
    """Of a model that is not there, no traffic is told."""
    assert (await service.client.get("/v1/models/nothing/traffic")).status_code == 404
