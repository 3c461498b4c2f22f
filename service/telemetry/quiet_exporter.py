"""OpenTelemetry's exporter, which logs every failure of an endpoint anew, made to say it once."""

import logging
import sys
import threading
from collections.abc import Sequence
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

_log = logging.getLogger("vitrail.traces")

_LONGEST = 400
"""Characters of a reason in the log."""


class QuietExporter(SpanExporter):
    """The exporter; the log hears once that an endpoint does not take traces, and once that it takes them again."""

    def __init__(self, endpoint: str) -> None:
        self._exporter = OTLPSpanExporter(endpoint)
        self._url = urlsplit(endpoint)
        self._taken = True
        _quieten()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """See `SpanExporter.export`."""
        _SAID.first = ""
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            self._note(result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        """End; what is being tried is not tried again."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def _note(self, taken: bool) -> None:  # noqa: FBT001 - the one thing it is told
        if taken == self._taken:
            return
        self._taken = taken
        # The address without user, password and query: they may be secrets.
        where = f"{self._url.hostname}:{self._url.port}" if self._url.port else self._url.hostname
        if taken:
            _log.info("%s takes traces again", where)
            return
        cause = str(sys.exception() or _SAID.first or "it gives no reason")
        if self._url.query:
            cause = cause.replace(self._url.query, "…")
        _log.warning("traces are dropped: %s does not take them: %s", where, cause[:_LONGEST])


class _Said(threading.local):
    """What the exporter logged first in this thread, since it began on a batch."""

    first = ""


_SAID = _Said()


def _keep(record: logging.LogRecord) -> bool:
    """Keep what the exporter would log, for the one warning; the log does not get it."""
    _SAID.first = _SAID.first or record.getMessage()
    return False


def _quieten() -> None:
    """OpenTelemetry logs every failure anew, and every header of a caller that it cannot read."""
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    exporter = logging.getLogger(OTLPSpanExporter.__module__)
    exporter.setLevel(logging.WARNING)
    exporter.addFilter(_keep)
