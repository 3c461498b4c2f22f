"""Over HTTP and WebSocket nobody gets in who may not: whatever the route, and whatever is added to them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import websockets
from starlette.routing import Mount

from service.api.entrance import FIGURES, OPEN, Entrance
from tests.service.api.listening import listening
from tests.service.keyed import Keys, bearer, write_keys
from tests.service.running import RED, Running, running
from tests.service.security.issuer import AUDIENCE, NAME, Issuer


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """Some keys."""
    return write_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
async def keyed(tiny_repository: Path, keys: Keys) -> AsyncIterator[Running]:
    """A service that asks for keys."""
    async with running(tiny_repository, keys_file=keys.file, admin_key="sesame") as service:
        yield service


async def operations(service: Running) -> list[tuple[str, str, bool]]:
    """Method, a path, and whether it is for admins, of all that the OpenAPI document has."""
    document = (await service.client.get("/openapi.json")).json()
    return [
        (method.upper(), path.replace("{number}", "1").replace("{", "").replace("}", ""), "admin" in said["tags"])
        for path, methods in document["paths"].items()
        for method, said in methods.items()
    ]


async def test_every_route_asks_for_a_key(keyed: Running) -> None:
    """Of everything that the OpenAPI document has, nothing but health answers without a key, or with a wrong one."""
    found = await operations(keyed)
    assert len(found) > 30
    for method, path, _ in found:
        for headers in ({}, bearer("vk_wrong"), {"X-API-Key": "wrong"}):
            response = await keyed.client.request(method, path, headers=headers)
            assert (response.status_code == 401) is (path not in OPEN), (method, path, response.status_code)


async def test_a_key_opens_what_its_scopes_say(keyed: Running, keys: Keys) -> None:
    """Infer opens all but changes, figures and kept images of others; metrics the figures alone; admin everything."""
    for method, path, changes in await operations(keyed):
        admin = changes or "/images/" in path
        kinds = {keys.alice: not admin and path not in FIGURES, keys.prometheus: path in FIGURES, keys.operator: True}
        for key, opens in kinds.items():
            response = await keyed.client.request(method, path, headers=bearer(key))
            refused = response.status_code in (401, 403)
            assert refused is not (opens or path in OPEN), (method, path, response.text)


async def test_who_administers_asks_no_models(keyed: Running, keys: Keys) -> None:
    """The scope admin alone reads and changes what is served, and begins no work of a caller's."""
    for method, path, changes in await operations(keyed):
        asks = method == "POST" and not changes and not path.endswith(":cancel")
        response = await keyed.client.request(method, path, headers=bearer(keys.warden))
        assert (response.status_code == 403) is asks, (method, path, response.text)


@pytest.mark.parametrize("path", sorted(FIGURES))
async def test_the_end_of_a_line_leads_round_no_scope(keyed: Running, keys: Keys, path: str) -> None:
    """The figures are for those who have their scope, however the path to them is written."""
    for written in (path, f"{path}%0A"):
        assert (await keyed.client.get(written, headers=bearer(keys.alice))).status_code == 403, written


async def test_no_route_is_beside_the_document(keyed: Running) -> None:
    """What answers without being described asks for a key too, unless it is a page, its files, or the document."""
    hidden = [route for route in keyed.application.asgi.routes if not getattr(route, "include_in_schema", False)]
    paths = {getattr(route, "path", "") for route in hidden if not isinstance(route, Mount)}
    mounts = {route.path for route in keyed.application.asgi.routes if isinstance(route, Mount)}
    assert mounts == {"/web", "/static-offline-docs"}
    assert {path for path in paths if path} - OPEN <= {"/v1/stream"}
    for path in ("/nowhere", "/web", "/v1", "//v1/models", "/healthz/", "/V1/models"):
        assert (await keyed.client.get(path)).status_code == 401, path


@pytest.mark.parametrize("path", ["/", "/dashboard", "/docs", "/openapi.json", "/web/api.js", "/healthz", "/readyz"])
async def test_pages_and_probes_are_for_everybody(keyed: Running, path: str) -> None:
    """A page holds nothing of anybody's, and what probes ask they ask without a key."""
    assert (await keyed.client.get(path)).status_code == 200


async def test_a_refusal_says_how_to_come_in(keyed: Running, keys: Keys) -> None:
    """401 names the scheme, and says what to send; the protocol of /v2 hears so in its own form."""
    response = await keyed.ask("/v1/classify", RED)
    assert response.headers["www-authenticate"] == 'Bearer realm="vitrail"'
    assert (response.json()["code"], "X-API-Key" in response.json()["detail"]) == ("unauthenticated", True)
    protocol = await keyed.client.get("/v2")
    assert (protocol.status_code, list(protocol.json())) == (401, ["error"])
    assert protocol.headers["x-request-id"]
    assert (await keyed.ask("/v1/classify", RED, **bearer(keys.alice))).status_code == 200


async def test_refusals_are_counted(keyed: Running) -> None:
    """What the gate refuses stands in the metrics, as any other refusal does."""
    await keyed.ask("/v1/classify", RED)
    text, _ = keyed.application.telemetry.exposition()
    assert any('reason="unauthenticated"' in line for line in str(text).splitlines())


async def test_too_many_requests_are_told_to_wait(tiny_repository: Path, tmp_path: Path) -> None:
    """Beyond a caller's rate there is 429, with the time to wait and what its rate is; other callers are served."""
    keys = write_keys(tmp_path, rate="2/hour")
    async with running(tiny_repository, keys_file=keys.file) as service:
        answers = [await service.ask("/v1/classify", RED, **bearer(keys.alice)) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[0].headers["ratelimit"].startswith('"caller";r=1;t=')
        assert answers[2].headers["ratelimit-policy"] == '"caller";q=2;w=3600'
        assert 1700 < int(answers[2].headers["retry-after"]) <= 1800
        assert answers[2].json()["code"] == "rate_limited"
        assert (await service.ask("/v1/classify", RED, **bearer(keys.bob))).status_code == 200


async def test_addresses_are_counted_where_nobody_is_asked(tiny_repository: Path) -> None:
    """With a rate and without keys, anybody may ask, but not without end; pages and probes do not count."""
    async with running(tiny_repository, rate_limit="1/hour") as service:
        assert (await service.client.get("/readyz")).status_code == 200
        assert [(await service.ask("/v1/classify", RED)).status_code for _ in range(2)] == [200, 429]


async def test_so_many_requests_of_a_caller_are_under_way(tiny_repository: Path, tmp_path: Path) -> None:
    """A request beyond is refused at once, not held; once one is over the next is taken."""
    keys = write_keys(tmp_path, concurrency=1)
    async with running(tiny_repository, keys_file=keys.file) as service:
        for engine in service.engines.values():
            engine.hold()
        first = asyncio.create_task(service.ask("/v1/classify", RED, **bearer(keys.alice)))
        while not any(engine.arrived for engine in service.engines.values()):  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.001)
        assert (await service.ask("/v1/classify", RED, **bearer(keys.alice))).status_code == 429
        for engine in service.engines.values():
            engine.let_go()
        assert (await first).status_code == 200
        assert (await service.ask("/v1/classify", RED, **bearer(keys.alice))).status_code == 200


async def test_a_stream_asks_for_a_key(keyed: Running, keys: Keys) -> None:
    """By header or, as browsers must, among the protocols; without, the stream says why it is none and closes."""
    async with listening(keyed.application.asgi) as listener:
        url = listener.url("task=classify")
        async with websockets.connect(url) as socket:
            assert json.loads(await socket.recv())["error"]["code"] == "unauthenticated"
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008
        ways = [
            {"additional_headers": bearer(keys.alice)},
            {"subprotocols": [websockets.Subprotocol(name) for name in ("vitrail", f"vitrail.bearer.{keys.alice}")]},
        ]
        for way in ways:
            async with websockets.connect(url, **way) as socket:
                await socket.send(RED)
                assert json.loads(await socket.recv())["frame"] == 0
                assert socket.subprotocol == ("vitrail" if "subprotocols" in way else None)


async def test_who_administers_opens_no_stream(keyed: Running, keys: Keys) -> None:
    """The scope admin alone has no frames looked at."""
    async with (
        listening(keyed.application.asgi) as listener,
        websockets.connect(listener.url("task=classify"), additional_headers=bearer(keys.warden)) as socket,
    ):
        assert json.loads(await socket.recv())["error"]["code"] == "forbidden"


async def test_a_stream_is_one_request_under_way(tiny_repository: Path, tmp_path: Path) -> None:
    """A stream takes its caller's place for as long as it lives, and gives it back."""
    keys = write_keys(tmp_path, concurrency=1)
    async with (
        running(tiny_repository, keys_file=keys.file) as service,
        listening(service.application.asgi) as listener,
    ):
        async with websockets.connect(listener.url("task=classify"), additional_headers=bearer(keys.alice)) as socket:
            await socket.send(RED)
            await socket.recv()
            assert (await service.ask("/v1/classify", RED, **bearer(keys.alice))).status_code == 429
        # The service hears of the end a moment later.
        async with asyncio.timeout(30):
            while (await service.ask("/v1/classify", RED, **bearer(keys.alice))).status_code == 429:
                pass


async def test_other_sites_pages_open_no_streams(tiny_repository: Path) -> None:
    """A page elsewhere reads no answers over a WebSocket, which browsers let any page try; one that is named does."""
    async with (
        running(tiny_repository, cors_origins=["https://app.example"]) as service,
        listening(service.application.asgi) as listener,
    ):
        for origin, code in (("https://evil.example", "forbidden"), ("https://app.example", None)):
            url = listener.url("task=classify")
            async with websockets.connect(url, origin=websockets.Origin(origin)) as socket:
                with suppress(websockets.ConnectionClosed):
                    await socket.send(RED)
                assert json.loads(await socket.recv()).get("error", {}).get("code") == code


async def test_tokens_are_taken_beside_keys(tiny_repository: Path, tmp_path: Path, keys: Keys) -> None:
    """Who brings a token of the issuer may what its scopes say; keys go on being taken."""
    issuer, jwks = Issuer(), tmp_path / "jwks.json"
    jwks.write_bytes(issuer.jwks())
    tokens = {"jwt_keys": str(jwks), "jwt_issuer": NAME, "jwt_audience": AUDIENCE}
    async with running(tiny_repository, keys_file=keys.file, **tokens) as service:
        for credential, status in (
            (issuer.token(), 200),
            (keys.alice, 200),
            (issuer.token(scope="openid"), 403),
            (issuer.token(aud="somebody else"), 401),
        ):
            assert (await service.ask("/v1/classify", RED, **bearer(credential))).status_code == status


async def test_nothing_stands_in_the_way_where_nothing_is_asked(service: Running) -> None:
    """Without keys, tokens, rates and other sites there is no gate: requests go straight to their routes."""
    assert service.application.access.gate is None
    assert not [one for one in service.application.asgi.user_middleware if one.cls is Entrance]
