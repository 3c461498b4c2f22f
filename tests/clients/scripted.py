"""A service that answers by a script: what a real one says in rare moments."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Reply:
    """One answer; ``silent``: the body is begun, and nothing more comes until the script is over."""

    body: bytes
    status: int = 200
    media_type: str = "application/json"
    silent: bool = False
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """One request."""

    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


class Script:
    """Replies by method and path, in their order; the last one of a path is given again and again."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: dict[str, list[Asked]] = {}
        self.over = threading.Event()
        self._replies: dict[str, list[Reply]] = {}

    def on(self, request: str, *replies: Reply) -> None:
        """What is answered to that request, e.g. ``GET /v1/videos``."""
        self._replies[request] = list(replies)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Take a request and answer it."""
        parts = urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        request = f"{handler.command} {parts.path}"
        self.asked.setdefault(request, []).append(Asked(dict(parse_qsl(parts.query)), dict(handler.headers), body))
        left = self._replies[request]
        reply = left.pop(0) if len(left) > 1 else left[0]
        handler.send_response(reply.status)
        for name, value in {"Content-Type": reply.media_type, **reply.headers}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(reply.body) + reply.silent))
        handler.end_headers()
        handler.wfile.write(reply.body)
        if reply.silent:
            handler.wfile.flush()
            self.over.wait(30)


def told(**fields: Any) -> Reply:
    """A JSON object."""
    return Reply(json.dumps(fields).encode())


def lines(*numbers: int, after: bytes = b"", silent: bool = False, **fields: Any) -> Reply:
    """Results of these frames."""
    text = b"".join(json.dumps({"frame": n, **fields}, ensure_ascii=False).encode() + b"\n" for n in numbers)
    return Reply(text + after, media_type="application/x-ndjson", silent=silent)


@contextmanager
def scripted() -> Iterator[Script]:
    """Such a service on a free port."""
    script = Script()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """By the script."""
            script.answer(self)

        do_POST = do_DELETE = do_GET  # noqa: N815 - http.server's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        script.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield script
        finally:
            script.over.set()
            server.shutdown()
            thread.join()
