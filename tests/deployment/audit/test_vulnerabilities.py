"""pip-audit, and what it says."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from deploy.audit import vulnerabilities
from deploy.audit.outcome import Status
from deploy.audit.vulnerabilities import audit, parse
from tests.deployment.audit.packages import a_package

WEAK = {"id": "PYSEC-1", "fix_versions": ["2.0"], "aliases": ["CVE-2026-1"]}


class _Osv(BaseHTTPRequestHandler):
    """Knows a weakness of ``weak``, and none of others."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = {
            "id": "GHSA-x",
            "affected": [
                {"package": asked["package"], "ranges": [{"type": "ECOSYSTEM", "events": [{"fixed": "2.0"}]}]}
            ],
        }
        answer = json.dumps({"vulns": [known]} if asked["package"]["name"] == "weak" else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Nothing."""


@pytest.fixture
def osv() -> Iterator[str]:
    """The address of an OSV service."""
    with HTTPServer(("127.0.0.1", 0), _Osv) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()
        thread.join()


def test_a_service_is_asked(osv: str) -> None:
    """The real pip-audit asks the service about every package, and what it finds comes back."""
    found = audit([a_package("weak"), a_package("strong")], "osv", osv)
    assert (found.status, found.checked, [one.package for one in found.weaknesses]) == (Status.VULNERABLE, 2, ["weak"])


def test_a_service_that_is_away() -> None:
    """Where nobody answers nothing was checked, and that is said: it is not the status of a weakness."""
    found = audit([a_package()], "osv", "http://127.0.0.1:9/v1/query", timeout_s=2)
    assert (found.status, found.weaknesses) == (Status.NOT_CHECKED, ())
    assert found.lines[0] == "NOT CHECKED: osv could not be asked: Connection refused"


def report(*entries: dict[str, Any]) -> dict[str, Any]:
    """What pip-audit writes."""
    return {"dependencies": list(entries), "fixes": []}


def test_an_index_that_knows_nothing() -> None:
    """A mirror that has files and no knowledge answers that there is no such package: nothing was checked."""
    found = parse("pypi", report({"name": "lib", "skip_reason": "Dependency not found on PyPI"}))
    assert (found.status, "not the real one answers" in found.failure) == (Status.NOT_CHECKED, True)


def test_one_unknown_package() -> None:
    """A package that the service does not know is not clean, and named."""
    found = parse("pypi", report({"name": "a", "skip_reason": "unknown"}, {"name": "b", "version": "1", "vulns": []}))
    assert (found.status, found.unchecked) == (Status.NOT_CHECKED, {"a": "unknown"})


@pytest.mark.parametrize("known_as", ["PYSEC-1", "CVE-2026-1"])
def test_what_is_accepted(known_as: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A weakness that somebody accepted, by any of its names, is not reported."""
    weak = report({"name": "b", "version": "1", "vulns": [WEAK]})
    assert parse("pypi", weak).status is Status.VULNERABLE
    monkeypatch.setitem(vulnerabilities.ACCEPTED, known_as, "the part that is weak is not used")
    assert parse("pypi", weak).status is Status.CLEAN
