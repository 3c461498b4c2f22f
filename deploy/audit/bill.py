"""The bill of materials of an image's Python packages, CycloneDX in JSON, by cyclonedx-bom.

cyclonedx-bom lists a whole environment. Of the development's, which has everything, those components stay that an
image ships; within an image's own environment nothing needs to go.
"""

import json
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from deploy.audit.shipped import PROJECT, Package, normal

_PATIENCE_S = 300
SPECIFICATION = "1.6"


def environment() -> dict[str, Any]:
    """The bill of this whole environment."""
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--no-validate"]
    command += [
        "--sv",
        SPECIFICATION,
        "--of",
        "JSON",
        "--mc-type",
        "application",
        "--pyproject",
        str(PROJECT / "pyproject.toml"),
        "-o",
        "-",
    ]
    command += [sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_PATIENCE_S)  # noqa: S603
    whole: dict[str, Any] = json.loads(done.stdout)
    return whole


def of_image(whole: dict[str, Any], image: str, packages: list[Package]) -> dict[str, Any]:
    """The part of a bill that an image ships; what depends on what stays whole among it."""
    keys = {package.key for package in packages if image in package.images}
    kept = [_clean(component) for component in whole["components"] if normal(component["name"]) in keys]
    references = {component["bom-ref"] for component in kept} | {whole["metadata"]["component"]["bom-ref"]}
    edges = [
        {**edge, "dependsOn": sorted(references & set(edge["dependsOn"]))} if "dependsOn" in edge else edge
        for edge in whole["dependencies"]
        if edge["ref"] in references
    ]
    component = {**_clean(whole["metadata"]["component"]), "name": f"vitrail-{image}"}
    metadata = {**whole["metadata"], "component": component}
    return {**whole, "metadata": metadata, "components": kept, "dependencies": edges}


def _clean(component: dict[str, Any]) -> dict[str, Any]:
    """Without where it was fetched from: that is the business of the machine on which it was installed."""
    links = [link for link in component.get("externalReferences", []) if link["type"] != "distribution"]
    return {key: value for key, value in component.items() if key != "externalReferences"} | (
        {"externalReferences": links} if links else {}
    )


def invalid(bill: dict[str, Any]) -> str | None:
    """Where a bill does not keep to the specification; None if it does. Of a whole image's it takes many seconds."""
    found = JsonStrictValidator(SchemaVersion.from_version(SPECIFICATION)).validate_str(text(bill))
    return None if found is None else str(next(iter(found)) if isinstance(found, Iterable) else found)


def text(bill: dict[str, Any]) -> str:
    """As it is written."""
    return json.dumps(bill, indent=2, ensure_ascii=False) + "\n"
