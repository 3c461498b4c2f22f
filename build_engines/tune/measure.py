"""Latency and throughput of one version in ONNX Runtime, as callers side by side see them."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import numpy as np

from build_engines.artifact import BuildFailure
from build_engines.onnx_session import ENGINE_ERRORS, open_version, said
from build_engines.tune.choice import Arrangement, is_stable, summarise
from contract.card import Measurement, ModelCard, Platform
from contract.preprocess import Pixels
from contract.repository import GOLDEN, Repository

_WARM_UP_CALLS = 2
_CHECK_EVERY = 10
"""Calls between two looks at whether the figures have settled."""

Advance = Callable[[int, int], None]
"""Hears of progress: measurements done, and measurements in all."""

Point = tuple[Arrangement, int]
"""What one measurement is of: an arrangement, and a batch size."""


def measure(
    repository: Repository,
    card: ModelCard,
    sizes: Sequence[int],
    ways: Sequence[Arrangement],
    seconds: float,
    advance: Advance | None = None,
) -> tuple[list[Measurement], list[Point]]:
    """Measure every batch size in every arrangement within about ``seconds``; what was left out comes second.

    What settles early leaves its time to the others; what is left when the time is over is not measured at all. Each
    measurement makes at least one call after warming up. Raises BuildFailure where the engine cannot be loaded or
    fails.
    """
    points = [(way, size) for way in ways for size in sizes]
    images = _images(repository, card)
    deadline = time.perf_counter() + seconds
    measured: list[Measurement] = []
    session: Any = None
    for done, (way, size) in enumerate(points):
        share = (deadline - time.perf_counter()) / (len(points) - done)
        if share <= 0:
            return measured, points[done:]
        if size == sizes[0]:
            session = _open(repository, card, way.threads)
        measured.append(summarise(size, way, _latencies(session, card, _batch(images, size), way.callers, share)))
        if advance is not None:
            advance(done + 1, len(points))
    return measured, []


def _latencies(session: Any, card: ModelCard, batch: Pixels, callers: int, seconds: float) -> list[float]:
    """Milliseconds of each call, all callers' together in the order in which they ended."""
    names = [output.name for output in card.outputs]
    deadline = time.perf_counter() + seconds
    enough = Event()
    taken: list[float] = []

    def call() -> float:
        start = time.perf_counter()
        session.run(names, {card.input.name: batch})
        return (time.perf_counter() - start) * 1000

    def caller() -> None:
        for _ in range(_WARM_UP_CALLS):
            if enough.is_set() or time.perf_counter() > deadline:
                break
            call()
        while not enough.is_set():
            taken.append(call())
            settled = len(taken) % _CHECK_EVERY == 0 and is_stable(taken)
            if settled or time.perf_counter() > deadline:
                enough.set()

    with ThreadPoolExecutor(callers) as pool:
        try:
            running = [pool.submit(caller) for _ in range(callers)]
            for future in running:
                future.result()
        except ENGINE_ERRORS as error:
            raise BuildFailure(
                f"the engine failed on a batch of {len(batch)}: {said(error)}", "build the model again"
            ) from error
        finally:
            # Also when Ctrl-C comes: the pool waits for its threads.
            enough.set()
    return taken


def _images(repository: Repository, card: ModelCard) -> Pixels:
    """The version's golden images uint8 [K,H,W,3]: a model that suppresses boxes has other work on noise."""
    path = repository.version_path(card.name, card.version) / GOLDEN
    try:
        with np.load(path) as golden:
            return np.asarray(golden[card.input.name])
    except (OSError, KeyError, ValueError):
        return np.random.default_rng(0).integers(0, 256, (1, *card.input.shape), np.uint8)


def _batch(images: Pixels, size: int) -> Pixels:
    return np.ascontiguousarray(images[np.arange(size) % len(images)])


def _open(repository: Repository, card: ModelCard, threads: int) -> Any:
    """A session as the service opens it, but for the number of threads."""
    if card.platform is Platform.TENSORRT:
        raise BuildFailure(
            f"{card.name}:{card.version} is {card.platform}, and only ONNX files are tuned here",
            "tune the ONNX version that it was compiled from",
        )
    path = repository.version_path(card.name, card.version) / card.platform.filename
    return open_version(path, threads=threads, spinning=False)
