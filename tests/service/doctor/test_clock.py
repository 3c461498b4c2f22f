"""The clock."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from service.doctor.clock import Clock, date, pace, peer, read, synchronised
from service.settings import Settings
from tests.service.doctor.telling import OK, PROBLEM, WARNING, levels

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
GOOD = Clock(NOW, 0.0, synchronised=True)


@pytest.mark.parametrize(
    ("now", "card", "level"),
    [
        (NOW, None, OK),
        (NOW, NOW - timedelta(days=1), OK),
        (NOW, NOW + timedelta(days=1), WARNING),
        (datetime(1970, 1, 1, tzinfo=UTC), None, PROBLEM),
        (datetime(2106, 2, 7, tzinfo=UTC), None, PROBLEM),
    ],
    ids=["now", "built before", "built tomorrow", "1970", "2106"],
)
def test_the_date(now: datetime, card: datetime | None, level: str) -> None:
    """A date that cannot be is a problem, and a version from the future makes one doubt it."""
    assert levels(date(replace(GOOD, now=now, newest_card=card))) == [level]


@pytest.mark.parametrize(
    ("step", "follows", "level"),
    [(0.0, True, OK), (0.0, None, OK), (0.0, False, WARNING), (3.0, True, WARNING), (-3.0, True, WARNING)],
)
def test_the_pace(step: float, follows: bool | None, level: str) -> None:
    """A clock that jumps, or that follows no server, is told of."""
    assert levels(pace(replace(GOOD, step_s=step, synchronised=follows))) == [level]


@pytest.mark.parametrize(("ahead", "words"), [(120.0, "120 s behind"), (-120.0, "120 s ahead of")])
def test_another_clock(ahead: float, words: str) -> None:
    """A difference to another server is told with its direction."""
    (finding,) = peer(replace(GOOD, peer="issuer", peer_ahead_s=ahead))
    assert (finding.level, words in finding.found) == (WARNING, True)


def test_no_other_clock() -> None:
    """A server that tells no time, or the same time, and none at all, are well."""
    told = [GOOD, replace(GOOD, peer="issuer"), replace(GOOD, peer="issuer", peer_ahead_s=1.0)]
    assert [levels(peer(facts)) for facts in told] == [[OK]] * 3


class _Late(BaseHTTPRequestHandler):
    """Has a clock that is an hour ahead."""

    def do_GET(self) -> None:
        self.send_response_only(404)
        self.send_header("Date", format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Nothing."""


@pytest.fixture
def late() -> Iterator[str]:
    """The address of a server with another time."""
    with HTTPServer(("127.0.0.1", 0), _Late) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_servers_date_is_compared(late: str) -> None:
    """The time of a server that the settings name is taken from its answer, whatever that says."""
    facts = read(Settings(otlp_endpoint=f"http://user:word@{late}"))
    assert facts.peer == late
    assert facts.peer_ahead_s is not None
    assert 3000 < facts.peer_ahead_s < 4200


def test_the_kernel_is_asked() -> None:
    """The kernel says whether it follows a server, or that it does not tell."""
    assert synchronised() in (True, False, None)
