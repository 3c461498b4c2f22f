"""No value is there for nothing: a change of any of them changes what is rendered."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from helm_python.errors import HelmError
from jsonschema import Draft7Validator

from tests.helm.chart import FOLDER, NAMESPACE, RELEASE, chart, merged, nested
from tests.helm.switches import CLIENTS, SHA256, values

EVERYTHING = {
    "engine": "triton", "build": "on", "build egress": "on", "ingress http": "on", "ingress grpc": "on",
    "route http": "on", "route grpc": "on", "monitor": "on", "tls": "tls", "adapter": "on",
    "gateway scaling": "keda", "triton scaling": "keda",
}  # fmt: skip
BASES = [
    values(EVERYTHING | {"keys": "file"}),
    values({"engine": "triton", "videos": "persistent", "keys": "admin", "tls": "mutual", "build": "on"}),
    values({"engine": "elsewhere", "repository": "oci", "gateway scaling": "hpa"}),
    values({"repository": "store", "build cache": "on"}),
    values({"dashboards": "on", "rules": "on"}),
]
"""Between them everything is rendered in which a value might be seen."""

OTHERS: Mapping[type, list[Any]] = {
    int: [1, 3, 7, 77, 7777],
    float: [0.5, 7],
    str: [
        "x", "7", "7Gi", "7s", "20%", "x.tar", "a/b", "host:1", "http://x", "s:b/x.tar", "r.example/m:7", "::",
        SHA256[::-1], f"sha256:{SHA256}", "Always", "ClientIP", "NodePort", "DoNotSchedule",
        "embed", "text", "claim", "oci", "embedded", "triton",
    ],
    dict: [{"x": "y"}, {"RCLONE_X": "y"}, {"x": {"y": "z"}}, {"type": "Bearer"}],
    list: [["x.example"], ["ReadWriteOnce"], ["--x=y"], [{"name": "x"}], [{"name": "x", "port": 1, "weight": 1}],
           [{"podSelector": {"matchLabels": {"x": "y"}}}], [{"ports": [{"port": 7}]}], [{"operator": "Exists"}],
           [{"name": "x", "args": ["compile"]}], ["10.0.0.0/8"]],
    type(None): [7],
}  # fmt: skip
"""What a value of that type may be changed into; those that the schema takes are tried."""


def leaves(part: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of values.yaml that is no group, by its path."""
    for name, value in part.items():
        if isinstance(value, dict) and value and not name.startswith(("labels", "tlsConfig")):
            yield from leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value


SCHEMA = Draft7Validator(json.loads((FOLDER / "values.schema.json").read_text()))


def rendered(changed: Mapping[str, Any]) -> dict[str, str] | None:
    """All files but the notes; None if the values are refused."""
    try:
        files = chart().render(dict(changed), name=RELEASE, namespace=NAMESPACE)
    except HelmError:
        return None
    return {path: text for path, text in files.items() if not path.endswith("NOTES.txt")}


@pytest.fixture(scope="module")
def before() -> list[tuple[dict[str, Any], dict[str, str]]]:
    """Each base with what it renders."""
    bases = [merged(CLIENTS, base) for base in BASES]
    found = [(base, files) for base in bases if (files := rendered(base)) is not None]
    assert len(found) == len(BASES)
    return found


# What switches do is told in test_objects.py.
DEFAULTS = chart().values
VALUES = {path: value for path, value in leaves(DEFAULTS) if not isinstance(value, bool)}


@pytest.mark.parametrize("path", VALUES)
def test_it_counts(path: str, before: list[tuple[dict[str, Any], dict[str, str]]]) -> None:
    """With another value, something is rendered otherwise."""
    group = path.partition(".")[0]
    changes = (nested(path, other) for other in OTHERS[type(VALUES[path])])
    allowed = (change for change in changes if SCHEMA.is_valid(merged({group: DEFAULTS[group]}, change)))
    assert any(
        (found := rendered(merged(base, change))) is not None and found != files
        for change in allowed
        for base, files in before
    )
