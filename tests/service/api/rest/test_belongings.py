"""A video job and a live stream are their caller's: nobody else finds them, but who administers."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.service.api.rest.films import a_clip, film_models
from tests.service.keyed import Keys, bearer, write_keys
from tests.service.running import Running, running

NOWHERE = "rtsp://127.0.0.1:9/camera"


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """Some keys."""
    return write_keys(tmp_path)


@pytest.fixture
async def keyed(tmp_path: Path, keys: Keys) -> AsyncIterator[Running]:
    """A service that asks for keys, takes videos and watches cameras."""
    repository = film_models(tmp_path / "models")
    settings = {"videos": tmp_path / "videos", "allowed_urls": "rtsp://127.0.0.1:*", "max_streams_per_caller": 1}
    async with running(repository, keys_file=keys.file, **settings) as service:
        yield service


async def job_of(service: Running, key: str, clip: bytes, **headers: str) -> str:
    """The path of a caller's job."""
    sent = {**bearer(key), **{name.replace("_", "-"): value for name, value in headers.items()}}
    response = await service.client.post("/v1/videos?task=detect", content=clip, headers=sent)
    assert response.status_code == 202, response.text
    path: str = response.headers["Location"]
    return path


async def test_a_job_is_its_callers(tmp_path: Path, keyed: Running, keys: Keys) -> None:
    """Another caller gets 404 for everything that could be done with it, and does not see it in the list."""
    path = await job_of(keyed, keys.alice, a_clip(tmp_path).read_bytes())
    for method, rest in (
        ("GET", ""),
        ("GET", "/results"),
        ("GET", "/annotated.mp4"),
        ("POST", ":cancel"),
        ("DELETE", ""),
    ):
        response = await keyed.client.request(method, path + rest, headers=bearer(keys.bob))
        assert (response.status_code, response.json()["code"]) == (404, "not_found"), rest
    for key, seen in ((keys.alice, True), (keys.bob, False), (keys.operator, True)):
        listed = (await keyed.client.get("/v1/videos", headers=bearer(key))).json()["videos"]
        assert [job["links"]["self"] for job in listed] == [path] * seen
        assert (await keyed.client.get(path, headers=bearer(key))).status_code == (200 if seen else 404)
    assert (await keyed.client.delete(path, headers=bearer(keys.operator))).status_code == 204


async def test_an_idempotency_key_is_its_callers(tmp_path: Path, keyed: Running, keys: Keys) -> None:
    """The same key of two callers makes two jobs: neither gets, nor learns of, the other's."""
    clip = a_clip(tmp_path).read_bytes()
    first, again = [await job_of(keyed, keys.alice, clip, idempotency_key="one") for _ in range(2)]
    assert first == again
    assert await job_of(keyed, keys.bob, clip, idempotency_key="one") != first


async def test_a_live_stream_is_its_callers(keyed: Running, keys: Keys) -> None:
    """Another caller finds it nowhere; each caller has places of its own, though both ask from one address."""
    wanted = {"url": NOWHERE, "task": "detect"}
    path = (await keyed.client.post("/v1/streams", json=wanted, headers=bearer(keys.alice))).headers["Location"]
    for method, rest in (("GET", ""), ("GET", "/results"), ("GET", "/picture.jpg"), ("DELETE", "")):
        response = await keyed.client.request(method, path + rest, headers=bearer(keys.bob))
        assert response.status_code == 404, rest
    assert (await keyed.client.get("/v1/streams", headers=bearer(keys.bob))).json() == {"streams": []}
    again = await keyed.client.post("/v1/streams", json=wanted, headers=bearer(keys.alice))
    other = await keyed.client.post("/v1/streams", json=wanted, headers=bearer(keys.bob))
    assert (again.status_code, other.status_code) == (429, 201)
    assert (await keyed.client.delete(path, headers=bearer(keys.operator))).status_code == 204


async def test_where_nobody_is_asked_all_is_everybodys(tmp_path: Path) -> None:
    """Without keys, jobs of callers who once had some are found by everybody, as all others are."""
    keys, repository = write_keys(tmp_path), film_models(tmp_path / "models")
    async with running(repository, keys_file=keys.file, videos=tmp_path / "videos") as service:
        path = await job_of(service, keys.alice, a_clip(tmp_path).read_bytes())
    async with running(repository, videos=tmp_path / "videos") as service:
        assert (await service.client.get(path)).status_code == 200
        assert len((await service.client.get("/v1/videos")).json()["videos"]) == 1
