"""``make hostile``: the corpus of hostile images and bodies against a real service.

Each file is sent in the three forms that a request can have. What counts: every answer is a good one or a documented
error, none takes long, and the service's memory is afterwards what it was before.
"""

import argparse
import contextlib
import http.client
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import psutil
from rich.console import Console
from rich.progress import track

from benchmarks.footprint import Footprint, settled, watched
from contract.image import FORMATS
from service.api.rest.problems import STATUS
from service.errors import ErrorKind
from tests.contract.image_files import a_picture, encoded, every_format
from tests.end_to_end.gateway import gateway
from tests.hostile.bodies import FORM, JSON, as_form, as_json, hostile_bodies
from tests.hostile.bombs import Scale
from tests.hostile.corpus import FULL, SMALL, corpus
from tests.tiny_models import write_version

REPORT = Path(__file__).parent / "reliability" / "hostile.json"
_PATIENCE_S = 60
_ROUNDS, _CALLERS, _MOST_LOADS = 3, 4, 8
_SIDES = (300, 700, 1_000, 1_300, 1_600)
"""Of the pictures of an ordinary load, pixels."""
_BODY_BYTES = 32 << 20
_DOCUMENTED = {kind.value: status for kind, status in STATUS.items() if kind is not ErrorKind.INTERNAL}


@dataclass
class Answers:
    """What the service said."""

    files: int = 0
    requests: int = 0
    answered: int = 0
    """With 200."""
    documented_errors: dict[str, int] = field(default_factory=dict)
    """How many of each kind."""
    undocumented: list[str] = field(default_factory=list)
    slowest_ms: dict[str, float] = field(default_factory=dict)
    """The ten slowest, by name."""

    def note(self, name: str, status: int, kind: str | None, elapsed_s: float) -> None:
        """One answer; the status is 0 if there was none."""
        self.requests += 1
        if status == 200:
            self.answered += 1
        elif kind is not None and _DOCUMENTED.get(kind) == status:
            self.documented_errors[kind] = self.documented_errors.get(kind, 0) + 1
        else:
            self.undocumented.append(f"{name}: {status} {kind}")
        self.slowest_ms[name] = max(round(elapsed_s * 1e3, 1), self.slowest_ms.get(name, 0))
        slowest = sorted(self.slowest_ms.items(), key=lambda item: -item[1])
        self.slowest_ms = dict(slowest[:10])


def ask(port: int, content_type: str, body: bytes) -> tuple[int, str | None, float]:
    """Status, kind of error and seconds of one request on a connection of its own; status 0 for no answer at all."""
    begun = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
    try:
        # A refusal may come while the body is still being sent, and ends the connection.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", "/v1/classify", body, {"Content-Type": content_type.encode("latin-1")})
        response = connection.getresponse()
        content = response.read()
        is_problem = response.headers.get_content_type() == "application/problem+json"
        kind = str(json.loads(content)["code"]) if is_problem else None
        return response.status, kind, time.monotonic() - begun
    except (OSError, http.client.HTTPException):
        return 0, None, time.monotonic() - begun
    finally:
        connection.close()


def forms(name: str, data: bytes, most: int) -> Iterator[tuple[str, str, bytes]]:
    """A file in the three forms of a body, as far as they are not beyond the service's own limit of size."""
    yield name, "image/png", data
    for form, content_type, body in (("multipart", FORM, as_form(data)), ("base64", JSON, as_json(data))):
        if len(body) <= most:
            yield f"{name}, {form}", content_type, body


def send_all(port: int, scale: Scale, *, every_form: bool = True) -> Answers:
    """Send the whole corpus, one request after the other; without ``every_form`` what is only cut goes as it is."""
    answers = Answers()
    console = Console(stderr=True)
    for name, make in track(list(corpus(scale)), "hostile images", console=console):
        data = make()
        answers.files += 1
        most = _BODY_BYTES if every_form or " cut at " not in name else 0
        for form, content_type, body in forms(name, data, most):
            answers.note(form, *ask(port, content_type, body))
    for name, content_type, body in track(list(hostile_bodies(scale.size)), "hostile bodies", console=console):
        answers.files += 1
        answers.note(name, *ask(port, content_type, body))
    return answers


def warmed_mb(port: int, process: psutil.Process, scale: Scale) -> float:
    """Its memory, 10⁶ bytes, once an ordinary load lets it grow no more."""
    at = 0.0
    for _ in range(_MOST_LOADS):
        load(port, scale)
        before, at = at, settled_mb(process)
        if at < before * 1.01:
            break
    return at


def load(port: int, scale: Scale) -> None:
    """An ordinary load: good pictures of every format, small ones and large, from some callers at a time.

    Without it the service has not yet loaded what it loads once, nor kept the freed memory that it keeps by design.
    """
    with ThreadPoolExecutor(_CALLERS) as callers:
        list(callers.map(lambda request: ask(port, *request), _ordinary(scale) * _ROUNDS))


@cache
def _ordinary(scale: Scale) -> list[tuple[str, bytes]]:
    sides = [side for side in _SIDES if side <= scale.side]
    files = [encoded(a_picture(side, side), form) for form in FORMATS for side in sides]
    return [
        (kind, body) for data in (*files, *every_format().values()) for _, kind, body in forms("", data, _BODY_BYTES)
    ]


def measure(scale: Scale) -> dict[str, object]:
    """Start a service, send the corpus, and tell what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        write_version(Path(folder) / "models", "colours")
        limits = {"max_pixels": scale.pixels, "threads": 2}
        with gateway(Path(folder) / "models", Path(folder) / "log", **limits) as service:
            process = psutil.Process(service.process.pid)
            before = warmed_mb(service.port, process, scale)
            with watched(process, 0.02) as seen:
                answers = send_all(service.port, scale)
            load(service.port, scale)
            after = settled_mb(process)
    told = asdict(answers)
    return told | {
        "undocumented": len(answers.undocumented),
        "undocumented_names": answers.undocumented,
        "slowest_ms": max(answers.slowest_ms.values()),
        "slowest": answers.slowest_ms,
        "documented_errors": sum(answers.documented_errors.values()),
        "documented_kinds": dict(sorted(answers.documented_errors.items())),
        "memory_before_mb": round(before, 1),
        "memory_after_mb": round(after, 1),
        "memory_most_mb": round(max(one.rss_mb for one in seen), 1),
        "change_percent": round((after / before - 1) * 100, 1),
    }


def settled_mb(process: psutil.Process) -> float:
    """Resident memory, 10⁶ bytes, of a process that has come to rest: the median of some looks."""
    settled(process, Footprint.of(process))
    looks = []
    for _ in range(10):
        time.sleep(0.1)
        looks.append(Footprint.of(process).rss_mb)
    return statistics.median(looks)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Send the hostile corpus to a real service.")
    parser.add_argument("--small", action="store_true", help="the tests' corpus: a million pixels instead of fifty")
    parser.add_argument("--report", type=Path, default=REPORT)
    arguments = parser.parse_args()
    told = measure(SMALL if arguments.small else FULL)
    told |= {"command": "make hostile", "date": datetime.now(UTC).date().isoformat()}
    arguments.report.parent.mkdir(parents=True, exist_ok=True)
    arguments.report.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    print(json.dumps(told, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
