"""Tritons that are killed, hang, lose their models or their stubs: callers get an answer or an error, and all heals."""

import asyncio
import gc
import os
import signal
import weakref
from dataclasses import replace
from pathlib import Path

import pytest

from service.engines.triton.engine import TritonEngine
from service.errors import ErrorKind, ServiceError
from tests.doubles import until
from tests.service.engines.triton.conftest import (
    IMPATIENT,
    Control,
    Happenings,
    answered_by,
    open_version,
    pictures,
    pool_named,
    pool_over,
    ready_on,
    unload_on,
)
from tests.triton_server import TritonServer

Two = tuple[TritonServer, TritonServer]


async def answers_again(engine: TritonEngine) -> None:
    """Ask until there is an answer; every error on the way is that the engine is unavailable."""
    async with asyncio.timeout(20):
        while True:
            (outcome,) = await asyncio.gather(engine.infer(pictures(1)), return_exceptions=True)
            if not isinstance(outcome, BaseException):
                return
            assert isinstance(outcome, ServiceError)
            assert outcome.kind is ErrorKind.ENGINE_UNAVAILABLE


async def test_replicas_take_turns(repository: Path, two_tritons: Two) -> None:
    """Requests go to one replica after the other."""
    async with pool_over(*two_tritons) as pool:
        engine = await open_version(pool, repository)
        before = [answered_by(server) for server in two_tritons]
        for _ in range(10):
            await engine.infer(pictures(1))
        # Triton counts a request a moment after it has answered.
        await until(lambda: sum(map(answered_by, two_tritons)) == sum(before) + 10)
        assert [answered_by(server) for server in two_tritons] == [count + 5 for count in before]


async def test_another_replica_answers_for_one_that_is_gone(repository: Path, two_tritons: Two) -> None:
    """After one of two is killed no further caller sees an error, and it serves again once it is back."""
    gone, other = two_tritons
    told = Happenings()
    async with pool_over(gone, other, events=told.events) as pool:
        engine = await open_version(pool, repository)
        gone.kill()
        for _ in range(20):
            assert len(await engine.infer(pictures(6))) == 6
        await until(lambda: (gone.url, False) in told.ups)
        assert pool.replicas == {gone.url: False, other.url: True}
        assert set(told.retries) <= {"unreachable"}
        gone.start()
        await until(lambda: pool.replicas[gone.url])
        before = answered_by(gone)
        await engine.infer(pictures(1))
        await engine.infer(pictures(1))
        await until(lambda: answered_by(gone) == before + 1)


async def test_a_replica_that_ends_in_order_costs_no_answer(repository: Path, two_tritons: Two) -> None:
    """While one of two is asked to end, finishes what it has and goes, no caller sees an error."""
    async with pool_over(*two_tritons) as pool:
        engine = await open_version(pool, repository)
        ending = asyncio.create_task(asyncio.to_thread(two_tritons[0].stop))
        callers = [asyncio.create_task(_call_until_done(engine, ending)) for _ in range(4)]
        assert min(await asyncio.gather(*callers)) > 10
        await ending


async def _call_until_done(engine: TritonEngine, task: asyncio.Task[None]) -> int:
    answered = 0
    while not task.done():
        await engine.infer(pictures(2))
        answered += 1
    return answered


async def test_requests_in_flight_end_with_their_replica(
    repository: Path, control: Control, triton: TritonServer
) -> None:
    """Callers whose Triton is killed under them are told so; it heals once Triton is back, with what was loaded."""
    async with pool_over(triton) as pool:
        engine = await open_version(pool, repository)
        control.tell("obey", "hold")
        requests = [asyncio.create_task(engine.infer(pictures(1))) for _ in range(8)]
        await until(lambda: control.heard("running"))
        triton.kill()
        outcomes = await asyncio.gather(*requests, return_exceptions=True)
        assert all(isinstance(o, ServiceError) and o.kind is ErrorKind.ENGINE_UNAVAILABLE for o in outcomes)
        await until(lambda: not engine.healthy)
        with pytest.raises(ServiceError, match="can be reached"):
            await engine.infer(pictures(1))
        control.stop("hold", "obey")
        triton.start()
        await answers_again(engine)
        assert engine.healthy


async def test_a_failed_request_lets_go_of_its_images(repository: Path, control: Control, triton: TritonServer) -> None:
    """The images of a request that was cut off are freed with its error; no garbage collector need come by."""
    async with pool_over(triton) as pool:
        engine = await open_version(pool, repository)
        control.tell("obey", "hold")
        images = pictures(6)
        left = [weakref.ref(image) for image in images]
        request = asyncio.create_task(engine.infer(images))
        del images
        await until(lambda: control.heard("running"))
        gc.disable()
        try:
            triton.kill()
            with pytest.raises(ServiceError):
                await request
            del request
            await until(lambda: not any(image() is not None for image in left))
        finally:
            gc.enable()


async def test_a_kill_in_the_middle_of_a_load(repository: Path, control: Control, triton: TritonServer) -> None:
    """Opening says that the engine is unavailable; nothing half loaded is wanted, and a second try succeeds."""
    async with pool_over(triton) as pool:
        control.tell("hold_loading")
        opening = asyncio.create_task(open_version(pool, repository))
        await until(lambda: control.heard("loading"))
        triton.kill()
        with pytest.raises(ServiceError) as raised:
            await opening
        assert raised.value.kind is ErrorKind.ENGINE_UNAVAILABLE
        control.stop("hold_loading")
        triton.start()
        await until(lambda: pool.replicas[triton.url])
        assert ready_on(triton) == set()
        assert len(await (await open_version(pool, repository)).infer(pictures(1))) == 1


async def test_a_quick_restart_goes_unseen_by_callers_of_two(repository: Path, two_tritons: Two) -> None:
    """A Triton that is back, empty, before anybody missed it is found out and filled again."""
    told = Happenings()
    async with pool_over(*two_tritons, events=told.events) as pool:
        engine = await open_version(pool, repository)
        two_tritons[0].kill()
        two_tritons[0].start()
        for _ in range(20):
            await engine.infer(pictures(1))
        await until(lambda: ready_on(two_tritons[0]) == {1})
        assert len(await engine.infer(pictures(1))) == 1


async def test_a_hanging_replica_is_left_alone(repository: Path, two_tritons: Two) -> None:
    """A Triton that neither answers nor dies loses its traffic, and gets it back when it goes on."""
    patience = replace(IMPATIENT, look_s=0.2)
    async with pool_over(*two_tritons, patience=patience) as pool:
        engine = await open_version(pool, repository)
        hanging = two_tritons[0]
        os.kill(hanging.pid, signal.SIGSTOP)
        try:
            await until(lambda: not pool.replicas[hanging.url])
            for _ in range(4):
                assert len(await engine.infer(pictures(1))) == 1
        finally:
            os.kill(hanging.pid, signal.SIGCONT)
        await until(lambda: pool.replicas[hanging.url])


async def test_a_crashed_stub_is_replaced(repository: Path, control: Control, triton: TritonServer) -> None:
    """A Python model whose process has died is loaded anew, once; the model's other version answers all the while."""
    told = Happenings()
    async with pool_over(triton, events=told.events) as pool:
        engine, other = await open_version(pool, repository, 1), await open_version(pool, repository, 2)
        control.tell("obey", "die")
        requests = [asyncio.create_task(engine.infer(pictures(4))) for _ in range(3)]
        await until(lambda: any(request.done() for request in requests))
        control.stop("obey", "die")
        while not engine.healthy:
            assert len(await other.infer(pictures(1))) == 1
        assert len(await engine.infer(pictures(1))) == 1
        outcomes = await asyncio.gather(*requests, return_exceptions=True)
        assert all(isinstance(o, ServiceError) and o.kind is ErrorKind.ENGINE_UNAVAILABLE for o in outcomes)
        assert told.repairs == ["colours"]
        assert pool.replicas == {triton.url: True}


async def test_a_version_unloaded_by_others_is_loaded_again(repository: Path, triton: TritonServer) -> None:
    """What somebody else took from Triton comes back without a restart."""
    async with pool_over(triton) as pool:
        engine = await open_version(pool, repository)
        unload_on(triton)
        await until(lambda: not ready_on(triton))
        await answers_again(engine)
        assert ready_on(triton) == {1}


async def test_replicas_follow_their_name(repository: Path, two_tritons: Two) -> None:
    """A replica that joins a name gets the models before traffic; one that leaves gets no more."""
    first, second = two_tritons
    known = [first.url]

    async def lookup(host: str, port: int) -> list[str]:
        assert (host, port) == ("triton.example", 8001)
        if not known:
            raise OSError("no such name")
        return list(known)

    async with pool_named("dns:///triton.example:8001", lookup) as pool:
        engine = await open_version(pool, repository)
        known.append(second.url)
        await until(lambda: pool.replicas == {first.url: True, second.url: True})
        assert ready_on(second) == {1}
        known.remove(first.url)
        await until(lambda: pool.replicas == {second.url: True})
        known.clear()
        for _ in range(3):
            assert len(await engine.infer(pictures(1))) == 1
