"""The Python packages: those that are needed, and those that settings ask for."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from urllib.parse import urlsplit

from packaging.requirements import Requirement

from service.doctor.finding import Finding, group, ok, problem, warning
from service.settings import Settings

_PATIENCE_S = 3.0
_PACKAGE = "vitrail"
_HINT = "pip install --upgrade --constraint constraints.txt vitrail[cpu]"


@dataclass(frozen=True, slots=True)
class Libraries:
    """What is installed, and what is asked for."""

    wrong: tuple[str, ...]
    """Requirements that nothing installed meets, each with what is there."""
    counted: int
    """Requirements that were looked at; 0 where this package is not installed itself."""
    collector: str | None = None
    """``--otlp-endpoint``."""
    has_otel: bool = True
    collector_problem: str = ""
    hardware: str | None = None
    """``--video-hardware``."""
    hardware_known: tuple[str, ...] = ()
    """Devices that this build of FFmpeg could use."""


def read(settings: Settings) -> Libraries:
    """Ask Python's records of what is installed."""
    wanted = _requirements()
    endpoint = settings.otlp_endpoint
    return Libraries(
        wrong=tuple(text for requirement in wanted if (text := _unmet(requirement))),
        counted=len(wanted),
        collector=endpoint,
        has_otel=_is_there("opentelemetry.sdk"),
        collector_problem=_unreachable(endpoint) if endpoint else "",
        hardware=settings.video_hardware,
        hardware_known=_hardware() if settings.video_hardware else (),
    )


def _is_there(module: str) -> bool:
    """Whether a module could be imported; what holds it is imported, it is not."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _requirements() -> list[Requirement]:
    try:
        texts = requires(_PACKAGE) or []
    except PackageNotFoundError:
        return []
    return [one for one in map(Requirement, texts) if one.marker is None or one.marker.evaluate({"extra": ""})]


def _unmet(requirement: Requirement) -> str:
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return f"{requirement.name} is not installed"
    return (
        "" if requirement.specifier.contains(found, prereleases=True) else f"{requirement} is needed, {found} is here"
    )


def _unreachable(url: str) -> str:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=_PATIENCE_S).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _hardware() -> tuple[str, ...]:
    # It is large, and only who names a device wants to know.
    from av.codec.hwaccel import hwdevices_available  # noqa: PLC0415

    return tuple(hwdevices_available())


def packages(facts: Libraries) -> Iterator[Finding]:
    """Whether every package that the service needs is there, in a version that fits."""
    for text in facts.wrong:
        yield problem(text, _HINT)
    if not facts.counted:
        yield ok("run from its source folder: nobody recorded what it needs")
    elif not facts.wrong:
        yield ok(f"all {facts.counted} are there, in versions that fit")


def traces(facts: Libraries) -> Iterator[Finding]:
    """Whether traces can be made, and sent."""
    if facts.collector is None:
        yield ok("no traces are sent (--otlp-endpoint)")
    elif not facts.has_otel:
        yield problem("--otlp-endpoint needs OpenTelemetry, which is not installed", "pip install 'vitrail[otel]'")
    elif facts.collector_problem:
        yield warning(
            f"nobody listens at {_host(facts.collector)}: {facts.collector_problem}",
            "start the collector, or mend --otlp-endpoint; until then traces are dropped",
        )
    else:
        yield ok(f"they can be sent to {_host(facts.collector)}")


def _host(url: str) -> str:
    """Without a name and password that may stand before it."""
    return urlsplit(url).netloc.rpartition("@")[2]


def decoders(facts: Libraries) -> Iterator[Finding]:
    """Whether the device that is to decode videos is one that FFmpeg knows."""
    name = (facts.hardware or "").partition(":")[0]
    if not name:
        yield ok("videos are decoded by the processor")
    elif name not in facts.hardware_known:
        yield problem(
            f"--video-hardware {name}: this FFmpeg knows {', '.join(facts.hardware_known) or 'no device'}",
            "choose one of these, or leave it out",
        )
    else:
        yield ok(f"{name} decodes videos, where the device is there")


GROUP = group("Libraries", read, {"packages": packages, "traces": traces, "video decoders": decoders})
