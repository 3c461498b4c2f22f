"""The routes that tell what is served."""

from pathlib import Path

from contract.card import ModelCard
from contract.task import Task
from tests.service.running import Running, running
from tests.tiny_models import write_version


async def test_the_list_names_every_model(service: Running) -> None:
    """Each model stands there with its task, its versions, and whether it is its task's default."""
    models = {model["name"]: model for model in (await service.client.get("/v1/models")).json()["models"]}
    assert set(models) >= {"colours", "means", "middle", "blobs", "bright", "clips"}
    assert {model["task"] for model in models.values()} == set(Task) - {Task.EXPLAIN}
    assert (models["colours"]["task"], models["colours"]["default"]) == ("classify", True)
    assert [version["version"] for version in models["colours"]["versions"]] == ["1", "2"]
    assert models["colours"]["aliases"] == {"stable": "2"}


async def test_one_model_is_described_as_in_the_list(service: Running) -> None:
    """A model's own page is its entry of the list."""
    listed = (await service.client.get("/v1/models")).json()["models"]
    for entry in listed:
        assert (await service.client.get(f"/v1/models/{entry['name']}")).json() == entry


async def test_a_version_shows_its_card_and_certificate(service: Running) -> None:
    """The card of a version is the one in the repository, beside its state and what its certificate says."""
    answer = (await service.client.get("/v1/models/colours/versions/1")).json()
    card = ModelCard.model_validate(answer["card"])
    assert (card.name, card.version) == ("colours", 1)
    assert (answer["state"], answer["reason"]) == ("ready", None)
    assert answer["certificate"]["passed"]
    assert answer["certificate"]["batch_sizes"] == [1, 2, 3, 4]


async def test_what_is_not_there_is_not_found(service: Running) -> None:
    """An unknown model or version is a problem document."""
    for path in ("nothing", "nothing/versions/1", "colours/versions/9", "colours/versions/x", "colours/versions/01"):
        response = await service.client.get(f"/v1/models/{path}")
        assert (response.status_code, response.json()["code"]) == (404, "model_not_found"), path


async def test_a_failed_version_is_shown_with_its_reason(tmp_path: Path) -> None:
    """A version that is out says why, and its model is listed though it has no stable version."""
    write_version(tmp_path, "broken")
    (tmp_path / "broken/1/golden.npz").write_bytes(b"")
    write_version(tmp_path, "cardless")
    (tmp_path / "cardless/1/card.json").write_text("{}")
    async with running(tmp_path) as service:
        models = (await service.client.get("/v1/models")).json()["models"]
        cardless = (await service.client.get("/v1/models/cardless/versions/1")).json()
    assert [model["versions"][0]["state"] for model in models] == ["failed", "failed"]
    assert "golden.npz" in models[0]["versions"][0]["reason"]
    assert models[0]["aliases"] == {}
    assert (cardless["card"], cardless["certificate"]) == (None, None)
