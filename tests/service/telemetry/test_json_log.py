"""The log as JSON: one object a line, whatever is logged."""

import json
import logging
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.telemetry.json_log import JsonFormatter
from service.telemetry.logs import LogFormat, configure
from service.telemetry.tracing import CURRENT, Trace

HOSTILE = 'a"b\\c\nd\re\x00f\x1b[31mg\x85h\u2028i\u2029j\x9bk\ud800l\udfff'


class Followed:
    """A trace that is only named."""

    trace_id = "0af7651916cd43dd8448eb211c80319c"
    span_id = "b7ad6b7169203331"
    sampled = True

    def headers(self) -> Mapping[str, str]:
        return {}

    def ended(self, ended: object) -> None:
        """Nothing comes of it."""


@contextmanager
def under_way(trace: Trace) -> Iterator[None]:
    """Within the block, a request is under way that is followed."""
    token = CURRENT.set(trace)
    try:
        yield
    finally:
        CURRENT.reset(token)


def line(message: Any = "hello", *arguments: Any, exc_info: Any = None, **extra: Any) -> str:
    """What a record becomes."""
    record = logging.LogRecord("vitrail.test", logging.WARNING, __file__, 1, message, arguments, exc_info)
    record.__dict__ |= extra
    return JsonFormatter().format(record)


def read(text: str) -> dict[str, Any]:
    """A line as two readers of JSON take it, who agree."""
    assert len(text.splitlines()) == 1
    entry: dict[str, Any] = orjson.loads(text)
    assert json.loads(text) == entry
    return entry


def test_a_record_is_an_object_with_the_time_in_utc() -> None:
    """Time, level, logger and message stand in each line."""
    assert read(line("%d images", 3, created=1763769600.1239)) == {
        "time": "2025-11-22T00:00:00.123Z",
        "level": "WARNING",
        "logger": "vitrail.test",
        "message": "3 images",
    }


def test_ids_come_from_the_record() -> None:
    """What is logged with a request's ids has them as fields of their own; empty ones are left out."""
    entry = read(line(request_id="abc", trace_id="t", span_id=""))
    assert (entry["request_id"], entry["trace_id"]) == ("abc", "t")
    assert "span_id" not in entry


def test_the_trace_under_way_is_named() -> None:
    """A line that is logged while a request is under way names its trace, unless it names another."""
    with under_way(Followed()):
        entry, other = read(line()), read(line(trace_id="another"))
    assert (entry["trace_id"], entry["span_id"]) == (Followed.trace_id, Followed.span_id)
    assert other["trace_id"] == "another"
    assert "trace_id" not in read(line())


def test_fields_become_part_of_the_object() -> None:
    """A record's fields stand beside its message, or instead of it."""
    entry = read(line("for people", fields={"message": "answered", "stages_ms": {"decode": 1.5}}))
    assert (entry["message"], entry["stages_ms"]) == ("answered", {"decode": 1.5})


def test_an_exception_is_one_string() -> None:
    """The whole traceback is in the field, with its lines."""
    with pytest.raises(ValueError) as caught:
        int(HOSTILE, 36)
    entry = read(line(exc_info=(ValueError, ValueError(HOSTILE), caught.tb)))
    assert entry["exception"].startswith("Traceback")
    assert "\nValueError: a" in entry["exception"]


def test_where_a_line_was_logged_is_told_if_it_was_asked_for() -> None:
    """A stack that was logged is a field."""
    assert read(line(stack_info="Stack (most recent call last):\n  here"))["stack"].endswith("\n  here")


@given(text=st.text(st.integers(0, sys.maxunicode).map(chr)))
def test_no_text_breaks_a_line(text: str) -> None:
    """Any text, half characters among it, gives one line of ASCII-safe JSON, and what can be told is."""
    written = line("%s", text, fields={"label": text, "nested": {text: [text]}})
    assert len(written.splitlines()) == 1
    assert not any(letter < " " or "\x7f" <= letter <= "\x9f" for letter in written)
    entry = read(written)
    if text.isprintable():
        assert entry["message"] == entry["label"] == text


@given(values=st.recursive(st.integers() | st.floats() | st.booleans() | st.none() | st.text(), st.lists, max_leaves=8))
def test_no_value_breaks_a_line(values: Any) -> None:
    """Numbers that no reader takes, and things that are no JSON, become text."""
    assert "value" in orjson.loads(line(fields={"value": values, "thing": object(), "kind": {1: b"bytes"}}))


@contextmanager
def configured(level: str, form: LogFormat) -> Iterator[None]:
    """The log of this process as the service's settings have it, until the end of the block."""
    root = logging.getLogger()
    handlers, before = root.handlers, root.level
    root.handlers = []
    try:
        configure(level, form)
        yield
    finally:
        root.handlers = handlers
        root.setLevel(before)
        logging.captureWarnings(False)


def test_json_goes_to_the_standard_error_stream(capsys: pytest.CaptureFixture[str]) -> None:
    """A configured process writes a line of JSON a record, from the level on, Python's own warnings among them."""
    with configured("warning", "json"):
        logging.getLogger("vitrail.test").warning("watch\nout")
        logging.getLogger("vitrail.test").info("not this")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("old", DeprecationWarning, stacklevel=1)
    out, err = capsys.readouterr()
    entries = [read(one) for one in err.splitlines()]
    assert out == ""
    assert [entry["logger"] for entry in entries] == ["vitrail.test", "py.warnings"]
    assert entries[0]["message"] == "watch\nout"


def test_text_stays_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Lines for people have the time, the level, the logger and the message."""
    with configured("info", "text"):
        logging.getLogger("vitrail.test").info("hello")
    assert capsys.readouterr().err.endswith(" INFO vitrail.test hello\n")


def test_libraries_that_name_addresses_are_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    """Addresses with passwords stay out of the log."""
    with configured("debug", "json"):
        logging.getLogger("httpx").info("GET http://user:password@camera")
    assert capsys.readouterr().err == ""
