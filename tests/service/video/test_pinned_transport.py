"""Calls go to the address that was looked at, and nowhere else."""

import httpx
import pytest

from service.errors import ErrorKind, ServiceError
from service.url_policy import UrlPolicy
from service.video.pinned_transport import Address, PinnedTransport
from tests.service.video.test_download import shelf


async def got(url: str, address: Address) -> str:
    """What is there."""
    async with httpx.AsyncClient(transport=PinnedTransport(address), trust_env=False) as client:
        return (await client.get(url)).text


async def test_a_name_is_looked_up_once_and_called_there() -> None:
    """The server hears the name, though it is called by the address that the policy found."""
    asked: list[str] = []

    async def here(url: str) -> str:
        asked.append(url)
        return "127.0.0.1"

    async with shelf("200 OK", b"film", "Content-Length: 4") as server:
        port = server.url.rsplit(":", 1)[1]
        assert await got(f"http://video.example:{port}/a.mp4", here) == "film"
    assert asked == [f"http://video.example:{port}/a.mp4"]
    assert f"host: video.example:{port}" in server.heads[0].lower()


async def test_a_name_that_leads_astray_is_not_called() -> None:
    """The policy's refusal comes out as it is, and nobody hears of it."""
    async with shelf("200 OK") as server:
        port = server.url.rsplit(":", 1)[1]
        with pytest.raises(ServiceError) as caught:
            await got(f"http://localhost:{port}/", UrlPolicy(["http://*:*"]).address)
    assert (caught.value.kind, server.heads) == (ErrorKind.FORBIDDEN, [])


async def test_a_name_that_nobody_knows_cannot_be_reached() -> None:
    """As httpx tells of it where it looks names up itself."""
    with pytest.raises(httpx.ConnectError, match="nobody knows"):
        await got("http://nobody.invalid/", UrlPolicy(["http://*"]).address)
