"""The log as one JSON object a line, for programs that read it."""

import logging
import re
from datetime import UTC, datetime
from typing import Any

import orjson

from service.telemetry.tracing import CURRENT

_BREAKS = re.compile("[\x7f-\x9f\u2028\u2029]")
"""What JSON leaves as it is, and terminals or readers of lines may take for a command or a line's end."""
_LARGEST = 2**63


class JsonFormatter(logging.Formatter):
    """Log records as JSON: ``time``, ``level``, ``logger``, ``message``, and what else is known.

    ``request_id``, ``trace_id`` and ``span_id`` come from the record, if it was logged with them as ``extra``; the
    trace's else from the request that is under way. What stands in ``fields`` of ``extra``, a dictionary, becomes
    part of the object, its ``message`` in place of the text. An exception is one string, ``exception``.
    No text can break a line, or make it anything but JSON.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line, without its end."""
        entry = _entry(record)
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        elif record.exc_text:
            entry["exception"] = record.exc_text
        if record.stack_info:
            entry["stack"] = self.formatStack(record.stack_info)
        return _line(entry)


def _entry(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = getattr(record, "fields", {})
    entry = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": record.levelname,
        "logger": record.name,
        "message": fields["message"] if "message" in fields else record.getMessage(),
    }
    trace = CURRENT.get()
    if trace is not None:
        entry["trace_id"] = trace.trace_id
        entry["span_id"] = trace.span_id
    for name in ("request_id", "trace_id", "span_id"):
        if value := getattr(record, name, None):
            entry[name] = value
    return entry | fields


def _line(entry: dict[str, Any]) -> str:
    try:
        line = orjson.dumps(entry, default=str).decode()
    except TypeError:
        # Half a surrogate pair, or a number that is too large: rare, so it is looked for only now.
        line = orjson.dumps(_plain(entry), default=str).decode()
    return line if line.isascii() and "\x7f" not in line else _BREAKS.sub(_escaped, line)


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _plain(value: Any) -> Any:
    """The same, such as every reader of JSON takes it."""
    if isinstance(value, dict):
        return {_plain(str(key)): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if value is None or isinstance(value, float) or (isinstance(value, int) and -_LARGEST <= value < _LARGEST):
        return value
    return str(value).encode(errors="backslashreplace").decode()
