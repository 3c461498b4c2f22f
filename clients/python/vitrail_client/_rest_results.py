"""Results as JSON has them → results as the client has them."""

from base64 import b64decode
from typing import Any

from vitrail_client._tasks import BINARY


def with_bytes(value: Any) -> Any:
    """A part of a result with bytes where JSON has base64."""
    if isinstance(value, dict):
        return {
            name: b64decode(item) if name in BINARY and isinstance(item, str) else with_bytes(item)
            for name, item in value.items()
        }
    # Lists of numbers, which may be long, hold nothing to decode.
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [with_bytes(item) for item in value]
    return value
