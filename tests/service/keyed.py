"""A keys file with one caller of each kind."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from service.security.keys import digest_of, new_key


@dataclass(frozen=True)
class Keys:
    """The file, and the keys that are in it."""

    file: Path
    alice: str
    """May infer."""
    bob: str
    """May infer."""
    operator: str
    """May administer, and infer."""
    prometheus: str
    """May read the metrics."""
    warden: str
    """May administer, and not infer."""


def entry(name: str, key: str, *scopes: str, **more: Any) -> dict[str, Any]:
    """What a keys file holds of a key."""
    return {"id": name, "sha256": digest_of(key).hex(), "scopes": list(scopes) or ["infer"], **more}


def write_keys(folder: Path, **more: Any) -> Keys:
    """Write the file; ``more`` is what holds for alice."""
    keys = Keys(folder / "keys.yaml", *(new_key() for _ in range(5)))
    entries = [
        entry("alice", keys.alice, **more),
        entry("bob", keys.bob),
        entry("operator", keys.operator, "infer", "admin"),
        entry("prometheus", keys.prometheus, "metrics"),
        entry("warden", keys.warden, "admin"),
    ]
    keys.file.write_text(yaml.safe_dump(entries))
    return keys


def bearer(key: str) -> dict[str, str]:
    """The header that brings a key."""
    return {"Authorization": f"Bearer {key}"}
