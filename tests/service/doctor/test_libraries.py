"""Python packages."""

import socket
from dataclasses import replace

from service.doctor.libraries import Libraries, decoders, packages, read, traces
from service.settings import Settings
from tests.service.doctor.telling import OK, PROBLEM, WARNING, levels, only

GOOD = Libraries(wrong=(), counted=30)


def test_what_is_installed_here_fits() -> None:
    """All that this package says it needs is here, in versions that fit."""
    facts = read(Settings())
    assert (facts.wrong, facts.counted > 20, levels(packages(facts))) == ((), True, [OK])


def test_packages_that_are_missing() -> None:
    """Each requirement that is not met is a problem of its own."""
    assert levels(packages(replace(GOOD, wrong=("av is not installed", "numpy>=2.2 is needed, 1.26 is here")))) == [
        PROBLEM,
        PROBLEM,
    ]


def test_a_source_folder() -> None:
    """Run from a folder without being installed, nothing is known, and nothing said against it."""
    assert levels(packages(replace(GOOD, counted=0))) == [OK]


def test_a_collector() -> None:
    """A collector that listens is well, and told without the name and password in its address."""
    with socket.create_server(("127.0.0.1", 0)) as collector:
        at = f"127.0.0.1:{collector.getsockname()[1]}"
        finding = only(traces(read(Settings(otlp_endpoint=f"http://user:word@{at}"))))
    assert (finding.level, finding.found) == (OK, f"they can be sent to {at}")


def test_no_collector() -> None:
    """Without OpenTelemetry the service does not start; without a listener traces are lost."""
    facts = read(Settings(otlp_endpoint="http://127.0.0.1:9"))
    assert (levels(traces(facts)), levels(traces(replace(facts, has_otel=False)))) == ([WARNING], [PROBLEM])
    assert levels(traces(GOOD)) == [OK]


def test_video_decoders() -> None:
    """A device that FFmpeg does not know is a problem, with those that it knows."""
    facts = read(Settings(video_hardware="abacus:1"))
    assert (levels(decoders(facts)), levels(decoders(GOOD))) == ([PROBLEM], [OK])
    assert levels(decoders(replace(facts, hardware="cuda:0", hardware_known=("cuda",)))) == [OK]
