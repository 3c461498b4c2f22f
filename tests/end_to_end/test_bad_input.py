"""Bad input to a real service: each gets its documented error, and the service stays as it was."""

import base64
import json
import re
import socket
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from skimage import data

from tests.end_to_end.gateway import Gateway, gateway
from tests.service.running import RED, encode

JPEG = encode(data.chelsea(), "JPEG")
FORM = {"Content-Type": "multipart/form-data; boundary=b"}
JSON = {"Content-Type": "application/json"}
IMAGE = {"Content-Type": "image/jpeg"}


def huge_png(side: int = 50_000) -> bytes:
    """A small PNG file that declares a huge picture."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(10_000_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def stream(total: int, step: int = 1_000_000) -> Iterator[bytes]:
    """A body of which nobody knows beforehand how long it is."""
    for _ in range(total // step):
        yield bytes(step)


@dataclass(frozen=True)
class Bad:
    """A request that cannot be answered, and the error that it gets."""

    status: int
    code: str
    content: Callable[[], Any] = field(default=lambda: RED)
    headers: dict[str, str] = field(default_factory=lambda: IMAGE)
    query: str = ""

    def send(self, client: httpx.Client) -> httpx.Response:
        """The answer to it."""
        return client.post(f"/v1/classify{self.query}", content=self.content(), headers=self.headers)


CASES = {
    "empty body": Bad(422, "invalid_image", lambda: b""),
    "text as an image": Bad(422, "invalid_image", lambda: b"this is no image"),
    "text as text": Bad(415, "unsupported_media_type", lambda: b"text", {"Content-Type": "text/plain"}),
    "noise": Bad(422, "invalid_image", lambda: np.random.default_rng(0).bytes(1_000_000)),
    "truncated JPEG": Bad(422, "invalid_image", lambda: JPEG[: len(JPEG) // 2]),
    "PNG of 50,000 x 50,000": Bad(413, "too_large", huge_png, {"Content-Type": "image/png"}),
    "100 MB with their length": Bad(413, "too_large", lambda: bytes(100_000_000)),
    "100 MB in chunks": Bad(413, "too_large", lambda: stream(100_000_000)),
    "unknown model": Bad(404, "model_not_found", query="?model=nothing"),
    "unknown version": Bad(404, "model_not_found", query="?model=colours:7"),
    "model of odd form": Bad(422, "invalid_parameters", query="?model=../../etc/passwd"),
    "top_k=-1": Bad(422, "invalid_parameters", query="?top_k=-1"),
    "top_k=abc": Bad(422, "invalid_parameters", query="?top_k=abc"),
    "unknown parameter": Bad(422, "invalid_parameters", query="?colour=red"),
    "form without an image": Bad(
        422,
        "invalid_image",
        lambda: b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\ntext\r\n--b--\r\n',
        FORM,
    ),
    "form without a boundary": Bad(422, "invalid_parameters", headers={"Content-Type": "multipart/form-data"}),
    "broken form": Bad(422, "invalid_parameters", lambda: b"--b\r\nno header\r\n", FORM),
    "JSON of 100,000 lists": Bad(422, "invalid_parameters", lambda: b"[" * 100_000 + b"]" * 100_000, JSON),
    "JSON of 100,000 objects": Bad(422, "invalid_parameters", lambda: b'{"a":' * 100_000, JSON),
    "JSON that is not UTF-8": Bad(422, "invalid_parameters", lambda: b'{"images": ["\xff\xfe"]}', JSON),
    "JSON that is not base64": Bad(422, "invalid_parameters", lambda: b'{"images": [{"b64": "%%%"}]}', JSON),
    "huge base64": Bad(
        422,
        "invalid_image",
        lambda: json.dumps({"images": [{"b64": base64.b64encode(bytes(20_000_000)).decode()}]}).encode(),
        JSON,
    ),
    "address instead of an image": Bad(403, "forbidden", lambda: b'{"images": [{"url": "http://127.0.0.1/"}]}', JSON),
    "deadline that is no time": Bad(422, "invalid_parameters", headers={**IMAGE, "X-Request-Timeout-Ms": "soon"}),
}


@pytest.fixture(scope="module")
def client(tiny_gateway: Gateway) -> Iterator[httpx.Client]:
    """A client of the service with small limits."""
    with httpx.Client(base_url=tiny_gateway.url, timeout=60) as client:
        yield client


def assert_tells_nothing(text: str) -> None:
    """No stack trace, no path and no class of exception is in what the caller reads."""
    assert "Traceback" not in text
    assert not re.search(r"\b[A-Z]\w*(Error|Exception|Warning)\b", text)
    assert not re.search(r"/(home|root|tmp|usr|work|var)/|\.py\b|site-packages", text)


@pytest.mark.parametrize("name", CASES)
def test_bad_input_gets_its_documented_error(name: str, client: httpx.Client) -> None:
    """Status, code and form are the documented ones, and nothing of the service's inside is told."""
    response = CASES[name].send(client)
    problem = response.json()
    assert (response.status_code, problem["code"]) == (CASES[name].status, CASES[name].code)
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["request_id"] == response.headers["x-request-id"]
    assert_tells_nothing(response.text)
    assert_tells_nothing(str(response.headers))


def exchange(gateway: Gateway, *parts: bytes, pause_s: float = 0.0) -> bytes:
    """Send parts of a request by hand, with pauses, and read until the service closes the connection."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as connection:
        for number, part in enumerate(parts):
            time.sleep(pause_s if number else 0)
            try:
                connection.sendall(part)
            except (BrokenPipeError, ConnectionResetError):
                break
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
        return answer


def head(length: str, more: str = "") -> bytes:
    """The head of a request with an image."""
    return (
        f"POST /v1/classify HTTP/1.1\r\nHost: here\r\nContent-Type: image/png\r\nContent-Length: {length}\r\n{more}\r\n"
    ).encode()


@pytest.mark.parametrize("length", ["nonsense", "-5", "1e3", "99999999999999999999999999"])
def test_a_length_that_is_no_number(length: str, tiny_gateway: Gateway) -> None:
    """A request whose length makes no sense is refused with 400, before it is one."""
    answer = exchange(tiny_gateway, head(length))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/problem+json" in answer
    assert_tells_nothing(answer.decode())


def test_a_body_that_stalls(tiny_gateway: Gateway) -> None:
    """A body that stops arriving is given up after a while."""
    answer = exchange(tiny_gateway, head("1000") + b"x")
    assert answer.startswith(b"HTTP/1.1 504 ")
    assert b'"code":"deadline_exceeded"' in answer


def test_a_body_that_drips(tiny_gateway: Gateway) -> None:
    """A body that never stalls but never ends is given up as well."""
    answer = exchange(tiny_gateway, head("1000"), *[b"x"] * 12, pause_s=0.3)
    assert answer.startswith(b"HTTP/1.1 504 ")
    assert b'"code":"deadline_exceeded"' in answer


def test_a_caller_who_leaves_within_the_body(tiny_gateway: Gateway) -> None:
    """A connection that ends in the middle of its body is counted as cancelled, and holds nothing."""
    before = tiny_gateway.figure("vitrail_rejections_total", reason="cancelled")
    with socket.create_connection(("127.0.0.1", tiny_gateway.port), timeout=30) as connection:
        connection.sendall(head("1000") + b"x" * 500)
    tiny_gateway.until_figure("vitrail_rejections_total", before + 1, reason="cancelled")
    assert tiny_gateway.figure("vitrail_images_in_flight") == 0


def slow_request() -> bytes:
    """A request that keeps the engine busy for a while."""
    return head(str(len(RED))).replace(b"/v1/classify", b"/v1/classify?model=slow") + RED


def test_a_caller_who_leaves_within_the_work(tiny_gateway: Gateway) -> None:
    """What waits for a caller who has left is never computed, and the permit is free again."""
    computed = tiny_gateway.figure("vitrail_batch_size_sum", model="slow")
    connections = [socket.create_connection(("127.0.0.1", tiny_gateway.port), timeout=30) for _ in range(6)]
    for connection in connections:
        connection.sendall(slow_request())
    # Two are with the engine; four wait, three of which lose their callers.
    tiny_gateway.until_figure("vitrail_images_in_flight", 6)
    for connection in connections[3:]:
        connection.close()
    for connection in connections[:3]:
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
        connection.close()
    tiny_gateway.until_figure("vitrail_images_in_flight", 0)
    left = 6 - (tiny_gateway.figure("vitrail_batch_size_sum", model="slow") - computed)
    assert left >= 1


def test_three_hundred_at_once(tiny_repository: Path, tmp_path: Path) -> None:
    """Of a crowd each gets an answer: 200, or 429 with the time after which to come back; none is lost."""
    # With its usual patience: a crowd on a busy machine may take a second to send a body.
    with gateway(tiny_repository, tmp_path / "log", threads=2, max_images_in_flight=6) as running:

        def ask(number: int) -> httpx.Response:
            path = "/v1/classify?model=slow" if number % 10 == 0 else "/v1/classify"
            return httpx.post(f"{running.url}{path}", content=RED, headers=IMAGE, timeout=60)

        with ThreadPoolExecutor(100) as crowd:
            answers = list(crowd.map(ask, range(300)))
        refused = [answer for answer in answers if answer.status_code == 429]
        assert {answer.status_code for answer in answers} == {200, 429}
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        assert all(answer.json()["code"] == "overloaded" for answer in refused)
        assert running.figure("vitrail_images_in_flight") == 0


def test_memory_comes_back(tiny_repository: Path, tmp_path: Path) -> None:
    """After all bad input together, three times over, the process is little larger than good input had made it."""
    with (
        gateway(tiny_repository, tmp_path / "log", threads=2) as running,
        httpx.Client(base_url=running.url, timeout=60) as client,
    ):
        process = psutil.Process(running.process.pid)
        for _ in range(20):
            assert client.post("/v1/classify", content=JPEG, headers=IMAGE).status_code == 200
        before = process.memory_info().rss
        for case in [*CASES.values()] * 3:
            case.send(client)
        assert process.memory_info().rss < before * 1.2 + 30e6


def test_the_service_answers_as_ever(tiny_gateway: Gateway, client: httpx.Client, tmp_path: Path) -> None:
    """After all that it is alive and ready, gives right answers, and no request failed for a mistake of its own."""
    assert client.get("/readyz").status_code == 200
    answer = client.post("/v1/classify", content=RED, headers=IMAGE).json()
    assert answer["results"][0]["classes"][0]["label"] == "red"
    assert tiny_gateway.figure("vitrail_rejections_total", reason="internal") == 0
    assert "Traceback" not in tiny_gateway.log.read_text()
