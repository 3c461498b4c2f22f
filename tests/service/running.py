"""The whole service within the test's own process."""

import io
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from contract.card import ModelCard
from contract.preprocess import Pixels
from service.app import Application
from service.engines.batcher import Batcher
from service.engines.onnx import OnnxEngine
from service.settings import Settings
from service.telemetry import VersionMetrics
from tests.doubles import HeldEngine, until


@dataclass
class Running:
    """A service that runs, a client of it, and the engines below its batchers."""

    application: Application
    client: httpx.AsyncClient
    engines: dict[str, HeldEngine] = field(default_factory=dict)

    async def ask(self, path: str, image: bytes, **headers: str) -> httpx.Response:
        """Send one image as it is; header names with ``_`` for ``-``."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post(path, content=image, headers={"Content-Type": "image/png", **named})


@asynccontextmanager
async def running(
    repository: Path, *, wait: bool = True, triton_url: str | None = None, **settings: Any
) -> AsyncIterator[Running]:
    """Run the service over a repository, and wait until its models are loaded; in Triton where there is one."""
    engines: dict[str, HeldEngine] = {}
    threads = ThreadPoolExecutor(2)

    async def open_engine(card: ModelCard, metrics: VersionMetrics) -> Batcher:
        path = repository / card.name / str(card.version) / "model.onnx"
        held = HeldEngine(OnnxEngine(card, path, threads, 2, settings.get("max_batch_size")))
        engines[f"{card.name}:{card.version}"] = held
        return Batcher(held, settings.get("max_queue", 256), application.engines.batcher_events(metrics))

    async def open_in_triton(card: ModelCard, metrics: VersionMetrics) -> HeldEngine:
        triton = application.engines.triton
        assert triton is not None
        held = HeldEngine(await triton.open(card, max_queue=256, max_batch_size=settings.get("max_batch_size")))
        engines[f"{card.name}:{card.version}"] = held
        return held

    settings.setdefault("videos", repository.with_name(f"{repository.name}-videos"))
    if triton_url is not None:
        settings |= {"engine": "triton", "triton_url": triton_url}
    application = Application(
        Settings(repository=repository, threads=2, **settings), open_in_triton if triton_url else open_engine
    )
    transport = httpx.ASGITransport(app=application.asgi)
    try:
        async with (
            application.life(application.asgi),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            if wait:
                await until(lambda: application.registry.settled)
            try:
                yield Running(application, client, engines)
            finally:
                for engine in engines.values():
                    engine.let_go()
    finally:
        threads.shutdown()


def picture(*colour: int, width: int = 12, height: int = 10) -> bytes:
    """A PNG of one colour."""
    return encode(np.full((height, width, 3), colour or (200, 40, 40), np.uint8))


def encode(pixels: Pixels, form: str = "PNG") -> bytes:
    """Pixels as a file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


RED, GREEN, BLUE = picture(255, 0, 0), picture(0, 255, 0), picture(0, 0, 255)
WHITE, BLACK = picture(255, 255, 255), picture(0, 0, 0)
