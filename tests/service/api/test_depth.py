"""JSON that is nested without end: told so, wherever JSON is taken, and nothing breaks."""

import json
from pathlib import Path

import pytest
import websockets

from tests.service.api.listening import listening
from tests.service.running import RED, running

DEEP = b"[" * 100_000
DEPTHS = (200, 300, 1000, 1500)
"""Around the limits of what reads and of what writes JSON."""
ROUTES = {
    "POST /v1/classify": b'{"images": [{"b64": ""}], "parameters": {"a": %b}}',
    "POST /v1/streams": b'{"url": "rtsp://127.0.0.1:9/a", "task": "detect", "parameters": {"labels": %b}}',
    "PUT /v1/models/colours/traffic": b'{"stable": %b}',
    "PUT /v1/models/colours/aliases/canary": b"%b",
    "POST /v2/models/colours/infer": b'{"inputs": [], "parameters": {"a": %b}}',
}


@pytest.mark.parametrize("route", ROUTES)
async def test_no_depth_breaks_a_route(tiny_repository: Path, route: str) -> None:
    """Each depth is a refusal by the caller's fault, never by the service's."""
    method, path = route.split()
    async with running(tiny_repository, allowed_urls="rtsp://127.0.0.1:*") as service:
        nested = [b"[" * depth + b"]" * depth for depth in DEPTHS] + [
            b'{"a":' * depth + b"1" + b"}" * depth for depth in DEPTHS
        ]
        for value in [*nested, DEEP]:
            response = await service.client.request(
                method, path, content=ROUTES[route] % value, headers={"Content-Type": "application/json"}
            )
            assert 400 <= response.status_code < 500, response.text


async def test_no_depth_breaks_a_stream(tiny_repository: Path) -> None:
    """A text that is nested too deeply is answered by an error, and the stream goes on."""
    async with (
        running(tiny_repository) as service,
        listening(service.application.asgi) as listener,
        websockets.connect(listener.url("task=classify")) as socket,
    ):
        for depth in DEPTHS:
            await socket.send('{"parameters": {"a": %s}}' % ("[" * depth + "]" * depth))
            assert json.loads(await socket.recv())["error"]["code"] == "invalid_parameters"
        await socket.send(RED)
        assert json.loads(await socket.recv())["frame"] == 0
