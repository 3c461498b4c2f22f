"""Known vulnerabilities of what is shipped, by pip-audit: it asks PyPI, or an OSV service.

pip-audit ends with status 1 both where it finds something and where it could ask nobody. Its report, which it writes
only once it has asked, tells the two apart.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from deploy.audit.outcome import Audit, Weakness
from deploy.audit.shipped import Package

ACCEPTED: dict[str, str] = {}
"""Weaknesses that do not concern this project, by id, each with the reason; they are not reported."""

_PATIENCE_S = 900
_FAULT = re.compile(
    r"Failed to resolve '[^']+'|Connection refused|Connection reset|Network is unreachable|timed out|"
    r"certificate verify failed|[45]\d\d (?:Client|Server) Error",
    re.IGNORECASE,
)


def audit(packages: list[Package], service: str = "pypi", osv_url: str | None = None, timeout_s: int = 15) -> Audit:
    """Ask a service (``pypi`` or ``osv``) about each package."""
    with tempfile.TemporaryDirectory() as folder:
        requirements, report = Path(folder, "requirements.txt"), Path(folder, "report.json")
        requirements.write_text("".join(f"{package.name}=={package.version}\n" for package in packages))
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(requirements), "--no-deps", "--disable-pip"]
        command += ["--format", "json", "--output", str(report), "--progress-spinner", "off", "--aliases", "on"]
        command += ["--vulnerability-service", service, "--timeout", str(timeout_s)]
        command += ["--osv-url", osv_url] if osv_url else []
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE_S)  # noqa: S603
        except subprocess.TimeoutExpired:
            return Audit(service, 0, failure=f"{service} has not answered within {_PATIENCE_S} s")
        if not report.is_file():
            return Audit(service, 0, failure=_reason(service, done.stderr))
        return parse(service, json.loads(report.read_text()))


def parse(service: str, report: dict[str, Any]) -> Audit:
    """What pip-audit's JSON says."""
    entries = report["dependencies"]
    unchecked = {entry["name"]: entry["skip_reason"] for entry in entries if "skip_reason" in entry}
    if len(unchecked) == len(entries):
        # A mirror that only hands out files answers so, and a proxy that knows nothing.
        return Audit(
            service, 0, failure=f"{service} knows none of the {len(entries)} packages: not the real one answers"
        )
    weaknesses = tuple(
        Weakness(entry["name"], entry["version"], found["id"], tuple(found["aliases"]), tuple(found["fix_versions"]))
        for entry in entries
        for found in entry.get("vulns", [])
        if ACCEPTED.keys().isdisjoint({found["id"], *found["aliases"]})
    )
    return Audit(service, len(entries) - len(unchecked), weaknesses, unchecked)


def _reason(service: str, errors: str) -> str:
    """What kept pip-audit from asking, from among what it says beside."""
    told = _FAULT.search(errors)
    return f"{service} could not be asked: {told[0] if told else ' '.join(errors.split())[-300:] or 'nobody knows why'}"
