"""Known vulnerabilities without a network: OSV's records, from a file that somebody fetched.

The OSV project publishes one archive for each ecosystem, ``PyPI/all.zip``. How a record says which versions are
affected: https://ossf.github.io/osv-schema/, "affected[] fields" and "Evaluation".
"""

import json
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from deploy.audit.outcome import Audit, Weakness
from deploy.audit.shipped import Package, normal

_ECOSYSTEM = "PyPI"


def audit(packages: list[Package], source: Path) -> Audit:
    """Look the packages up in the records of an archive, or of a folder of JSON files."""
    wanted = {package.key: package for package in packages}
    found: dict[tuple[str, str], Weakness] = {}
    records = 0
    try:
        for record in _records(source):
            records += 1
            for weakness in weaknesses(record, wanted):
                found[weakness.package, weakness.id] = weakness
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        return Audit(source.name, 0, failure=f"{source.name} cannot be read: {error}")
    if not records:
        return Audit(source.name, 0, failure=f"{source.name} holds no record of OSV")
    return Audit(f"{source.name} ({records} records)", len(packages), tuple(found[key] for key in sorted(found)))


def weaknesses(record: dict[str, Any], wanted: dict[str, Package]) -> Iterator[Weakness]:
    """What a record says of these packages, by normal name; nothing if it was withdrawn."""
    if record.get("withdrawn"):
        return
    for affected in record.get("affected", []):
        about = affected.get("package", {})
        package = wanted.get(normal(str(about.get("name", ""))))
        if about.get("ecosystem") != _ECOSYSTEM or package is None:
            continue
        if _affects(affected, package.version):
            yield Weakness(
                package.name,
                package.version,
                str(record["id"]),
                tuple(record.get("aliases", ())),
                tuple(sorted({event["fixed"] for event in _events(affected) if "fixed" in event})),
            )


def _affects(affected: dict[str, Any], version: str) -> bool:
    if version in affected.get("versions", ()):
        return True
    return any(within(_ordered(span["events"]), Version(version)) for span in _spans(affected))


def within(events: Iterable[tuple[Version, str]], version: Version) -> bool:
    """Whether a version lies between where a weakness was introduced and where it was fixed; events ascend."""
    inside = False
    for at, kind in events:
        if kind == "introduced" and version >= at:
            inside = True
        elif (kind == "fixed" and version >= at) or (kind == "last_affected" and version > at):
            inside = False
    return inside


def _ordered(events: list[dict[str, str]]) -> list[tuple[Version, str]]:
    known: list[tuple[Version, str]] = []
    for event in events:
        for kind, text in event.items():
            try:
                known.append((Version("0.dev0" if text == "0" else text), kind))
            except InvalidVersion:
                continue
    return sorted(known, key=lambda event: event[0])


def _spans(affected: dict[str, Any]) -> list[dict[str, Any]]:
    return [span for span in affected.get("ranges", []) if span.get("type") == "ECOSYSTEM"]


def _events(affected: dict[str, Any]) -> Iterator[dict[str, str]]:
    for span in _spans(affected):
        yield from span["events"]


def _records(source: Path) -> Iterator[dict[str, Any]]:
    if source.is_dir():
        for path in sorted(source.glob("*.json")):
            yield json.loads(path.read_bytes())
        return
    with zipfile.ZipFile(source) as archive:
        for name in archive.namelist():
            if name.endswith(".json"):
                yield json.loads(archive.read(name))
