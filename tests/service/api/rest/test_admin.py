"""What people change through the API: loaded versions, aliases, shares and defaults."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.doubles import until
from tests.service.running import RED, Running, running
from tests.tiny_models import write_version


@pytest.fixture
async def three(tmp_path: Path) -> AsyncIterator[Running]:
    """A service with three versions of one model, the third of them broken."""
    for version in (1, 2, 3):
        write_version(tmp_path, "colours", version)
    (tmp_path / "colours/3/golden.npz").unlink()
    async with running(tmp_path) as service:
        yield service


async def put(service: Running, path: str, body: Any, method: str = "PUT") -> httpx.Response:
    """Change something."""
    return await service.client.request(method, path, json=body)


async def version_of(service: Running, model: str = "colours") -> tuple[str, str | None]:
    """Version and alias that answer a classify request."""
    found = (await service.ask(f"/v1/classify?model={model}", RED)).json()["model"]
    return found["version"], found.get("alias")


async def put_all(service: Running) -> None:
    """Give the versions the aliases of the example."""
    for alias, version in (("stable", 1), ("canary", 2)):
        await put(service, f"/v1/models/colours/aliases/{alias}", {"version": version})


def written(service: Running) -> Any:
    """What ``routing.yaml`` says."""
    return yaml.safe_load((service.application.settings.repository / "routing.yaml").read_text())


async def test_an_alias_is_given_and_taken(three: Running) -> None:
    """An alias holds from the answer on, stands in the file, is given to another version, and is taken away."""
    assert await version_of(three) == ("2", "stable")
    for version in (1, 2):
        response = await put(three, "/v1/models/colours/aliases/stable", {"version": version})
        assert (response.status_code, response.json()["aliases"]) == (200, {"stable": str(version)})
        assert await version_of(three) == (str(version), "stable")
        assert written(three)["models"]["colours"]["aliases"] == {"stable": version}
    assert (await put(three, "/v1/models/colours/aliases/stable", None, "DELETE")).status_code == 200
    assert written(three)["models"]["colours"] == {}


async def test_traffic_is_divided_and_told(three: Running) -> None:
    """Shares, shadow, stickiness and rules are set as one, hold at once, and are told again as they were set."""
    await put(three, "/v1/models/colours/aliases/canary", {"version": "2"})
    wanted = {"stable": 0, "canary": 10, "shadow": 1, "sticky": "header:X-User", "rollback": {"min_requests": 7}}
    response = await put(three, "/v1/models/colours/traffic", wanted)
    assert response.status_code == 200
    told = (await three.client.get("/v1/models/colours/traffic")).json()
    assert response.json() == told
    assert (told["weights"], told["shadow"], told["sticky"]) == ({"stable": 0, "canary": 10}, 1, "header:X-User")
    assert told["rollback"]["min_requests"] == 7
    assert await version_of(three) == ("2", "canary")
    assert (await put(three, "/v1/models/colours/traffic", {})).json()["weights"] == {"stable": 100}


async def test_a_tasks_default_is_chosen(tmp_path: Path) -> None:
    """What answers a task without a model is what was chosen."""
    for name in "ab":
        write_version(tmp_path, name)
    async with running(tmp_path) as service:
        assert (await put(service, "/v1/tasks/classify/default", {"model": "b@stable"})).status_code == 200
        assert (await service.ask("/v1/classify", RED)).json()["model"]["name"] == "b"
        assert written(service) == {"tasks": {"classify": "b@stable"}}


async def test_versions_are_unloaded_and_loaded(three: Running) -> None:
    """A version that is unloaded answers no more and says so; loaded, it does again."""
    response = await put(three, "/v1/models/colours/versions/2:unload", None, "POST")
    assert (response.status_code, response.json()["state"]) == (200, "unloaded")
    assert await version_of(three) == ("1", "stable")
    refused = await three.ask("/v1/classify?model=colours:2", RED)
    assert (refused.status_code, "somebody unloaded it" in refused.json()["detail"]) == (409, True)
    response = await put(three, "/v1/models/colours/versions/2:load", None, "POST")
    assert (response.status_code, response.json()["state"]) == (200, "ready")
    assert await version_of(three) == ("2", "stable")


WRONG: dict[str, tuple[str, str, Any, int, str]] = {
    "no such version": ("PUT", "models/colours/aliases/canary", {"version": 9}, 404, "no colours:9"),
    "no such model": ("PUT", "models/nothing/aliases/canary", {"version": 1}, 404, "no nothing:1"),
    "a broken version": ("PUT", "models/colours/aliases/canary", {"version": 3}, 409, "golden.npz"),
    "a reserved word": ("PUT", "models/colours/aliases/shadow", {"version": 1}, 422, "cannot be the name"),
    "no alias by that name": ("DELETE", "models/colours/aliases/canary", None, 404, "no alias 'canary'"),
    "not a name": ("PUT", "models/colours/aliases/Can ary", {"version": 1}, 422, "aliases"),
    "no version": ("PUT", "models/colours/aliases/canary", {}, 422, "version"),
    "true for a version": ("PUT", "models/colours/aliases/canary", {"version": True}, 422, "version"),
    "a version with an underscore": ("PUT", "models/colours/aliases/canary", {"version": "0_1"}, 422, "version"),
    "true for a share": ("PUT", "models/colours/traffic", {"stable": True}, 422, "valid number"),
    "a word for a switch": ("PUT", "models/colours/traffic", {"pinned": "yes"}, 422, "valid boolean"),
    "not an object": ("PUT", "models/colours/traffic", [1], 422, "send an object"),
    "a share without an alias": ("PUT", "models/colours/traffic", {"canary": 1}, 422, "which aliases do not have"),
    "negative share": ("PUT", "models/colours/traffic", {"stable": -1}, 422, "greater than or equal"),
    "a broken shadow": ("PUT", "models/colours/traffic", {"shadow": 3}, 409, "golden.npz"),
    "a rule that is none": ("PUT", "models/colours/traffic", {"rollback": {"max_p99": 1}}, 422, "max_p99"),
    "a stickiness of another kind": ("PUT", "models/colours/traffic", {"sticky": "cookie:x"}, 422, "sticky"),
    "no such task": ("PUT", "tasks/dance/default", {"model": "colours"}, 404, "no such task"),
    "a default that is not there": ("PUT", "tasks/classify/default", {"model": "nothing"}, 404, "no model 'nothing'"),
    "a version as default": ("PUT", "tasks/classify/default", {"model": "colours:1"}, 422, "alias first"),
    "load what is broken": ("POST", "models/colours/versions/3:load", None, 409, "golden.npz"),
    "load what is not there": ("POST", "models/colours/versions/9:load", None, 404, "no colours:9"),
    "unload what is no number": ("POST", "models/colours/versions/x:unload", None, 404, "a number"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_what_makes_no_sense_is_refused(three: Running, case: str) -> None:
    """A wrong change is refused with its reason, and nothing is written."""
    method, path, body, status, words = WRONG[case]
    response = await put(three, f"/v1/{path}", body, method)
    assert response.status_code == status
    assert words in response.json()["detail"]
    assert not (three.application.settings.repository / "routing.yaml").exists()


async def test_text_that_is_no_json_is_refused(three: Running) -> None:
    """A body that is not JSON, or far too long, is a problem document too."""
    for content, status in [(b"{", 422), (b" " * 70_000, 413)]:
        response = await three.client.put("/v1/models/colours/traffic", content=content)
        assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")


async def test_an_alias_in_use_is_not_taken_away(three: Running) -> None:
    """What carries a share of the traffic keeps its alias, and its version stays loaded."""
    await put(three, "/v1/models/colours/aliases/canary", {"version": 2})
    await put(three, "/v1/models/colours/traffic", {"canary": 1})
    response = await put(three, "/v1/models/colours/aliases/canary", None, "DELETE")
    assert (response.status_code, "share" in response.json()["detail"]) == (422, True)
    response = await put(three, "/v1/models/colours/versions/2:unload", None, "POST")
    assert (response.status_code, "is canary" in response.json()["detail"]) == (422, True)
    assert await version_of(three) == ("2", "canary")


async def test_a_broken_file_is_not_written_over(three: Running) -> None:
    """While somebody's file is not valid the API changes nothing in it: what they meant would be lost."""
    path = three.application.settings.repository / "routing.yaml"
    path.write_text("models: [")
    response = await put(three, "/v1/models/colours/aliases/stable", {"version": 1})
    assert (response.status_code, "not valid" in response.json()["detail"]) == (422, True)
    assert path.read_text() == "models: ["


async def test_who_may_not_changes_nothing(tmp_path: Path) -> None:
    """With a key, callers without it are refused on every changing route; reading stays open."""
    write_version(tmp_path, "colours")
    async with running(tmp_path, admin_key="sesame") as service:
        for method, path, body, _, _ in WRONG.values():
            response = await put(service, f"/v1/{path}", body, method)
            assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")
        service.client.headers["Authorization"] = "Bearer sesame"
        assert (await put(service, "/v1/models/colours/aliases/stable", {"version": 1})).status_code == 200
        await until(lambda: service.application.registry.traffic("colours").aliases)


async def test_the_document_describes_each_change(three: Running) -> None:
    """The OpenAPI document names every changing route's parameters, and shows a body where one is wanted."""
    paths = (await three.client.get("/openapi.json")).json()["paths"]
    put = paths["/v1/models/{name}/traffic"]["put"]
    assert [parameter["name"] for parameter in put["parameters"]] == ["name"]
    example = put["requestBody"]["content"]["application/json"]["example"]
    await put_all(three)
    assert (await three.client.put("/v1/models/colours/traffic", json={**example, "shadow": 1})).status_code == 200
    assert "requestBody" not in paths["/v1/models/{name}/versions/{number}:load"]["post"]
