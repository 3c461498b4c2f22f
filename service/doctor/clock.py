"""The clock: tokens, certificates, video jobs and logs go by it."""

import ctypes
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx

from service.doctor.finding import Finding, group, ok, problem, warning
from service.doctor.repository import readable_cards
from service.settings import Settings

_WATCHED_S = 0.05
_PATIENCE_S = 3.0
_LARGEST_STEP_S = 0.02
_LARGEST_DIFFERENCE_S = 30.0
"""A ``Date`` has whole seconds, and travels."""
_EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)
_UNSYNCHRONISED = 5
"""``TIME_ERROR`` of ntp_gettime(3)."""
_SYNC = "let the machine follow a time server (chrony, systemd-timesyncd); a container has its machine's clock"


@dataclass(frozen=True, slots=True)
class Clock:
    """What the clock shows, and how it goes."""

    now: datetime
    step_s: float
    """Seconds by which the wall's clock went otherwise than the monotonic one while it was watched."""
    synchronised: bool | None
    """Whether the kernel follows a time server; None where it does not tell."""
    newest_card: datetime | None = None
    """When the newest version was built."""
    peer: str = ""
    """Who was asked for the time."""
    peer_ahead_s: float | None = None
    """By how much that peer's clock is ahead; None where none answered."""


def read(settings: Settings, patience_s: float = _PATIENCE_S) -> Clock:
    """Watch both clocks for a moment, and ask the kernel, the cards, and a server that the settings name."""
    wall, steady = time.time(), time.monotonic()
    time.sleep(_WATCHED_S)
    step = (time.time() - wall) - (time.monotonic() - steady)
    peer = next((url for url in (settings.jwt_keys, settings.otlp_endpoint) if url and "://" in url), None)
    return Clock(
        datetime.now(UTC),
        step,
        synchronised(),
        max((card.provenance.built_at for card in readable_cards(settings.repository)), default=None),
        urlsplit(peer).netloc.rpartition("@")[2] if peer else "",
        _ahead(peer, patience_s) if peer else None,
    )


class _NtpTime(ctypes.Structure):
    """``struct ntptimeval`` of glibc."""

    _fields_ = (
        ("seconds", ctypes.c_long),
        ("microseconds", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("tai", ctypes.c_long),
        ("reserved", ctypes.c_long * 4),
    )


def synchronised() -> bool | None:
    """Whether the kernel's clock follows a time server, by ntp_gettime(3); None where that cannot be known."""
    try:
        library = ctypes.CDLL(None)
        state = library.ntp_gettime(ctypes.byref(_NtpTime()))
    except (OSError, AttributeError, TypeError):
        return None
    return None if state < 0 else bool(state != _UNSYNCHRONISED)


def _ahead(url: str, patience_s: float) -> float | None:
    try:
        answer = httpx.get(url, timeout=patience_s, follow_redirects=False)
        told = parsedate_to_datetime(answer.headers["Date"])
    except (httpx.HTTPError, KeyError, ValueError):
        return None
    return (told - datetime.now(UTC)).total_seconds()


def date(facts: Clock) -> Iterator[Finding]:
    """Whether the date can be true."""
    shown = f"it is {facts.now:%Y-%m-%d %H:%M:%S} UTC"
    if not _EARLIEST <= facts.now < _LATEST:
        yield problem(f"{shown}, which cannot be", _SYNC)
    elif facts.newest_card is not None and facts.newest_card > facts.now + timedelta(hours=1):
        yield warning(f"{shown}, and a version was built at {facts.newest_card:%Y-%m-%d %H:%M} UTC", _SYNC)
    else:
        yield ok(shown)


def pace(facts: Clock) -> Iterator[Finding]:
    """Whether it goes evenly, and after a time server."""
    if abs(facts.step_s) > _LARGEST_STEP_S:
        yield warning(f"the clock was moved by {facts.step_s:+.3f} s within a moment", _SYNC)
    elif facts.synchronised is False:
        yield warning("the machine's clock follows no time server", _SYNC)
    else:
        yield ok(
            "it goes evenly" + (", after a time server" if facts.synchronised else "; what it follows is not known")
        )


def peer(facts: Clock) -> Iterator[Finding]:
    """Whether a server that the settings name has the same time."""
    if not facts.peer:
        yield ok("the settings name no server to compare with")
    elif facts.peer_ahead_s is None:
        yield ok(f"{facts.peer} tells no time")
    elif abs(facts.peer_ahead_s) > _LARGEST_DIFFERENCE_S:
        where = "behind" if facts.peer_ahead_s > 0 else "ahead of"
        yield warning(f"this clock is {abs(facts.peer_ahead_s):.0f} s {where} that of {facts.peer}", _SYNC)
    else:
        yield ok(f"{facts.peer} has the same time")


GROUP = group("Clock", read, {"date": date, "clock": pace, "others' clocks": peer})
