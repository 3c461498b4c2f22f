"""Callers who come at a steady rate, whatever becomes of those before, and an account of every request they sent.

A load generator on the processors of what it loads must cost little: this one writes requests that were made before,
and reads of an answer its status, its length and whether somebody stood in.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

OK, REFUSED = 200, 429
_BEHIND_HEAD = b"\r\n\r\n"
_PATIENCE_S = 45.0
"""Beyond every deadline of the service: a request without an answer by then is lost."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request's bytes, whole."""

    data: bytes

    @classmethod
    def post(cls, host: str, path: str, body: bytes, media_type: str = "image/jpeg", **headers: str) -> Self:
        """A POST over HTTP/1.1; header names with ``_`` for ``-``."""
        lines = [f"POST {path} HTTP/1.1", f"Host: {host}", f"Content-Type: {media_type}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        lines += [f"Content-Length: {len(body)}", "", ""]
        return cls("\r\n".join(lines).encode() + body)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one request that was answered."""

    due: float
    """The moment at which its caller meant to ask, in seconds from the beginning."""
    seconds: float
    """From that moment to the whole answer."""
    status: int
    stood_in: bool
    """The answer says that it came from a stand-in."""


@dataclass(slots=True)
class Account:
    """Every request that was sent, and what came of it: sent = answered + closed + lost."""

    sent: int = 0
    answers: list[Answer] = field(default_factory=list)
    closed: Counter[str] = field(default_factory=Counter)
    """Connections that ended before the answer, or were refused, by reason."""
    lost: int = 0
    """Neither an answer nor an end of the connection."""
    unasked: int = 0
    """Answers that nobody had asked for."""

    @property
    def statuses(self) -> Counter[int]:
        """Answers by status."""
        return Counter(answer.status for answer in self.answers)

    def of(self, status: int) -> list[Answer]:
        """The answers with a status."""
        return [answer for answer in self.answers if answer.status == status]

    def as_json(self) -> dict[str, object]:
        """For the report."""
        return {
            "sent": self.sent,
            "answered": {str(status): count for status, count in sorted(self.statuses.items())},
            "stood_in": sum(answer.stood_in for answer in self.answers),
            "closed": dict(self.closed),
            "lost": self.lost,
            "unasked": self.unasked,
        }


def percentile_ms(answers: Sequence[Answer], share: float) -> float:
    """A percentile of the answers' times, in milliseconds; nan where there are none."""
    return float(np.percentile([answer.seconds for answer in answers], share)) * 1e3 if answers else float("nan")


def _reason(error: OSError) -> str:
    match error:
        case ConnectionRefusedError():
            return "nobody listens"
        case ConnectionResetError() if error.errno is not None:
            return "reset"
        case _:
            return error.strerror or str(error) or type(error).__name__


class _Connection(asyncio.Protocol):
    """One request after the other."""

    def __init__(self, callers: "Callers") -> None:
        self._callers = callers
        self._received = bytearray()
        self._answer: asyncio.Future[tuple[int, bool]] | None = None
        self._transport: asyncio.Transport | None = None
        self.usable = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol`."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._answer is None or self._answer.done():
            self._callers.account.unasked += 1
            self.close()
            return
        self._received += data
        begin = self._received.find(_BEHIND_HEAD)
        if begin < 0:
            return
        head = bytes(self._received[:begin]).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if len(self._received) < begin + len(_BEHIND_HEAD) + length:
            return
        if b"\r\nconnection: close" in head:
            self.usable = False
        self._answer.set_result((int(head[9:12]), b"\r\nx-vitrail-degraded:" in head))

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self.usable = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("the connection was closed before the answer"))

    async def ask(self, data: bytes) -> tuple[int, bool]:
        """Status, and whether somebody stood in; OSError where the connection ends first."""
        if self._transport is None or not self.usable:
            raise ConnectionResetError("the connection was closed between two requests")
        self._received.clear()
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        try:
            return await self._answer
        finally:
            self._answer = None

    def close(self) -> None:
        """End it."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()


class Callers:
    """They share connections, as many as are needed at a time.

    Args:
        address: host and port of the service.
        requests: what is asked, in turn.
    """

    def __init__(self, address: tuple[str, int], requests: Sequence[Request], patience_s: float = _PATIENCE_S) -> None:
        self.account = Account()
        self._address = address
        self._requests = requests
        self._patience_s = patience_s
        self._free: deque[_Connection] = deque()
        self._asking: set[asyncio.Task[None]] = set()
        self._begun = 0.0

    @property
    def passed_s(self) -> float:
        """Seconds since the first caller came."""
        return time.perf_counter() - self._begun

    async def come(self, rate: float, seconds: float) -> Account:
        """Come ``rate`` times a second for so long, and wait for the last answer."""
        self._begun = time.perf_counter()
        for number in range(int(rate * seconds)):
            due = number / rate
            if (early := due - self.passed_s) > 0:
                await asyncio.sleep(early)
            self._start(number, due)
        await self._all()
        return self.account

    async def crowd(self, count: int, seconds: float) -> Account:
        """``count`` callers at a time, each of whom asks again once it has its answer, for so long."""
        self._begun = time.perf_counter()

        async def caller(number: int) -> None:
            while self.passed_s < seconds:
                await self._ask(self._requests[number % len(self._requests)].data, self.passed_s)
                number += count

        await asyncio.gather(*map(caller, range(count)))
        await self._all()
        return self.account

    def _start(self, number: int, due: float) -> None:
        task = asyncio.create_task(self._ask(self._requests[number % len(self._requests)].data, due))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _all(self) -> None:
        while self._asking:
            await asyncio.wait(self._asking)
        while self._free:
            self._free.pop().close()

    async def _ask(self, data: bytes, due: float) -> None:
        account = self.account
        account.sent += 1
        connection: _Connection | None = None
        try:
            async with asyncio.timeout(self._patience_s):
                connection = await self._connection()
                status, stood_in = await connection.ask(data)
        except TimeoutError:
            account.lost += 1
        except OSError as error:
            account.closed[_reason(error)] += 1
        else:
            account.answers.append(Answer(due, self.passed_s - due, status, stood_in))
            if connection.usable:
                self._free.append(connection)
                return
        if connection is not None:
            connection.close()

    async def _connection(self) -> _Connection:
        while self._free:
            connection = self._free.pop()
            if connection.usable:
                return connection
        _, connection = await asyncio.get_running_loop().create_connection(lambda: _Connection(self), *self._address)
        return connection
