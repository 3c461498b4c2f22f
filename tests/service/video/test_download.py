import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress

import pytest

from service.errors import ErrorKind, ServiceError
from service.url_policy import UrlPolicy
from service.video.download import Download, DownloadLimits, name_in

PATIENT = DownloadLimits(connect_s=30.0, stall_s=30.0, whole_s=30.0)
HASTY = DownloadLimits(connect_s=30.0, stall_s=0.1, whole_s=30.0)


class Shelf:
    """A small HTTP server on loopback: gives every caller the same bytes, and closes unless it is to say no more."""

    def __init__(self, answer: bytes, *, falls_silent: bool) -> None:
        self.heads: list[str] = []
        self.url = ""
        self.tasks: list[asyncio.Task[None]] = []
        self._answer, self._falls_silent = answer, falls_silent

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.append(task)
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(self._answer)
        if self._falls_silent:
            await reader.read()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@asynccontextmanager
async def shelf(status: str, body: bytes = b"", *headers: str, falls_silent: bool = False) -> AsyncIterator[Shelf]:
    """A server with one answer; at the end all its callers must have left."""
    head = "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode()
    shelf = Shelf(head + body, falls_silent=falls_silent)
    server = await asyncio.start_server(shelf.serve, "127.0.0.1", 0)
    shelf.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield shelf
    await asyncio.gather(*shelf.tasks)


@asynccontextmanager
async def downloading(*allowed: str, limits: DownloadLimits = PATIENT) -> AsyncIterator[Download]:
    """Downloads from what is allowed; anything by HTTP, unless something else is said."""
    download = Download(UrlPolicy(allowed or ["http://127.0.0.1:*"]).check, limits)
    try:
        yield download
    finally:
        await download.close()


async def fetched(download: Download, url: str) -> bytes:
    """All that an address gives."""
    async with aclosing(download.chunks(url)) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def refused(url: str, *allowed: str, limits: DownloadLimits = PATIENT) -> ServiceError:
    """The error that an address leads to."""
    async with downloading(*allowed, limits=limits) as download:
        with pytest.raises(ServiceError) as error:
            await fetched(download, url)
        return error.value


async def test_a_file_is_fetched_as_it_is() -> None:
    """The bytes come as they are sent; nothing compressed is asked for, and no secret of the environment is told."""
    body = bytes(range(256)) * 1000
    async with shelf("200 OK", body, f"Content-Length: {len(body)}") as there, downloading() as download:
        assert await fetched(download, f"{there.url}/a.mp4?key=1") == body
        assert there.heads[0].startswith("GET /a.mp4?key=1 HTTP/1.1\r\n")
        assert "accept-encoding: identity\r\n" in there.heads[0].lower()
        assert "authorization" not in there.heads[0].lower()


@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        ("302 Found", ("Location: http://127.0.0.1/", "Content-Length: 0"), "redirects, which is not followed"),
        ("304 Not Modified", (), "status 304"),
        ("404 Not Found", ("Content-Length: 0",), "status 404"),
        ("500 Internal Server Error", ("Content-Length: 0",), "status 500"),
        ("206 Partial Content", ("Content-Length: 0",), "status 206"),
        ("204 No Content", (), "status 204"),
        ("no status", (), "cannot be fetched"),
    ],
)
async def test_an_answer_that_is_no_file(status: str, headers: tuple[str, ...], words: str) -> None:
    """Whatever is not the file itself is refused clearly; redirects are not followed."""
    async with shelf(status, b"", *headers) as there:
        error = await refused(there.url)
        assert (error.kind, words in error.message) == (ErrorKind.INVALID_PARAMETERS, True)
        assert len(there.heads) == 1


async def test_a_file_that_is_packed() -> None:
    """What is compressed against the caller's wish is not unpacked: it could be a thousand times as large."""
    async with shelf("200 OK", b"x", "Content-Length: 1", "Content-Encoding: gzip") as there:
        error = await refused(there.url)
    assert (error.kind, "gzip" in error.message) == (ErrorKind.INVALID_VIDEO, True)


async def test_a_file_that_breaks_off() -> None:
    """A file that ends before its declared length is not taken for whole."""
    async with shelf("200 OK", b"only this", "Content-Length: 100") as there:
        error = await refused(there.url)
    assert (error.kind, "cannot be fetched" in error.message) == (ErrorKind.INVALID_PARAMETERS, True)


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun"])
async def test_an_address_that_falls_silent(begun: bytes) -> None:
    """An address that says nothing, from the start or in the middle, is given up, and its connection closed."""
    head, _, body = begun.partition(b"\r\n\r\n")
    status, *headers = head.decode().removeprefix("HTTP/1.1 ").split("\r\n")
    async with shelf(status or "100 Continue", body, *headers, falls_silent=True) as there:
        error = await refused(there.url, limits=HASTY)
        assert (error.kind, "said nothing for 0.1 s" in error.message) == (ErrorKind.DEADLINE_EXCEEDED, True)


async def test_an_address_that_is_too_slow_in_all() -> None:
    """However it drips, a file must have come whole after a while."""
    limits = DownloadLimits(connect_s=30.0, stall_s=30.0, whole_s=0.1)
    async with shelf("200 OK", b"begun", "Content-Length: 100", falls_silent=True) as there:
        error = await refused(there.url, limits=limits)
    assert (error.kind, "whole within 0.1 s" in error.message) == (ErrorKind.DEADLINE_EXCEEDED, True)


async def test_who_writes_slowly_is_not_hurried() -> None:
    """Time that passes while bytes are written is not the address's: what has come is given all the same."""
    body = bytes(3_000_000)
    async with shelf("200 OK", body, f"Content-Length: {len(body)}") as there, downloading() as download:
        size = 0
        async for chunk in download.chunks(there.url):
            size += len(chunk)
            await asyncio.sleep(0)
    assert size == len(body)


async def test_nobody_is_there() -> None:
    """An address that nobody listens at cannot be fetched."""
    async with shelf("200 OK") as there:
        url = there.url
    error = await refused(url)
    assert (error.kind, "cannot be fetched" in error.message) == (ErrorKind.INVALID_PARAMETERS, True)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://127.0.0.1:1/a.mp4", ErrorKind.FORBIDDEN),
        ("http://videos.example:1/a.mp4", ErrorKind.FORBIDDEN),
        ("https://videos.example/a.mp4", ErrorKind.FORBIDDEN),
        ("rtsp://videos.example/a", ErrorKind.INVALID_PARAMETERS),
        ("file:///etc/passwd", ErrorKind.INVALID_PARAMETERS),
        ("videos.example/a.mp4", ErrorKind.INVALID_PARAMETERS),
        ("", ErrorKind.INVALID_PARAMETERS),
    ],
)
async def test_only_what_is_allowed(url: str, kind: ErrorKind) -> None:
    """Addresses that the operator has not listed are not called, and only those of files are."""
    error = await refused(url, "http://videos.example", "rtsp://videos.example")
    assert error.kind is kind


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://a.example/b/c%20d.mp4?key=secret#e", "c d.mp4"),
        ("https://a.example/b/", None),
        ("https://a.example", None),
    ],
)
def test_a_files_name(url: str, name: str | None) -> None:
    """A file is called as the last part of its address; what stands behind that may be a secret."""
    assert name_in(url) == name


async def test_no_cookie_goes_from_one_caller_to_another() -> None:
    """What an address sets while one video is fetched is not sent along with the next."""
    async with shelf("200 OK", b"abc", "Content-Length: 3", "Set-Cookie: session=of-another; Path=/") as files:
        async with downloading() as download:
            for name in ("mine", "theirs"):
                assert await fetched(download, f"{files.url}/{name}") == b"abc"
        assert not any("cookie" in head.lower() for head in files.heads)
