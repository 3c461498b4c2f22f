"""Tritons that are there, and as they should be, and others."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from contract.card import Platform
from service.doctor.finding import Finding, Level
from service.doctor.triton import GROUP, FleetFacts, TritonFacts, control, memory, reachable, read, same_repository
from service.doctor.triton import versions as same_version
from service.settings import Settings
from tests.service.doctor.telling import OK, PROBLEM, WARNING, levels, only
from tests.tiny_models import write_version
from tests.triton_server import TritonServer, require_triton, triton_server

GOOD = TritonFacts("127.0.0.1:8001", "", "2.51.0", frozenset({"system_shared_memory"}), frozenset({"colours"}))
FLEET = FleetFacts(wanted=True, url="127.0.0.1:8001", tritons=(GOOD,), models=frozenset({"colours"}))


def fleet(*tritons: TritonFacts, **changes: object) -> FleetFacts:
    """The Tritons of a service whose repository holds ``colours``."""
    return replace(FLEET, tritons=tritons, **changes)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One model, for Triton's Python backend."""
    root = tmp_path_factory.mktemp("repository")
    write_version(root, "colours", platform=Platform.PYTHON)
    return root


@pytest.fixture(scope="module")
def triton(repository: Path) -> Iterator[TritonServer]:
    """A real one, as the service wants it."""
    require_triton()
    with triton_server(repository) as server:
        yield server


@pytest.fixture(scope="module")
def headstrong(repository: Path) -> Iterator[TritonServer]:
    """A real one that decides by itself what it loads."""
    require_triton()
    with triton_server(repository, "--model-control-mode=none") as server:
        yield server


def of(repository: Path, *urls: str, **settings: object) -> Settings:
    """Settings that name these Tritons."""
    return Settings(repository=repository, engine="triton", triton_url=",".join(urls), **settings)


def test_a_triton_as_it_should_be(triton: TritonServer, repository: Path) -> None:
    """A real Triton in explicit mode over the same repository is well in every respect."""
    told = GROUP.examine(of(repository, triton.url, triton_shared_memory=True))
    assert {finding.level for findings in told.values() for finding in findings} == {Level.OK}
    assert only(told["Triton's version"]).found.startswith("Triton 2.")


def test_asking_loads_and_unloads_nothing(triton: TritonServer, repository: Path) -> None:
    """What the check of the mode asks for changes nothing: Triton lists what it listed before."""
    before = read(of(repository, triton.url))
    assert read(of(repository, triton.url)) == before
    assert before.tritons[0].models == {"colours"}


def test_a_triton_that_decides_by_itself(headstrong: TritonServer, repository: Path) -> None:
    """A real Triton in another mode is found out, without loading anything."""
    finding = only(control(read(of(repository, headstrong.url))))
    assert (finding.level, finding.change) == (PROBLEM, "start that Triton with --model-control-mode=explicit")


def test_a_triton_over_another_repository(triton: TritonServer, tmp_path: Path) -> None:
    """A real Triton that does not see the service's models is told of, with their names."""
    write_version(tmp_path, "elsewhere")
    finding = only(same_repository(read(of(tmp_path, triton.url))))
    assert (finding.level, "does not see elsewhere" in finding.found) == (PROBLEM, True)


def test_no_triton(repository: Path) -> None:
    """Where nobody listens that is a problem within the time that is given, and the rest is not known."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        facts = read(of(repository, f"127.0.0.1:{nobody.getsockname()[1]}"), patience_s=0.5)
    assert levels(reachable(facts)) == [PROBLEM]
    assert only(control(facts)).found == "not known: none answers"


@pytest.mark.parametrize("url", ["nonsense", "dns:///no.such.host.invalid:8001"])
def test_an_address_that_is_none(url: str, repository: Path) -> None:
    """A URL that cannot be read, and a name that nobody knows, are told of."""
    assert levels(reachable(read(of(repository, url)))) == [PROBLEM]


def test_some_of_several() -> None:
    """Of several replicas those that are away are named, and those that answer counted."""
    told = list(reachable(fleet(GOOD, TritonFacts("b:8001", "Deadline Exceeded"))))
    assert [(finding.level, finding.found.split()[0]) for finding in told] == [(WARNING, "b:8001"), (OK, "1")]


def test_a_fallback_stands_in() -> None:
    """With --fallback embedded a Triton that is away is a warning: what runs here answers."""
    away = TritonFacts("b:8001", "Deadline Exceeded")
    assert (levels(reachable(fleet(away))), levels(reachable(fleet(away, fallback=True)))) == ([PROBLEM], [WARNING])


def test_replicas_of_two_versions() -> None:
    """Replicas of different versions are told of."""
    assert levels(same_version(fleet(GOOD, replace(GOOD, version="2.60.0")))) == [WARNING]


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        (fleet(GOOD), [OK]),
        (fleet(GOOD, shared_memory=True), [OK]),
        (fleet(replace(GOOD, address="10.0.0.7:8001"), shared_memory=True), [WARNING]),
        (fleet(GOOD, shared_memory=True, by_name=True), [WARNING]),
        (fleet(replace(GOOD, extensions=frozenset()), shared_memory=True), [PROBLEM]),
    ],
    ids=["off", "here", "elsewhere", "by name", "unable"],
)
def test_shared_memory(facts: FleetFacts, told: list[Level]) -> None:
    """Shared memory needs a Triton on this machine that knows it."""
    assert levels(memory(facts)) == told


def test_nobody_is_asked_without_triton(repository: Path) -> None:
    """With the embedded engine every check says that none is used."""
    told: dict[str, list[Finding]] = GROUP.examine(Settings(repository=repository))
    assert {only(findings).found for findings in told.values()} == {"not used (--engine triton)"}
