"""A small real receiver of OTLP over HTTP, as a collector is one: it keeps the traces that it is sent."""

import base64
import gzip
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class OtlpReceiver:
    """What has arrived so far.

    Attributes:
        port: on the loopback address; connections are refused after `close`.
        status: what posts are answered with from now on; only what is answered 200 is kept.
        requests: those kept, each with its path and headers (names in lower case).
        refused: how many posts were answered with another status.
    """

    def __init__(self, port: int = 0) -> None:
        self.status = 200
        self.requests: list[tuple[str, Mapping[str, str], ExportTraceServiceRequest]] = []
        self.refused = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self.port = self._server.server_port
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Its address, without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def spans(self) -> list[Span]:
        """All spans, as they came."""
        return [
            span
            for _, _, request in self.requests
            for of_resource in request.resource_spans
            for of_scope in of_resource.scope_spans
            for span in of_scope.spans
        ]

    @property
    def resource(self) -> dict[str, Any]:
        """The attributes of the one that sent first."""
        return values(self.requests[0][2].resource_spans[0].resource.attributes)

    def span(self, name: str) -> Span:
        """The one span of that name."""
        (found,) = [span for span in self.spans if span.name == name]
        return found

    def taken(self, path: str, headers: Mapping[str, str], body: bytes) -> int:
        """A post has arrived; gives the status of its answer."""
        if self.status != 200:
            self.refused += 1
            return self.status
        content = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
        read = _from_json if headers["content-type"] == "application/json" else ExportTraceServiceRequest.FromString
        self.requests.append((path, headers, read(content)))
        return 200

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def values(attributes: Any) -> dict[str, Any]:
    """Attributes as OTLP has them, as a dictionary of strings and numbers."""
    return {attribute.key: _value(attribute) for attribute in attributes}


@contextmanager
def receiving() -> Iterator[OtlpReceiver]:
    """A receiver on a free port, until the end of the block."""
    receiver = OtlpReceiver()
    try:
        yield receiver
    finally:
        receiver.close()


def _from_json(content: bytes) -> ExportTraceServiceRequest:
    """OTLP has ids in hexadecimal digits, where Protobuf's own JSON has base64."""
    text = re.sub(r'"((?:parentS|s)panId|traceId)":"([0-9a-f]*)"', _in_base64, content.decode())
    return Parse(text, ExportTraceServiceRequest(), ignore_unknown_fields=True)


def _in_base64(match: re.Match[str]) -> str:
    return f'"{match[1]}":"{base64.b64encode(bytes.fromhex(match[2])).decode()}"'


def _value(attribute: KeyValue) -> Any:
    return getattr(attribute.value, attribute.value.WhichOneof("value"))


def _handler(receiver: OtlpReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status = receiver.taken(self.path, headers, body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that the base class gives it
            """Nobody reads it."""

    return Handler
