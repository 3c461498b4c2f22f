"""The service with ``--fallback embedded`` over a Triton that is killed, hangs and comes back."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
from tritonclient.grpc import service_pb2, service_pb2_grpc

from contract.proto.vitrail.v1 import vision_pb2
from service.app import Application
from service.settings import Settings
from tests.doubles import until
from tests.service.api.grpc.channel import method
from tests.service.running import RED
from tests.tiny_models import SIDE
from tests.triton_server import TritonServer


@dataclass
class Degradable:
    """A service whose versions have stand-ins, and a client of it."""

    application: Application
    client: httpx.AsyncClient

    async def ask(self) -> tuple[int, str | None]:
        """The status of a red picture's answer, and who stood in."""
        answer = await self.client.post(
            "/v1/classify?model=colours", content=RED, headers={"Content-Type": "image/png"}
        )
        stood_in = answer.headers.get("x-vitrail-degraded")
        assert answer.json().get("model", {}).get("degraded") == stood_in
        return answer.status_code, stood_in

    async def told_elsewhere(self) -> list[str | None]:
        """Who stood in, by the Open Inference Protocol over REST and by both services over gRPC."""
        images = {"name": "images", "shape": [1, SIDE, SIDE, 3], "datatype": "UINT8", "data": [0] * (SIDE * SIDE * 3)}
        tensors = await self.client.post("/v2/models/colours/infer", json={"inputs": [images]})
        request = service_pb2.ModelInferRequest(model_name="colours", raw_input_contents=[bytes(SIDE * SIDE * 3)])
        request.inputs.add(name="images", datatype="UINT8", shape=images["shape"])
        await self.application.grpc.start("127.0.0.1:0")
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.application.grpc.port}") as channel:
            calls = (
                method(channel, "Classify")(vision_pb2.ClassifyRequest(images=[RED])),
                service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request),
            )
            trailing = [dict(await call.trailing_metadata()) for call in calls]
            assert (await calls[0]).model.degraded == trailing[0].get("x-vitrail-degraded", "")
        return [tensors.headers.get("x-vitrail-degraded"), *(told.get("x-vitrail-degraded") for told in trailing)]

    async def degraded(self) -> float | None:
        """The metric of version 2."""
        labels = {"model": "colours", "version": "2"}
        return self.application.telemetry.registry.get_sample_value("vitrail_degraded", labels)

    async def ready(self) -> int:
        """The status of the readiness probe."""
        return (await self.client.get("/readyz")).status_code


@asynccontextmanager
async def degradable(triton: TritonServer, repository: Path) -> AsyncIterator[Degradable]:
    """It runs, and its models are loaded."""
    settings = Settings(
        repository=repository,
        videos=repository.parent / "videos",
        threads=2,
        engine="triton",
        triton_url=triton.url,
        fallback="embedded",
    )
    application = Application(settings)
    transport = httpx.ASGITransport(app=application.asgi)
    async with (
        application.life(application.asgi),
        httpx.AsyncClient(transport=transport, base_url="http://service") as client,
    ):
        await until(lambda: application.registry.ready)
        yield Degradable(application, client)


async def test_a_triton_that_is_killed_costs_no_answer(triton: TritonServer, repository: Path) -> None:
    """Killed under load, Triton is stood in for: every request is answered, readiness holds, and the answers say so."""
    async with degradable(triton, repository) as service:
        asking = [asyncio.create_task(_ask_for_a_while(service)) for _ in range(4)]
        await asyncio.sleep(0)
        triton.kill()
        answers = [answer for answers in await asyncio.gather(*asking) for answer in answers]
        assert {status for status, _ in answers} == {200}
        assert answers[-1] == (200, "embedded")
        assert await service.told_elsewhere() == ["embedded"] * 3
        assert (await service.ready(), await service.degraded()) == (200, 1)


async def _ask_for_a_while(service: Degradable) -> list[tuple[int, str | None]]:
    return [await service.ask() for _ in range(40)]


async def test_triton_answers_again_when_it_is_back(triton: TritonServer, repository: Path) -> None:
    """Once Triton is back with what was loaded its answers bear no mark, and the metric says so, without a request."""
    async with degradable(triton, repository) as service:
        triton.kill()
        assert await service.ask() == (200, "embedded")
        triton.start()
        await until(lambda: not service.application.registry.aliased("colours").engine.degraded)  # type: ignore[union-attr]
        assert (await service.degraded(), await service.ask()) == (0, (200, None))


async def test_a_service_that_starts_while_triton_is_away(triton: TritonServer, repository: Path) -> None:
    """Started without its Triton the service answers by itself, and gives its models to Triton when that comes."""
    triton.kill()
    async with degradable(triton, repository) as service:
        assert (await service.ready(), await service.ask(), await service.degraded()) == (200, (200, "embedded"), 1)
        triton.start()
        version = service.application.registry.aliased("colours")
        await until(lambda: not version.engine.degraded)  # type: ignore[union-attr]
        assert (await service.ask(), await service.degraded()) == ((200, None), 0)


async def test_a_triton_that_hangs(triton: TritonServer, repository: Path) -> None:
    """Requests that a stopped Triton holds are answered by the stand-in once it is seen, before their deadlines."""
    async with degradable(triton, repository) as service:
        os.killpg(triton.pid, signal.SIGSTOP)
        try:
            answers = await asyncio.gather(*(service.ask() for _ in range(8)))
        finally:
            os.killpg(triton.pid, signal.SIGCONT)
        assert answers == [(200, "embedded")] * 8
