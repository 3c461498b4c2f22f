"""Who may change what is served, what is noted of it, and where it can be done."""

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.service.keyed import Keys, bearer, write_keys
from tests.service.running import RED, Running, running
from tests.tiny_models import write_version

ALIAS = "/v1/models/colours/aliases/canary"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One small model that a test may change."""
    write_version(tmp_path / "models", "colours", 1)
    return tmp_path / "models"


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """Some keys."""
    return write_keys(tmp_path)


@pytest.fixture
async def keyed(repository: Path, keys: Keys) -> AsyncIterator[Running]:
    """A service that asks for keys, and has one of its operator's too."""
    async with running(repository, keys_file=keys.file, admin_key="sesame") as service:
        yield service


def notes(caplog: pytest.LogCaptureFixture) -> list[dict[str, str]]:
    """What the audit log holds."""
    return [json.loads(record.getMessage()) for record in caplog.records if record.name == "vitrail.audit"]


async def test_the_scope_and_the_operators_key_may_change_things(keyed: Running, keys: Keys) -> None:
    """Both may; who may only infer may not, though it asks from the service's own machine."""
    for key, status in ((keys.alice, 403), (keys.operator, 200), ("sesame", 200), ("vk_wrong", 401)):
        response = await keyed.client.put(ALIAS, json={"version": 1}, headers=bearer(key))
        assert response.status_code == status


async def test_every_try_is_noted(keyed: Running, keys: Keys, caplog: pytest.LogCaptureFixture) -> None:
    """One line a call: who, what, which, with what outcome, under which id; never a key."""
    tries = [(keys.operator, 1), (keys.operator, 9), (keys.alice, 1), (keys.prometheus, 1), ("vk_wrong", 1)]
    for key, version in tries:
        await keyed.client.put(
            ALIAS, json={"version": version}, headers={**bearer(key), "X-Request-Id": f"try-{version}"}
        )
    found = notes(caplog)
    assert [(note["who"], note["outcome"]) for note in found] == [
        ("operator", "done"),
        ("operator", "model_not_found"),
        ("alice", "forbidden"),
        ("unknown", "forbidden"),
        ("unknown", "unauthenticated"),
    ]
    assert (found[1]["what"], found[1]["which"], found[1]["request_id"]) == (
        "Let an alias stand for a version",
        ALIAS,
        "try-9",
    )
    assert not any(key in caplog.text for key in (keys.operator, keys.alice, "sesame"))


async def test_a_note_goes_before_the_level_of_the_log(repository: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where the log is to hold warnings only, changes are noted all the same; so is who has no name."""
    caplog.set_level(logging.WARNING)
    caplog.handler.setLevel(logging.NOTSET)
    async with running(repository) as service:
        await service.client.put(ALIAS, json={"version": 1})
    assert [(note["who"], note["address"]) for note in notes(caplog)] == [("this machine", "127.0.0.1")]


async def test_a_port_of_its_own(repository: Path, keys: Keys) -> None:
    """With --admin-port the public port has no changes, figures, history or dashboard, in its document too."""
    async with running(repository, keys_file=keys.file, admin_port=0) as service:
        admin = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=service.application.admin_asgi), base_url="http://admin"
        )
        async with admin:
            for path in ("/metrics", "/v1/history", "/dashboard"):
                assert (await service.client.get(path, headers=bearer(keys.operator))).status_code == 404, path
                assert (await admin.get(path)).status_code == 200, path
            for client, status in ((service.client, 404), (admin, 200)):
                response = await client.put(ALIAS, json={"version": 1}, headers=bearer(keys.operator))
                assert response.status_code == status
                tags = {tag for said in operations((await client.get("/openapi.json")).json()) for tag in said["tags"]}
                assert ("admin" in tags) is (client is admin)
            assert (await admin.put(ALIAS, json={"version": 1})).status_code == 401
            image = await admin.post(
                "/v1/classify", content=RED, headers=bearer(keys.alice) | {"Content-Type": "image/png"}
            )
            assert image.status_code == 200


def operations(document: dict[str, dict[str, dict[str, dict[str, list[str]]]]]) -> list[dict[str, list[str]]]:
    """Everything that an OpenAPI document has."""
    return [said for methods in document["paths"].values() for said in methods.values()]


async def test_other_sites_pages_may_ask_where_they_are_named(repository: Path, keys: Keys) -> None:
    """Off by default; a named site's page may send its key and read the answer, and any other may not."""
    site, preflight = "https://app.example", {"Access-Control-Request-Method": "POST"}
    wanted = preflight | {"Access-Control-Request-Headers": "authorization"}
    async with running(repository, keys_file=keys.file, cors_origins=[site]) as service:
        for origin, allowed in ((site, site), ("https://evil.example", None)):
            asked = await service.client.options("/v1/classify", headers={"Origin": origin, **wanted})
            assert asked.headers.get("access-control-allow-origin") == allowed
            refused = await service.ask("/v1/classify", RED, Origin=origin)
            assert (refused.status_code, refused.headers.get("access-control-allow-origin")) == (401, allowed)
    async with running(repository) as service:
        answer = await service.ask("/v1/classify", RED, Origin=site)
        assert (answer.status_code, answer.headers.get("access-control-allow-origin")) == (200, None)
