"""Connections that crawl, in the manner of Slowloris (Hansen, 2009): in a head, in a body, or in reading an answer."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

_EVERY_S = 1.0
_GIVE_UP_S = 60.0
_HEAD = b"POST /v1/classify HTTP/1.1\r\nHost: service\r\n"
_BODY = _HEAD + b"Content-Type: image/jpeg\r\nContent-Length: 100000\r\n\r\n"
_READ = b"GET /openapi.json HTTP/1.1\r\nHost: service\r\n\r\n"
_ASKED = 200
"""Answers that are asked for in one go, and not read: megabytes."""


async def crawl(address: tuple[str, int], each: int) -> dict[str, object]:
    """``each`` connections of every kind; how long the service bore with them, in seconds."""
    kinds = {"heads": _send(_HEAD), "bodies": _send(_BODY), "readers": _read_nothing}
    found: dict[str, object] = {}
    lasted = await asyncio.gather(*(asyncio.gather(*(kind(address) for _ in range(each))) for kind in kinds.values()))
    for name, seconds in zip(kinds, lasted, strict=True):
        ended = [one for one in seconds if one < _GIVE_UP_S]
        found[f"slow {name} closed"] = f"{len(ended)} of {each}"
        found[f"slow {name} borne for s"] = round(max(ended, default=float("nan")), 1)
    return found


def _send(beginning: bytes) -> Callable[[tuple[str, int]], Awaitable[float]]:
    async def crawling(address: tuple[str, int]) -> float:
        begun = time.monotonic()
        reader, writer = await asyncio.open_connection(*address)
        try:
            writer.write(beginning)
            while time.monotonic() - begun < _GIVE_UP_S:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_EVERY_S):
                        while await reader.read(65_536):
                            pass
                        return time.monotonic() - begun
                writer.write(b"x")
        except OSError:
            return time.monotonic() - begun
        finally:
            writer.transport.abort()
        return _GIVE_UP_S

    return crawling


async def _read_nothing(address: tuple[str, int]) -> float:
    begun, loop = time.monotonic(), asyncio.get_running_loop()
    with socket.socket() as connection:
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await loop.sock_connect(connection, address)
        try:
            await loop.sock_sendall(connection, _READ * _ASKED)
            while time.monotonic() - begun < _GIVE_UP_S:
                await asyncio.sleep(_EVERY_S)
                # A byte is sent only to learn whether the connection still is.
                await loop.sock_sendall(connection, b"G")
        except OSError:
            return time.monotonic() - begun
    return _GIVE_UP_S
