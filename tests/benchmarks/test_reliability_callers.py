"""The callers of the reliability figures: each request that they send is accounted for, once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from benchmarks.reliability.callers import Account, Callers, Request
from benchmarks.reliability.page import write_page
from benchmarks.reliability.soak import Sample, growth

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_DEGRADED = b"HTTP/1.1 200 OK\r\nX-Vitrail-Degraded: embedded\r\nContent-Length: 0\r\n\r\n"
_BUSY = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@asynccontextmanager
async def answering(*answers: bytes | None) -> AsyncIterator[tuple[str, int]]:
    """A server that gives these answers in turn; an empty one closes the connection, None is never given."""
    waiting, writers = list(answers), []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        while await reader.read(65_536):
            answer = waiting.pop(0) if waiting else _OK
            if answer == b"":
                break
            writer.write(answer or b"HTTP/1.1 200 OK\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[:2]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)


async def ask(address: tuple[str, int], count: int) -> Account:
    """Ask so many times, one after the other."""
    callers = Callers(address, [Request.post("a", "/", b"body")], patience_s=0.3)
    for _ in range(count):
        await callers.come(1000, 0.001)
    return callers.account


@pytest.mark.parametrize(
    ("answers", "statuses", "closed", "lost", "stood_in"),
    [
        ([_OK, _BUSY, _OK], {200: 2, 429: 1}, 0, 0, 0),
        ([_DEGRADED, _OK], {200: 2}, 0, 0, 1),
        ([_OK, b"", _OK], {200: 2}, 1, 0, 0),
        ([None, _OK], {200: 1}, 0, 1, 0),
    ],
    ids=["answered", "stood in", "closed", "lost"],
)
async def test_every_request_is_accounted_for(
    answers: list[bytes | None], statuses: dict[int, int], closed: int, lost: int, stood_in: int
) -> None:
    """What was answered, by whom, what was closed, and what never had an answer: together they are what was sent."""
    async with answering(*answers) as address:
        account = await ask(address, len(answers))
    assert account.sent == len(account.answers) + account.closed.total() + account.lost == len(answers)
    assert (account.statuses, account.closed.total(), account.lost) == (statuses, closed, lost)
    assert sum(answer.stood_in for answer in account.answers) == stood_in


async def test_nobody_listens() -> None:
    """A connection that is refused is a request that was closed, with that reason."""
    async with answering() as address:
        pass
    account = await ask(address, 2)
    assert account.closed == {"nobody listens": 2}


async def test_callers_come_whatever_becomes_of_those_before() -> None:
    """An open loop: while the first request hangs the others are asked and answered."""
    async with answering(None) as address:
        callers = Callers(address, [Request.post("a", "/", b"")], patience_s=0.5)
        account = await callers.come(100, 0.2)
    assert (account.sent, account.statuses, account.lost) == (20, {200: 19}, 1)


def test_growth_compares_the_quarters() -> None:
    """What grows by a tenth from the first quarter to the last is said to have done so; what stays is said to stay."""
    samples = [Sample(40.0 + second, 100.0 + second // 30 * 10, 20, 8, 64) for second in range(60)]
    found = growth(samples)
    assert (found["pss_mb"]["growth"], found["pss_mb"]["floor"]) == pytest.approx((0.1, 0.1))
    assert found["threads"]["growth"] == 0


def test_the_page_needs_no_figures(tmp_path: Path) -> None:
    """Before anything is measured the page says how the service behaves, and how to measure."""
    page = tmp_path / "page.md"
    write_page(tmp_path, page)
    assert page.read_text().startswith("# Reliability\n")
    assert "make reliability" in page.read_text()
