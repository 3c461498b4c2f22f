"""Versions come and go on a real Triton, one by one, beneath traffic."""

import asyncio
import time
from pathlib import Path

import pytest

from contract.card import Platform
from contract.repository import Repository
from service.engines.triton.engine import TritonEngine
from service.engines.triton.errors import TritonRefused
from service.engines.triton.pool import TritonPool
from service.errors import ErrorKind, ServiceError
from tests.doubles import until
from tests.service.engines.triton.conftest import IMPATIENT, Control, open_version, pictures, pool_over, ready_on
from tests.tiny_models import colour_model, write_version
from tests.triton_server import TritonServer, triton_server


async def test_versions_come_and_go_beneath_traffic(repository: Path, triton: TritonServer) -> None:
    """While version 1 answers callers, version 2 is loaded and unloaded again and again, and no request fails."""
    async with pool_over(triton) as pool:
        first = await open_version(pool, repository, 1)
        stop = asyncio.Event()
        callers = [asyncio.create_task(_call_until(first, stop)) for _ in range(4)]
        for _ in range(3):
            second = await open_version(pool, repository, 2)
            assert ready_on(triton) == {1, 2}
            assert len(await second.infer(pictures(1))) == 1
            await second.close()
            assert ready_on(triton) == {1}
        stop.set()
        assert min(await asyncio.gather(*callers)) > 10


async def _call_until(engine: TritonEngine, stop: asyncio.Event) -> int:
    answered = 0
    while not stop.is_set():
        await engine.infer(pictures(1))
        answered += 1
    return answered


async def test_a_broken_version_is_refused_with_its_reason(repository: Path, triton: TritonServer) -> None:
    """What Triton says of a version that does not load is passed on, without its folders; the other one stays."""
    (repository / "colours" / "2" / "model.onnx").write_bytes(b"nothing of the kind")
    async with pool_over(triton) as pool:
        first = await open_version(pool, repository, 1)
        with pytest.raises(
            TritonRefused, match=r"Triton does not load it: .*Load model from model\.onnx failed"
        ) as refused:
            await open_version(pool, repository, 2)
        assert str(repository) not in str(refused.value)
        assert len(await first.infer(pictures(1))) == 1
        assert ready_on(triton) == {1}


async def test_a_lone_broken_version_is_refused(repository: Path, triton: TritonServer) -> None:
    """A model whose only version does not load leaves nothing behind, and may come again once it is mended."""
    whole = (repository / "colours" / "1" / "model.onnx").read_bytes()
    (repository / "colours" / "1" / "model.onnx").write_bytes(b"nothing of the kind")
    async with pool_over(triton) as pool:
        with pytest.raises(TritonRefused):
            await open_version(pool, repository, 1)
        (repository / "colours" / "1" / "model.onnx").write_bytes(whole)
        assert len(await (await open_version(pool, repository, 1)).infer(pictures(1))) == 1


async def test_an_absent_version_is_refused(repository: Path, triton: TritonServer) -> None:
    """Triton passes over a version that it does not find; the pool does not."""
    card = Repository(repository).read_card("colours", 1).model_copy(update={"version": 7})
    async with pool_over(triton) as pool:
        with pytest.raises(TritonRefused, match="does not find it in its model repository"):
            await pool.open(card, max_queue=8, max_batch_size=None)


async def test_versions_that_cannot_share_a_configuration_are_refused(repository: Path, triton: TritonServer) -> None:
    """Triton has one platform for all versions of a model; a version for another is refused before any load."""
    card = Repository(repository).read_card("colours", 2).model_copy(update={"platform": Platform.ONNX})
    async with pool_over(triton) as pool:
        first = await open_version(pool, repository, 1)
        with pytest.raises(TritonRefused, match="version 1, which is loaded, has another platform"):
            await pool.open(card, max_queue=8, max_batch_size=None)
        assert len(await first.infer(pictures(1))) == 1


async def test_the_narrowest_version_sets_the_largest_batch(repository: Path, triton: TritonServer) -> None:
    """A batch larger than one loaded version may be given is offered by none, as long as that one is loaded."""
    write_version(repository, "colours", 3, platform=Platform.PYTHON, batch_sizes=(1, 2, 4))
    async with pool_over(triton) as pool:
        first = await open_version(pool, repository, 1)
        assert first.batch_sizes == (1, 2, 3, 4)
        third = await open_version(pool, repository, 3)
        assert (first.batch_sizes, third.batch_sizes) == ((1, 2), (1, 2))
        assert [answer.batch_size for answer in await first.infer(pictures(3))] == [2, 2, 1]
        await third.close()
        assert [answer.batch_size for answer in await first.infer(pictures(3))] == [3, 3, 3]


async def test_a_triton_that_loads_by_itself_is_refused(repository: Path) -> None:
    """A Triton that was not started in explicit mode cannot be told what to load, and the reason says so."""
    with triton_server(repository, "--model-control-mode=none") as triton:
        async with pool_over(triton) as pool:
            with pytest.raises(TritonRefused, match="explicit model load / unload is not allowed"):
                await open_version(pool, repository)


async def test_a_version_may_be_opened_anew(repository: Path, triton: TritonServer) -> None:
    """A version whose files have changed is loaded beneath its older engine, whose end then unloads nothing."""
    async with pool_over(triton, shared_memory=True) as pool:
        older = await open_version(pool, repository, 1)
        before = await older.infer(pictures(1))
        model = repository / "colours" / "1" / "model.onnx"
        model.write_bytes(colour_model(99.0).SerializeToString())
        newer = await open_version(pool, repository, 1)
        await older.close()
        after = await newer.infer(pictures(1))
        assert before[0].outputs["probabilities"].max() < after[0].outputs["probabilities"].max()
        model.write_bytes(b"nothing of the kind")
        with pytest.raises(TritonRefused):
            await open_version(pool, repository, 1)
        assert (await newer.infer(pictures(1)))[0].outputs["probabilities"].max() == pytest.approx(
            after[0].outputs["probabilities"].max()
        )
        await newer.close()
        assert ready_on(triton) == set()


async def test_closing_finishes_what_was_accepted(repository: Path, control: Control, triton: TritonServer) -> None:
    """An engine that is closed answers what it has, takes no more, and unloads its version after that."""
    async with pool_over(triton) as pool:
        engine = await open_version(pool, repository)
        control.tell("obey", "hold")
        request = asyncio.create_task(engine.infer(pictures(6)))
        await until(lambda: control.heard("running"))
        closing = asyncio.create_task(engine.close())
        await asyncio.sleep(0)
        with pytest.raises(ServiceError, match="is being unloaded"):
            await engine.infer(pictures(1))
        assert ready_on(triton) == {1}
        control.stop("hold")
        assert len(await request) == 6
        await closing
        assert ready_on(triton) == set()


async def test_a_shared_triton_keeps_its_versions(repository: Path, triton: TritonServer) -> None:
    """A service that shares its Tritons with others leaves them as they are when it ends."""
    async with pool_over(triton, unload_on_close=False) as pool:
        await (await open_version(pool, repository)).close()
    assert ready_on(triton) == {1}


async def test_nothing_hangs_where_nobody_listens(repository: Path, free_port: int) -> None:
    """Without a Triton the pool starts, and opening a version says at once that there is none."""
    pool = TritonPool([f"127.0.0.1:{free_port}"], patience=IMPATIENT)
    begun = time.monotonic()
    await pool.start()
    with pytest.raises(ServiceError, match="no Triton can be reached") as raised:
        await open_version(pool, repository)
    await pool.close()
    assert raised.value.kind is ErrorKind.ENGINE_UNAVAILABLE
    assert time.monotonic() - begun < 15
