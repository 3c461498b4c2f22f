"""The Triton engine on a real Triton: the embedded engine's answers, deadlines, and refusals."""

import asyncio
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from contract.repository import Repository
from service.engines.base import Inferred
from service.engines.onnx import OnnxEngine
from service.errors import ErrorKind, ServiceError
from tests.doubles import until
from tests.service.engines.triton.conftest import (
    Control,
    Happenings,
    batches_run,
    noise,
    open_version,
    pictures,
    pool_over,
)
from tests.service.tiny_tasks import write_tiny_repository
from tests.tiny_models import SIDE, as_twins
from tests.triton_server import TritonServer, triton_server


@pytest.mark.parametrize("shared_memory", [False, True])
async def test_answers_are_those_of_the_embedded_engine(
    repository: Path, triton: TritonServer, *, shared_memory: bool
) -> None:
    """Every batch size, and more images than one batch holds, give what ONNX Runtime gives in this process."""
    card = Repository(repository).read_card("colours", 1)
    async with pool_over(triton, shared_memory=shared_memory) as pool:
        engine = await open_version(pool, repository)
        with ThreadPoolExecutor(1) as threads:
            embedded = OnnxEngine(card, repository / "colours" / "1" / "model.onnx", threads, 1)
            expected = [(await embedded.infer([image]))[0].outputs["probabilities"] for image in pictures(9)]
        for count in (1, 2, 3, 4, 9):
            answers = await engine.infer(pictures(count))
            assert [answer.batch_size for answer in answers] == ([4] * 8 + [1] if count == 9 else [count] * count)
            for answer, probabilities in zip(answers, expected[:count], strict=True):
                np.testing.assert_allclose(answer.outputs["probabilities"], probabilities, rtol=1e-6)
        await engine.close()


async def test_all_tasks_tensors_arrive_as_they_are(tmp_path: Path) -> None:
    """Several outputs, integers, maps and clips come from Triton as from the embedded engine, types and all."""
    write_tiny_repository(tmp_path)
    as_twins(tmp_path)
    repository = Repository(tmp_path)
    cards = [repository.read_card(name, 1) for name in repository.models()]
    images = {card.name: list(noise((2, *card.input.shape))) for card in cards}
    with triton_server(tmp_path) as triton, ThreadPoolExecutor(1) as threads:
        async with pool_over(triton) as pool:
            engines = await asyncio.gather(*(pool.open(card, max_queue=8, max_batch_size=None) for card in cards))
            for card, engine in zip(cards, engines, strict=True):
                embedded = OnnxEngine(card, tmp_path / card.name / "1" / "model.onnx", threads, 1)
                expected = await embedded.infer(images[card.name])
                for ours, theirs in zip(await engine.infer(images[card.name]), expected, strict=True):
                    assert ours.outputs.keys() == theirs.outputs.keys()
                    for name, values in theirs.outputs.items():
                        np.testing.assert_allclose(ours.outputs[name], values, rtol=1e-6)
                        assert ours.outputs[name].dtype == values.dtype


async def test_images_of_another_shape_are_refused(repository: Path, triton: TritonServer) -> None:
    """An image that the card does not describe is the caller's mistake, and never reaches Triton."""
    async with pool_over(triton) as pool:
        engine = await open_version(pool, repository)
        for image in (np.zeros((SIDE, SIDE + 1, 3), np.uint8), np.zeros((SIDE, SIDE, 3), np.float32)):
            with pytest.raises(ServiceError, match=r"takes uint8 \[8, 8, 3\], not") as raised:
                await engine.infer([image])
            assert raised.value.kind is ErrorKind.INVALID_PARAMETERS


async def test_a_deadline_that_has_passed_sends_nothing(
    repository: Path, control: Control, triton: TritonServer
) -> None:
    """Work past its deadline is not begun."""
    async with pool_over(triton) as pool:
        engine = await open_version(pool, repository)
        control.tell("obey")
        with pytest.raises(ServiceError) as raised:
            await engine.infer(pictures(1), time.monotonic() - 1)
        assert raised.value.kind is ErrorKind.DEADLINE_EXCEEDED
        assert not control.heard("running")


async def test_a_deadline_ends_the_wait(repository: Path, control: Control, triton: TritonServer) -> None:
    """A model that takes longer than the deadline is not waited for, and Triton is told."""
    async with pool_over(triton) as pool:
        engine = await open_version(pool, repository)
        control.tell("obey", "hold")
        with pytest.raises(ServiceError) as raised:
            await engine.infer(pictures(1), time.monotonic() + 0.3)
        assert raised.value.kind is ErrorKind.DEADLINE_EXCEEDED
        control.stop("hold")
        await until(lambda: control.heard("cancelled"))


async def test_cancelling_reaches_triton(repository: Path, control: Control, triton: TritonServer) -> None:
    """A caller who leaves cancels the request in Triton, in every batch of it."""
    async with pool_over(triton) as pool:
        engine = await open_version(pool, repository)
        control.tell("obey", "hold")
        request = asyncio.create_task(engine.infer(pictures(6)))
        await until(lambda: control.heard("running"))
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        control.stop("hold")
        await until(lambda: control.heard("cancelled"))
        assert len(await engine.infer(pictures(1))) == 1


@pytest.mark.parametrize("queue_in_triton", [False, True])
async def test_a_full_queue_is_an_answer(
    repository: Path, control: Control, triton: TritonServer, *, queue_in_triton: bool
) -> None:
    """Images beyond those that may wait are refused as overload; those that wait are answered."""
    card = Repository(repository).read_card("colours", 1)
    async with pool_over(triton, queue_in_triton=queue_in_triton) as pool:
        engine = await pool.open(card, max_queue=2, max_batch_size=1)
        control.tell("obey", "hold")
        requests = [asyncio.create_task(engine.infer(pictures(1))) for _ in range(12)]
        await until(lambda: control.heard("running"))
        control.stop("hold")
        outcomes = await asyncio.gather(*requests, return_exceptions=True)
        refused = [outcome for outcome in outcomes if isinstance(outcome, ServiceError)]
        assert {error.kind for error in refused} == {ErrorKind.OVERLOADED}
        assert 2 <= 12 - len(refused) <= 3


async def test_a_full_queue_sends_on_to_another_replica(repository: Path, control: Control, tmp_path: Path) -> None:
    """A request that one replica turns away for its full queue was not executed, and another one answers it."""
    idle = tmp_path / "idle"
    shutil.copytree(repository, idle / "repository")
    (idle / "control").mkdir()
    told = Happenings()
    with triton_server(repository) as busy, triton_server(idle / "repository") as other:
        async with pool_over(busy, other, events=told.events, queue_in_triton=True) as pool:
            card = Repository(repository).read_card("colours", 1)
            engine = await pool.open(card, max_queue=1, max_batch_size=1)
            control.tell("obey", "hold")
            requests: set[asyncio.Task[list[Inferred]]] = set()
            while "full" not in told.retries:
                requests.add(asyncio.create_task(engine.infer(pictures(1))))
                await asyncio.wait(requests, timeout=0.05)
            control.stop("hold")
            assert all(len(answers) == 1 for answers in await asyncio.gather(*requests))


async def test_a_model_that_fails_is_the_engines_fault(
    repository: Path, control: Control, triton: TritonServer
) -> None:
    """What a model raises is in the log; the caller learns that the engine failed."""
    async with pool_over(triton) as pool:
        engine = await open_version(pool, repository)
        control.tell("obey", "fail")
        with pytest.raises(ServiceError, match="the engine of colours failed on a batch") as raised:
            await engine.infer(pictures(6))
        assert raised.value.kind is ErrorKind.ENGINE_UNAVAILABLE
        control.stop("fail")
        assert len(await engine.infer(pictures(6))) == 6


async def test_many_callers_share_batches(repository: Path, control: Control, triton: TritonServer) -> None:
    """Requests that wait together are run together, and each gets its own answer."""
    async with pool_over(triton) as pool:
        engine = await open_version(pool, repository)
        alone = [(await engine.infer([image]))[0].outputs["probabilities"] for image in pictures(12)]
        before = batches_run(triton)
        control.tell("obey", "hold")
        requests = [asyncio.create_task(engine.infer([image])) for image in pictures(12)]
        await until(lambda: control.heard("running"))
        control.stop("hold", "obey")
        for (answer,), expected in zip(await asyncio.gather(*requests), alone, strict=True):
            np.testing.assert_allclose(answer.outputs["probabilities"], expected, rtol=1e-6)
        assert batches_run(triton) - before < 12
