"""The part of values.schema.json that says which settings the service has, as its own code says it.

`python -m tests.helm.settings_schema` writes it into the schema, after a setting has been added or changed.
"""

import json
from pathlib import Path
from typing import Any

from service.settings import Settings

SCHEMA = Path(__file__).parents[2] / "helm" / "values.schema.json"

DECIDED_BY_THE_CHART = {
    "repository", "videos", "video_disk_bytes",
    "host", "port", "grpc_port", "admin_port",
    "engine", "triton_url",
    "drain_delay_s", "drain_timeout_s",
    "admin_key", "keys_file", "tls_certificate", "tls_key", "tls_client_ca",
}  # fmt: skip
"""Values of the chart's own stand for these."""

NOT_IN_A_CLUSTER = {"triton_shared_memory"}
"""Pods share no memory."""

_KEPT = ("type", "enum", "pattern", "minimum", "exclusiveMinimum", "maximum", "minLength", "items")
_SIZE = {"type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9]+(\\.[0-9]+)? *([kKMGT]?B|[kKMGT]|[KMGT]iB)?$"}


def expected() -> dict[str, Any]:
    """The schema of values' `settings`."""
    told = Settings.model_json_schema()
    names = set(told["properties"]) - DECIDED_BY_THE_CHART - NOT_IN_A_CLUSTER
    properties = {name: _property(name, told["properties"][name], told["$defs"]) for name in sorted(names)}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _property(name: str, told: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    described = {"description": told["description"]}
    if name == "memory_limit" or (name.startswith("video") and name.endswith("_bytes")):
        return described | _SIZE
    one = next((kind for kind in told.get("anyOf", []) if kind.get("type") != "null"), told)
    if "propertyNames" in one:
        tasks = definitions[one["propertyNames"]["$ref"].rpartition("/")[2]]["enum"]
        properties = {task: {"type": "string", "minLength": 1} for task in tasks}
        return described | {"type": "object", "additionalProperties": False, "properties": properties}
    return described | {key: one[key] for key in _KEPT if key in one}


def written() -> dict[str, Any]:
    """As the file has it."""
    part: dict[str, Any] = json.loads(SCHEMA.read_text())["properties"]["settings"]
    return part


def main() -> None:
    """Write it."""
    schema = json.loads(SCHEMA.read_text())
    schema["properties"]["settings"] = expected()
    SCHEMA.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
